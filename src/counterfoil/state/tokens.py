"""API tokens, stored as hashes, with their scopes and expiry dates."""

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

#: `read` changes nothing; `full` allows everything that the web interface does.
Scope = Literal["read", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The record of a token, without the token itself."""

    id: str
    name: str
    scope: Scope
    created_at: datetime
    #: Up to a minute early.
    last_used_at: datetime | None
    #: None for a token that does not expire.
    expires_at: datetime | None
    revoked_at: datetime | None

    def works(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Tokens:
    """All tokens, including revoked ones. Names are unique among tokens that are not revoked."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, name: str, digest: str, scope: Scope, expires_at: datetime | None) -> Token:
        """Stores a token by its hash; SettingsError if a token that is not revoked has the name."""
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
        """All tokens, newest first."""
        chosen = sa.select(*_COLUMNS).order_by(tokens.c.created_at.desc(), tokens.c.id)
        with self._state.read() as connection:
            return tuple(Token(**row) for row in connection.execute(chosen).mappings())

    def find(self, digest: str) -> Token | None:
        """The token with a hash, valid or not."""
        with self._state.read() as connection:
            row = connection.execute(sa.select(*_COLUMNS).where(tokens.c.hash == digest)).mappings().first()
        return None if row is None else Token(**row)

    def used(self, token: str) -> None:
        """Records that a token (by id) was used now."""
        with self._state.begin() as connection:
            connection.execute(tokens.update().where(tokens.c.id == token).values(last_used_at=self._state.now()))

    def revoke(self, name_or_id: str) -> Token:
        """Revokes a token; SettingsError if it does not exist or was revoked before."""
        with self._state.begin() as connection:
            known = [Token(**row) for row in connection.execute(sa.select(*_COLUMNS)).mappings()]
            live = [one for one in known if one.revoked_at is None]
            found = next((one for one in live if name_or_id in (one.id, one.name)), None)
            if found is None:
                if any(name_or_id in (one.id, one.name) for one in known):
                    raise SettingsError(
                        f"token {name_or_id!r} is already revoked",
                        hint="Run: counterfoil tokens list",
                        code="token_revoked",
                    )
                raise names.unknown("token", name_or_id, [one.name for one in live])
            now = self._state.now()
            connection.execute(tokens.update().where(tokens.c.id == found.id).values(revoked_at=now))
        return next(one for one in self.list() if one.id == found.id)


_COLUMNS = [column for column in tokens.c if column.name != "hash"]
