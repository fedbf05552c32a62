"""The page, put together: routes behind the guard, and the thread of the service's process that answers."""

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

#: How the service fares; `ok` decides between 200 and 503.
Health = Mapping[str, Any]
Pages = Sequence[Callable[[App], APIRouter]]
SandboxAtHand = Callable[[], tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAddress:
    """Where the page is reached, and who may come in."""

    door: Auth
    hosts: Hosts
    port: int
    #: Tells a new link to whoever sees the service's terminal.
    announce: Callable[[], None]
    #: For tokens; the door has one of its own.
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
    """The application. Each of `pages` brings its routes; all take a session. `banner` stands above every page.

    The routes of `resources` are below `/api/v1`, and take a token instead.

    `sandbox` starts a simulated Stripe for whoever has no account yet, and gives its address and a key.
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
    """The page in a thread. Listens from the beginning, so that a port in use is told before anything starts."""

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
        """`announce` is told each new link. Host and port are the settings' unless given."""
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
        """The address of the page; of the reverse proxy, where there is one."""
        return self._public or self._listener.url

    def link(self) -> str:
        """What to open now: with a token that works once, or the plain address where a password is asked for."""
        return self.url if self._door.password.is_set else f"{self.url}/login?token={self._door.links.make()}"

    def start(self) -> None:
        """Answers from now on."""
        self._listener.start(self._page, behind_proxy=self._public is not None)

    def stop(self) -> None:
        """Ends within seconds; live progress first."""
        self._page.state.closing.set()
        self._listener.stop()


def _check_reach(host: str, public: str | None, password: str | None) -> None:
    if password is not None or (is_loopback(host) and public is None):
        return
    where = f"on {host}" if not is_loopback(host) else f"at {public}"
    raise SettingsError(
        f"Others could reach the page {where}, and it has no password",
        hint="Set COUNTERFOIL_PASSWORD or COUNTERFOIL_PASSWORD_FILE.",
    )


def _health_route(health: Callable[[], Health], cookie: Cookie, door: Auth) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    def answer(request: Request) -> Response:
        """Strangers hear whether it is well, and nothing more."""
        known = False
        try:
            found = health()
            known = current(request, cookie, door.sessions)
        except Exception:  # noqa: BLE001 - whatever it is, the service is not well
            found = {"ok": False}
        return JSONResponse(dict(found) if known else {"ok": found["ok"]}, status_code=200 if found["ok"] else 503)

    return router


class _Static(StaticFiles):
    """Files whose address holds their digest may be kept for good; the others are asked for anew."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if "\0" in path:
            raise HTTPException(404)
        answer = await super().get_response(path, scope)
        versioned = scope["query_string"].startswith(b"v=") and answer.status_code == 200
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return answer
