"""Session cookies, and the single-use login links."""

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

#: The lifetime of a link.
LINK_SECONDS = 600
#: The minimum time between links printed on request.
_LINK_EVERY_SECONDS = 30


class Cookie:
    """The session cookie: opaque, `HttpOnly`, and `SameSite=Lax`.

    Lax instead of Strict: a link to a dataset in an email must work. State-changing requests are checked by origin.
    """

    def __init__(self, hosts: Hosts, port: int) -> None:
        self._hosts = hosts
        # Browsers share cookies between the ports of a host, and two services may run on one machine.
        self._plain = f"counterfoil_{port}"

    def read(self, request: Request) -> str | None:
        """The token in the request's cookie, or None."""
        return request.cookies.get(self._name(request))

    def give(self, request: Request, response: Response, token: str) -> None:
        """Sets the cookie in a response."""
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
        """Deletes the cookie."""
        secure = self._hosts.is_https(request)
        response.delete_cookie(self._name(request), path="/", httponly=True, samesite="lax", secure=secure)

    def _name(self, request: Request) -> str:
        return "__Host-counterfoil" if self._hosts.is_https(request) else self._plain


class Links:
    """Single-use tokens, valid for ten minutes. They are in memory only: a restart invalidates them."""

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
        """Seconds until another link may be printed on request; earlier links stay valid."""
        return 0 if self._made_at is None else max(0, self._made_at + _LINK_EVERY_SECONDS - self._clock())

    def take(self, token: str) -> bool:
        """Whether the token is valid; invalidates it."""
        with self._lock:
            until = self._until.pop(_hash(token), None)
            return until is not None and until > self._clock()


def current(request: Request, cookie: Cookie, sessions: SessionService) -> bool:
    """Whether the request has a valid session."""
    token = cookie.read(request)
    return token is not None and sessions.find(token) is not None


def _hash(token: str) -> str:
    # Tokens are looked up by hash: the duration of a lookup reveals nothing about a token.
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
