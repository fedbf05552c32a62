"""What stands before every route: the host's name, the origin, the size, the session; and the headers of each answer.

A route needs nothing to be guarded: whatever is not on the short list of what is public takes a session, and below
`/api` a token, which is good for nothing else.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterfoil.app.sessions import SessionService
from counterfoil.errors import CounterfoilError
from counterfoil.logging import get_logger
from counterfoil.web.access.hosts import Hosts
from counterfoil.web.access.sessions import Cookie
from counterfoil.web.api.bearer import Bearer
from counterfoil.web.api.problems import is_api
from counterfoil.web.problems import is_navigation, problem

#: What needs no session: whether the service is well, the way in, and what the way in looks like.
PUBLIC = frozenset({("GET", "/health"), ("GET", "/login"), ("POST", "/login"), ("POST", "/login/link")})
PUBLIC_FOLDER = "/static/"
#: The longest request; nothing is uploaded here but forms.
MOST_BYTES = 1_000_000
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

_log = get_logger("web")


class Guard:
    """The middleware. It is the outermost, so that refusals and errors have the same headers as pages."""

    def __init__(self, app: ASGIApp, *, hosts: Hosts, cookie: Cookie, sessions: SessionService, bearer: Bearer) -> None:
        self._app = app
        self._hosts = hosts
        self._cookie = cookie
        self._sessions = sessions
        self._bearer = bearer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        answer = _Answer(send)
        began = time.monotonic()
        try:
            await self._guarded(request, _Limited(receive), answer)
        except _TooLarge:
            await self._told(request, receive, answer, 413)
        except Exception as error:
            _log.error("a page failed", path=_path(scope), exc_info=error)
            if answer.status is not None:
                raise  # half of an answer is out: the connection breaks off, so that nobody takes it for a whole one
            await self._told(request, receive, answer, 500)
        finally:
            _note(request, answer.status, time.monotonic() - began)

    async def _guarded(self, request: Request, receive: _Limited, answer: _Answer) -> None:
        refusal = self._refusal(request)
        if refusal is None and is_api(request):
            refusal = await self._bearer.refusal(request)
        elif refusal is None and not _is_public(request):
            refusal = await self._stranger(request)
        await (refusal or self._app)(request.scope, receive, answer)

    def _refusal(self, request: Request) -> Response | None:
        if not self._hosts.allows(request):
            if is_api(request):
                return problem(request, 421)
            # In words alone: a page would ask for its style under the same name.
            return PlainTextResponse("The page does not answer under this name.\n", status_code=421)
        length = request.headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > MOST_BYTES:
            return problem(request, 413)
        if self._is_foreign(request):
            return problem(request, 403)
        return None

    def _is_foreign(self, request: Request) -> bool:
        """Whether another site's page makes the browser ask. Following a link to here is fine."""
        site = request.headers.get("sec-fetch-site")
        if is_api(request):
            # Programs tell nothing of this, and need not: browsers send no token by themselves.
            origin = request.headers.get("origin")
            return site in ("cross-site", "same-site") or origin not in (None, self._hosts.origin(request))
        if request.method in _SAFE:
            navigates = request.headers.get("sec-fetch-mode") == "navigate"
            opens = request.headers.get("sec-fetch-dest", "document") == "document"
            return site in ("cross-site", "same-site") and not (navigates and opens)
        if site is not None:
            return site != "same-origin"
        return request.headers.get("origin", "").lower() != self._hosts.origin(request)

    async def _stranger(self, request: Request) -> Response | None:
        """The answer to whoever has no session; None when there is one, which pages find in `request.state`."""
        token = self._cookie.read(request)
        try:
            session = None if token is None else await run_in_threadpool(self._sessions.find, token)
        except CounterfoilError as error:
            _log.error("sessions can't be read", error=str(error))
            return problem(request, 503, "The service can't look up sessions now", "Its log says why. Try again.")
        if session is not None:
            request.state.session = session
            return None
        if request.headers.get("hx-request") == "true":
            way_in = f"/login?next={quote(self._page_of(request, 'hx-current-url'), safe='')}"
            return Response(status_code=401, headers={"HX-Redirect": way_in})
        if not is_navigation(request):
            return PlainTextResponse("Sign in first.\n", status_code=401)
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        place = here if request.method in _SAFE else self._page_of(request, "referer")
        return RedirectResponse(f"/login?next={quote(place, safe='')}", status_code=303)

    def _page_of(self, request: Request, header: str) -> str:
        """The page that a header names, if it is one of ours."""
        url = urlsplit(request.headers.get(header, ""))
        if f"{url.scheme}://{url.netloc}".lower() != self._hosts.origin(request):
            return "/"
        return (url.path or "/") + (f"?{url.query}" if url.query else "")

    async def _told(self, request: Request, receive: Receive, answer: _Answer, status: int) -> None:
        if answer.status is not None:
            return
        try:
            told = problem(request, status)
        except Exception as error:  # noqa: BLE001 - even the page of what went wrong can go wrong
            _log.error("the page of an error failed", exc_info=error)
            told = PlainTextResponse("Something went wrong; the service's log says what.\n", status_code=500)
        await told(request.scope, receive, answer)


class _Answer:
    """Sends on, with the headers that every answer has; remembers what was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


class _TooLarge(Exception):  # noqa: N818 - the names say what happened
    """More came than the length that was told, or than is taken."""


class _Limited:
    """Receives up to the limit, whatever length was told."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > MOST_BYTES:
            raise _TooLarge
        return message


def _is_public(request: Request) -> bool:
    path = request.scope["path"]
    if path.startswith(PUBLIC_FOLDER):
        return request.method in ("GET", "HEAD")
    return (request.method, path) in PUBLIC


def _note(request: Request, status: int | None, seconds: float) -> None:
    """A line of the log, for what changes things and for what was refused; what is only looked at needs more detail.

    Without the query: links have their token there, and filters may have names of customers.
    """
    fields: dict[str, Any] = {"method": request.method, "path": _path(request.scope), "status": status}
    if request.client is not None:
        fields["client"] = request.client.host
    if hasattr(request.state, "token"):
        fields["token"] = request.state.token.name
    quiet = request.method in _SAFE and status is not None and status < 400
    (_log.debug if quiet else _log.info)("request", **fields, milliseconds=round(seconds * 1000, 1))


def _path(scope: Scope) -> str:
    """The path as it was sent, percent-encoded: it can't begin a line of its own."""
    return quote(scope["path"], safe="/")[:300]
