"""Who may come in: the owner's password, tried slowly, or a link."""

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
    """The owner's password, of which the hash alone is kept, in memory and in the state."""

    def __init__(self, text: str | None, sessions: SessionService) -> None:
        """Sessions that began with another password, or without one, are ended."""
        # The OWASP's smallest: its larger ones take 64 MB a try, which strangers may cause.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        kept = sessions.password_hash()
        if text is not None and len(text) < LEAST_CHARACTERS:
            raise SettingsError(
                f"COUNTERFOIL_PASSWORD has {len(text)} characters; it needs at least {LEAST_CHARACTERS}",
                hint="Choose a longer one: a few words will do.",
            )
        if text is None or kept is None or not self._fits(kept, text):
            made = None if text is None else self._hasher.hash(_spelled(text))
            if made != kept:
                sessions.keep_password_hash(made)
            kept = made
        self._hash = kept

    @property
    def is_set(self) -> bool:
        """Whether there is one; else links are the way in."""
        return self._hash is not None

    def fits(self, text: str) -> bool:
        """Whether it is the password. Takes about 25 ms and 19 MB, whatever is given."""
        return self._hash is not None and self._fits(self._hash, text[:_MOST_CHARACTERS])

    def _fits(self, known: str, text: str) -> bool:
        try:
            return self._hasher.verify(known, _spelled(text))
        except (VerificationError, InvalidHashError):
            return False


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """What came of a password."""

    fits: bool
    wait_seconds: int = 0


class Auth:
    """Who may come in."""

    def __init__(self, password: Password, sessions: SessionService, links: Links, throttle: Throttle) -> None:
        self.password = password
        self.sessions = sessions
        self.links = links
        self._throttle = throttle
        # One at a time: each takes time and memory, and tries side by side would all pass before the first has failed.
        self._one = threading.Lock()

    def attempt(self, password: str, address: str, token: str | None) -> LoginAttempt:
        """Tries the password, or tells how long to wait.

        A browser that was signed in before is counted for itself, so that nobody can keep the owner out by guessing.
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
    """One spelling of what keyboards write in several."""
    return unicodedata.normalize("NFC", text)
