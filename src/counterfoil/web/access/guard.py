"""Checks every request: host name, origin, size and session; sets the headers of every response.

Every route is guarded by default: all paths outside the list of public ones require a session, and paths below `/api`
require a token, which is valid only there.
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

#: Routes without a session: health, login, and the static files of the login page.
PUBLIC = frozenset({("GET", "/health"), ("GET", "/login"), ("POST", "/login"), ("POST", "/login/link")})
PUBLIC_FOLDER = "/static/"
#: The maximum size of a request; only forms and JSON are uploaded.
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
    """The outermost middleware: refusals and errors have the same headers as pages."""

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
                raise  # part of the response is sent: the connection is aborted so that clients notice the error
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
            # Plain text: a page would load its style sheet from the same host name.
            return PlainTextResponse(
                "Unknown host name. Use the URL that counterfoil serve printed.\n", status_code=421
            )
        length = request.headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > MOST_BYTES:
            return problem(request, 413)
        if self._is_foreign(request):
            return problem(request, 403)
        return None

    def _is_foreign(self, request: Request) -> bool:
        """Whether a page of another site caused the request. Following a link to this page is allowed."""
        site = request.headers.get("sec-fetch-site")
        if is_api(request):
            # API clients usually send neither header, and need not: browsers don't send tokens on their own.
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
        """The response to a request without a session; None with one, which is stored in `request.state`."""
        token = self._cookie.read(request)
        try:
            session = None if token is None else await run_in_threadpool(self._sessions.find, token)
        except CounterfoilError as error:
            _log.error("sessions can't be read", error=str(error))
            return problem(
                request, 503, "Sessions are unavailable", "Try again, or see the log of the service for details."
            )
        if session is not None:
            request.state.session = session
            return None
        if request.headers.get("hx-request") == "true":
            login = f"/login?next={quote(self._page_of(request, 'hx-current-url'), safe='')}"
            return Response(status_code=401, headers={"HX-Redirect": login})
        if not is_navigation(request):
            return PlainTextResponse("Sign in first.\n", status_code=401)
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        place = here if request.method in _SAFE else self._page_of(request, "referer")
        return RedirectResponse(f"/login?next={quote(place, safe='')}", status_code=303)

    def _page_of(self, request: Request, header: str) -> str:
        """The path of the URL in a header, or `/` if the URL is of another origin."""
        url = urlsplit(request.headers.get(header, ""))
        if f"{url.scheme}://{url.netloc}".lower() != self._hosts.origin(request):
            return "/"
        return (url.path or "/") + (f"?{url.query}" if url.query else "")

    async def _told(self, request: Request, receive: Receive, answer: _Answer, status: int) -> None:
        if answer.status is not None:
            return
        try:
            response = problem(request, status)
        except Exception as error:  # noqa: BLE001 - rendering the error page can fail too
            _log.error("the page of an error failed", exc_info=error)
            response = PlainTextResponse("Internal error. See the log of the service for details.\n", status_code=500)
        await response(request.scope, receive, answer)


class _Answer:
    """Forwards messages, adds the common headers, and records the status."""

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


class _TooLarge(Exception):  # noqa: N818 - the name says what happened
    """The body exceeds the limit."""


class _Limited:
    """Receives a body up to the limit, regardless of its `Content-Length`."""

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
    """Logs a request: changes and refusals at level info, successful reads at level debug.

    The query is omitted: it may contain the token of a login link, or filters with names of customers.
    """
    fields: dict[str, Any] = {"method": request.method, "path": _path(request.scope), "status": status}
    if request.client is not None:
        fields["client"] = request.client.host
    if hasattr(request.state, "token"):
        fields["token"] = request.state.token.name
    quiet = request.method in _SAFE and status is not None and status < 400
    (_log.debug if quiet else _log.info)("request", **fields, milliseconds=round(seconds * 1000, 1))


def _path(scope: Scope) -> str:
    """The path, percent-encoded: it can't inject lines into the log."""
    return quote(scope["path"], safe="/")[:300]
