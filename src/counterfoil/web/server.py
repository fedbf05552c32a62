"""The web application: routes behind the guard, and the server thread in the process of the service."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from counterfoil.app.app import App
from counterfoil.errors import SettingsError
from counterfoil.http.address import is_loopback
from counterfoil.web.access.auth import Auth, Password
from counterfoil.web.access.guard import Guard
from counterfoil.web.access.hosts import Hosts
from counterfoil.web.access.login import Login
from counterfoil.web.access.sessions import Cookie, Links, current
from counterfoil.web.access.throttle import Throttle
from counterfoil.web.api.bearer import Bearer
from counterfoil.web.api.routes import RESOURCES, api
from counterfoil.web.listener import Listener
from counterfoil.web.pages import PAGES
from counterfoil.web.problems import handle_problems
from counterfoil.web.proof_jobs import ProofJobs
from counterfoil.web.rendering import STATIC

#: The health of the service; `ok` decides between status 200 and 503.
Health = Mapping[str, Any]
Pages = Sequence[Callable[[App], APIRouter]]
SandboxAtHand = Callable[[], tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAddress:
    """The address of the page and its access control."""

    door: Auth
    hosts: Hosts
    port: int
    #: Prints a new login link in the terminal of the service.
    announce: Callable[[], None]
    #: For tokens; `door` has its own throttle.
    throttle: Throttle = field(default_factory=Throttle)


def make_app(
    app: App,
    reach: PageAddress,
    *,
    health: Callable[[], Health] = lambda: {"ok": True},
    pages: Pages = PAGES,
    resources: Pages = RESOURCES,
    banner: str | None = None,
    sandbox: SandboxAtHand | None = None,
) -> FastAPI:
    """The application with the routes of `pages`, which require a session. `banner` is shown on every page.

    The routes of `resources` are below `/api/v1` and require a token instead.

    `sandbox` starts a simulated Stripe for users without an account, and returns its URL and a key.
    """
    page = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    cookie = Cookie(reach.hosts, reach.port)
    page.state.app = app
    page.state.banner = banner
    page.state.sandbox = sandbox
    page.state.health = health
    page.state.closing = threading.Event()
    page.state.proofs = ProofJobs(app)
    bearer = Bearer(app.tokens, reach.throttle)
    page.add_middleware(Guard, hosts=reach.hosts, cookie=cookie, sessions=reach.door.sessions, bearer=bearer)
    handle_problems(page)
    page.include_router(_health_route(health, cookie, reach.door))
    page.include_router(Login(reach.door, cookie, reach.announce).router)
    page.mount("/static", _Static(directory=STATIC), name="static")
    page.include_router(api(app, resources))
    for routes in pages:
        page.include_router(routes(app))
    return page


class PageServer:
    """The page in a thread. Listens from creation: a port in use is reported before anything starts."""

    def __init__(
        self,
        app: App,
        health: Callable[[], Health] = lambda: {"ok": True},
        *,
        announce: Callable[[str], None],
        host: str | None = None,
        port: int | None = None,
        banner: str | None = None,
        sandbox: SandboxAtHand | None = None,
        pages: Pages = PAGES,
    ) -> None:
        """`announce` receives each new login link. `host` and `port` default to the settings."""
        settings = app.settings
        self._host = settings.host if host is None else host
        self._public = settings.url
        password = settings.secret("password")
        _check_reach(self._host, self._public, password)
        self._door = Auth(Password(password, app.sessions), app.sessions, Links(), Throttle())
        self._listener = Listener(self._host, settings.port if port is None else port)
        reach = PageAddress(
            door=self._door,
            hosts=Hosts(self._host, self._public),
            port=self._listener.port,
            announce=lambda: announce(self.link()),
        )
        self._page = make_app(app, reach, health=health, pages=pages, banner=banner, sandbox=sandbox)

    @property
    def url(self) -> str:
        """The URL of the page, or of the reverse proxy if one is configured."""
        return self._public or self._listener.url

    def link(self) -> str:
        """The URL to open: with a single-use token, or plain if a password is set."""
        return self.url if self._door.password.is_set else f"{self.url}/login?token={self._door.links.make()}"

    def start(self) -> None:
        """Starts answering requests."""
        self._listener.start(self._page, behind_proxy=self._public is not None)

    def stop(self) -> None:
        """Stops within seconds; live progress ends first."""
        self._page.state.closing.set()
        self._listener.stop()


def _check_reach(host: str, public: str | None, password: str | None) -> None:
    if password is not None or (is_loopback(host) and public is None):
        return
    where = f"on {host}" if not is_loopback(host) else f"at {public}"
    raise SettingsError(
        f"a password is required to serve the page {where}",
        hint="Set COUNTERFOIL_PASSWORD or COUNTERFOIL_PASSWORD_FILE.",
    )


def _health_route(health: Callable[[], Health], cookie: Cookie, door: Auth) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    def answer(request: Request) -> Response:
        """Requests without a session get `ok` only."""
        known = False
        try:
            found = health()
            known = current(request, cookie, door.sessions)
        except Exception:  # noqa: BLE001 - any error means that the service is unhealthy
            found = {"ok": False}
        return JSONResponse(dict(found) if known else {"ok": found["ok"]}, status_code=200 if found["ok"] else 503)

    return router


class _Static(StaticFiles):
    """Files with a digest in their URL may be cached indefinitely; others are revalidated."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if "\0" in path:
            raise HTTPException(404)
        answer = await super().get_response(path, scope)
        versioned = scope["query_string"].startswith(b"v=") and answer.status_code == 200
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return answer
