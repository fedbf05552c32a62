"""Operations on API tokens. The secret is returned only when a token is created."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

from counterfoil.errors import SettingsError
from counterfoil.logging import redacted
from counterfoil.state import State
from counterfoil.state.tokens import Scope, Token, Tokens

__all__ = ["FORM", "NewToken", "Scope", "Token", "TokenService"]

#: A prefix for secret scanners, and 256 random bits.
FORM = re.compile(r"cf_[0-9a-f]{64}")
_PERIOD = re.compile(r"(\d{1,5})\s*([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=3660)
#: Minimum interval between two recorded uses, so that most requests write nothing.
_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A new token with its secret."""

    token: Token
    secret: str = field(repr=False)


class TokenService:
    """Create, list, find and revoke."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._tokens = Tokens(state)

    def create(self, name: str, *, read_only: bool = False, expires: str | None = None) -> NewToken:
        """Creates a token. `expires` is a period such as `90d`, `12h` or `2w`; by default the token never expires.

        SettingsError if another token with this name is not revoked.
        """
        until = None if not (expires or "").strip() else self._state.now() + _period(str(expires))
        secret = f"cf_{secrets.token_hex(32)}"
        return NewToken(self._tokens.add(name, _hash(secret), "read" if read_only else "full", until), secret)

    def list(self) -> tuple[Token, ...]:
        """All tokens, newest first, including expired and revoked ones."""
        return self._tokens.list()

    def revoke(self, name_or_id: str) -> Token:
        """Revokes a token immediately."""
        return self._tokens.revoke(name_or_id)

    def find(self, secret: str) -> Token | None:
        """Finds the token with this secret and records its use; None if it is unknown, expired or revoked."""
        if FORM.fullmatch(secret) is None:
            return None
        found, now = self._tokens.find(_hash(secret)), self._state.now()
        if found is None or not found.works(now):
            return None
        if found.last_used_at is None or now - found.last_used_at >= _NOTED_EVERY:
            self._tokens.used(found.id)
        return found

    def status(self, token: Token) -> str:
        """`works`, `expired` or `revoked`."""
        if token.works(self._state.now()):
            return "works"
        return "expired" if token.revoked_at is None else "revoked"


def _period(words: str) -> timedelta:
    found = _PERIOD.fullmatch(words.strip().lower())
    length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta() < length <= _LONGEST:
        raise SettingsError(
            f"invalid lifetime of a token: {redacted(words)!r}",
            hint="Use hours, days or weeks, such as 12h, 90d or 4w, up to ten years.",
        )
    return length


def _hash(secret: str) -> str:
    # The lookup by hash prevents timing attacks. Tokens are random, so a salt or a slow hash would add no security.
    return sha256(secret.encode()).hexdigest()
