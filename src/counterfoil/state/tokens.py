"""Tokens of other programs: known by their hashes alone, with what each may do and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from counterfoil.errors import SettingsError
from counterfoil.state import names
from counterfoil.state.database import State
from counterfoil.state.tables import tokens

__all__ = ["Scope", "Token", "Tokens"]

#: `read` changes nothing; `full` may do what the page does.
Scope = Literal["read", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token, which is not the token itself."""

    id: str
    name: str
    scope: Scope
    created_at: datetime
    #: As it is noted: up to a minute early.
    last_used_at: datetime | None
    #: None for one that lasts until it is revoked.
    expires_at: datetime | None
    revoked_at: datetime | None

    def works(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Tokens:
    """All tokens, those that were revoked too. Names are unique among those that were not."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, name: str, digest: str, scope: Scope, expires_at: datetime | None) -> Token:
        """Keeps a token by its hash; SettingsError when one that was not revoked has the name."""
        name = names.checked_name("token", name)
        made = Token(
            id=names.new_id("token"),
            name=name,
            scope=scope,
            created_at=self._state.now(),
            last_used_at=None,
            expires_at=expires_at,
            revoked_at=None,
        )
        with self._state.begin() as connection:
            taken = sa.select(tokens.c.id).where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
            if connection.execute(taken).first() is not None:
                raise names.taken("token", name)
            values = {field: getattr(made, field) for field in Token.__slots__}
            connection.execute(tokens.insert().values(hash=digest, **values))
        return made

    def list(self) -> tuple[Token, ...]:
        """All of them, the newest first."""
        chosen = sa.select(*_COLUMNS).order_by(tokens.c.created_at.desc(), tokens.c.id)
        with self._state.read() as connection:
            return tuple(Token(**row) for row in connection.execute(chosen).mappings())

    def find(self, digest: str) -> Token | None:
        """The token of a hash, whether it still works or not."""
        with self._state.read() as connection:
            row = connection.execute(sa.select(*_COLUMNS).where(tokens.c.hash == digest)).mappings().first()
        return None if row is None else Token(**row)

    def used(self, token: str) -> None:
        """Notes that a token (by id) is used now."""
        with self._state.begin() as connection:
            connection.execute(tokens.update().where(tokens.c.id == token).values(last_used_at=self._state.now()))

    def revoke(self, name_or_id: str) -> Token:
        """From now on it does not work; SettingsError when there is none, or it was revoked before."""
        with self._state.begin() as connection:
            known = [Token(**row) for row in connection.execute(sa.select(*_COLUMNS)).mappings()]
            live = [one for one in known if one.revoked_at is None]
            found = next((one for one in live if name_or_id in (one.id, one.name)), None)
            if found is None:
                if any(name_or_id in (one.id, one.name) for one in known):
                    raise SettingsError(
                        f"The token {name_or_id!r} is revoked already", hint="It does not work any more."
                    )
                raise names.unknown("token", name_or_id, [one.name for one in live])
            now = self._state.now()
            connection.execute(tokens.update().where(tokens.c.id == found.id).values(revoked_at=now))
        return next(one for one in self.list() if one.id == found.id)


_COLUMNS = [column for column in tokens.c if column.name != "hash"]
