"""Sessions of users who are signed in to the UI. Stores only hashes of the tokens; sessions survive restarts."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from counterfoil.state import State

#: Maximum idle time and maximum lifetime of a session.
IDLE = timedelta(days=14)
LONGEST = timedelta(days=90)
#: Minimum interval between two recorded uses, so that most requests write nothing.
_NOTED_EVERY = timedelta(hours=1)
#: Maximum number of sessions; the least recently used ones are deleted.
_MOST = 100
_KEPT = "page_sessions"
_TURN = "page_sessions_turn"
_PASSWORD = "page_password"

_Kept = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in."""

    started_at: datetime
    #: The last recorded use, up to an hour before the last use.
    seen_at: datetime


class SessionService:
    """Begin, find and end sessions. Only `begin` returns the token."""

    def __init__(self, state: State) -> None:
        self._state = state

    def begin(self) -> str:
        """Creates a session; returns its token."""
        token = secrets.token_urlsafe(32)
        now = self._state.now()
        with self._changing() as kept:
            kept[_hash(token)] = _noted(Session(now, now))
            for name in sorted(kept, key=lambda one: kept[one]["seen_at"])[:-_MOST]:
                del kept[name]
        return token

    def find(self, token: str) -> Session | None:
        """The session of the token, whose use is recorded; None if it does not exist or has expired."""
        found = self._valid(token)
        now = self._state.now()
        if found is None or now - found.seen_at < _NOTED_EVERY:
            return found
        with self._changing() as kept:
            if _hash(token) not in kept:  # ended concurrently
                return None
            kept[_hash(token)] = _noted(Session(found.started_at, now))
        return found

    def knows(self, token: str) -> bool:
        """Whether the token belongs to a session of the last 90 days that was not ended, even if expired."""
        return _hash(token) in self._read()

    def end(self, token: str) -> None:
        """Ends the session of the token, if it exists."""
        if self.knows(token):
            with self._changing() as kept:
                kept.pop(_hash(token), None)

    def end_all(self) -> None:
        """Signs out all users."""
        with self._changing() as kept:
            kept.clear()

    def password_hash(self) -> str | None:
        """The hash of the password that the sessions used; None without a password."""
        found = self._state.setting(_PASSWORD)
        return found["hash"] if found else None

    def keep_password_hash(self, value: str | None) -> None:
        """Stores the hash of a new password and ends all sessions."""
        with self._state.begin():
            self._state.keep_setting(_PASSWORD, {"hash": value})
            self.end_all()

    def _valid(self, token: str) -> Session | None:
        noted = self._read().get(_hash(token))
        if noted is None:
            return None
        session = _session(noted)
        now = self._state.now()
        return session if now - session.seen_at < IDLE and now - session.started_at < LONGEST else None

    def _read(self) -> _Kept:
        found: Any = self._state.setting(_KEPT)
        return found or {}

    @contextmanager
    def _changing(self) -> Iterator[_Kept]:
        """The stored sessions, to be changed in a transaction; removes sessions past their maximum lifetime."""
        with self._state.begin():
            now = self._state.now()
            # Written first: in Postgres, this locks out other processes until the transaction ends.
            self._state.keep_setting(_TURN, now.isoformat())
            kept = {name: one for name, one in self._read().items() if now - _session(one).started_at < LONGEST}
            yield kept
            self._state.keep_setting(_KEPT, kept)


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _noted(session: Session) -> dict[str, str]:
    return {"started_at": session.started_at.isoformat(), "seen_at": session.seen_at.isoformat()}


def _session(noted: dict[str, str]) -> Session:
    return Session(datetime.fromisoformat(noted["started_at"]), datetime.fromisoformat(noted["seen_at"]))
