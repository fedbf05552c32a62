"""Authentication: the owner's password with throttled attempts, or a link."""

from __future__ import annotations

import threading
import unicodedata
from dataclasses import dataclass
from math import ceil

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from counterfoil.app.sessions import SessionService
from counterfoil.errors import SettingsError
from counterfoil.web.access.sessions import Links
from counterfoil.web.access.throttle import Throttle

LEAST_CHARACTERS = 10
_MOST_CHARACTERS = 1000


class Password:
    """The owner's password. Only its hash is stored, in memory and in the state."""

    def __init__(self, text: str | None, sessions: SessionService) -> None:
        """A changed, new or removed password ends all sessions."""
        # OWASP's smallest parameters: the larger ones take 64 MB per attempt, which any client could cause.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        kept = sessions.password_hash()
        if text is not None and len(text) < LEAST_CHARACTERS:
            raise SettingsError(
                f"COUNTERFOIL_PASSWORD is too short: {len(text)} characters",
                hint=f"Use at least {LEAST_CHARACTERS} characters, such as a few words.",
            )
        if text is None or kept is None or not self._fits(kept, text):
            made = None if text is None else self._hasher.hash(_spelled(text))
            if made != kept:
                sessions.keep_password_hash(made)
            kept = made
        self._hash = kept

    @property
    def is_set(self) -> bool:
        """Whether a password is set; otherwise users log in by link."""
        return self._hash is not None

    def fits(self, text: str) -> bool:
        """Whether `text` is the password. Takes about 25 ms and 19 MB for any text."""
        return self._hash is not None and self._fits(self._hash, text[:_MOST_CHARACTERS])

    def _fits(self, known: str, text: str) -> bool:
        try:
            return self._hasher.verify(known, _spelled(text))
        except (VerificationError, InvalidHashError):
            return False


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """The result of a login attempt."""

    fits: bool
    wait_seconds: int = 0


class Auth:
    """Login by password or link."""

    def __init__(self, password: Password, sessions: SessionService, links: Links, throttle: Throttle) -> None:
        self.password = password
        self.sessions = sessions
        self.links = links
        self._throttle = throttle
        # One attempt at a time: each takes time and memory, and parallel attempts would bypass the throttle.
        self._one = threading.Lock()

    def attempt(self, password: str, address: str, token: str | None) -> LoginAttempt:
        """Checks the password, or returns the time to wait.

        Browsers with an earlier session are throttled separately: attempts of others can't lock out the owner.
        """
        known = token is not None and self.sessions.knows(token)
        key = f"browser {token}" if known else f"address {address}"
        with self._one:
            wait = self._throttle.wait_seconds(key, alone=known)
            if wait > 0:
                return LoginAttempt(fits=False, wait_seconds=ceil(wait))
            if not self.password.fits(password):
                self._throttle.failed(key)
                return LoginAttempt(fits=False)
            self._throttle.succeeded(key)
            return LoginAttempt(fits=True)


def _spelled(text: str) -> str:
    """The text in Unicode form NFC, since keyboards differ in how they compose characters."""
    return unicodedata.normalize("NFC", text)
