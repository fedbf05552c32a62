"""What a browser holds: the cookie of its session, and the link with which it gets one."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from counterfoil.app.sessions import LONGEST, SessionService
from counterfoil.web.access.hosts import Hosts

#: How long a link works.
LINK_SECONDS = 600
#: How often a new one is made for whoever asks.
_LINK_EVERY_SECONDS = 30


class Cookie:
    """The session's cookie: opaque, out of the reach of scripts, and sent along by links but not by foreign forms.

    Lax, not Strict: a link to a dataset in a mail should open it. What changes anything is checked by its origin.
    """

    def __init__(self, hosts: Hosts, port: int) -> None:
        self._hosts = hosts
        # Browsers share cookies between the ports of one host, and two services may run on one machine.
        self._plain = f"counterfoil_{port}"

    def read(self, request: Request) -> str | None:
        """The token that the browser sent."""
        return request.cookies.get(self._name(request))

    def give(self, request: Request, response: Response, token: str) -> None:
        """Puts the token into the answer."""
        response.set_cookie(
            self._name(request),
            token,
            max_age=int(LONGEST.total_seconds()),
            path="/",
            httponly=True,
            samesite="lax",
            secure=self._hosts.is_https(request),
        )

    def remove(self, request: Request, response: Response) -> None:
        """Takes it back."""
        secure = self._hosts.is_https(request)
        response.delete_cookie(self._name(request), path="/", httponly=True, samesite="lax", secure=secure)

    def _name(self, request: Request) -> str:
        return "__Host-counterfoil" if self._hosts.is_https(request) else self._plain


class Links:
    """Tokens that work once, within ten minutes. They are in memory alone: a restart makes new ones."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self._made_at: float | None = None

    def make(self) -> str:
        """A new token."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = self._made_at = self._clock()
            self._until = {one: until for one, until in self._until.items() if until > now}
            self._until[_hash(token)] = now + LINK_SECONDS
        return token

    def wait_seconds(self) -> float:
        """How long until another may be made for someone who only asks; earlier ones stay good meanwhile."""
        return 0 if self._made_at is None else max(0, self._made_at + _LINK_EVERY_SECONDS - self._clock())

    def take(self, token: str) -> bool:
        """Whether the token works; from now on it does not."""
        with self._lock:
            until = self._until.pop(_hash(token), None)
            return until is not None and until > self._clock()


def current(request: Request, cookie: Cookie, sessions: SessionService) -> bool:
    """Whether the request comes from a session."""
    token = cookie.read(request)
    return token is not None and sessions.find(token) is not None


def _hash(token: str) -> str:
    # Looked up by hash, so that how long the look-up takes says nothing about a token.
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
