"""An app with its own state, and its page with a clock that the test moves."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from counterfoil.app.app import App, open_app
from counterfoil.settings import Settings
from counterfoil.web.access.auth import Auth, Password
from counterfoil.web.access.hosts import Hosts
from counterfoil.web.access.sessions import Links
from counterfoil.web.access.throttle import Throttle
from counterfoil.web.pages import PAGES
from counterfoil.web.server import PageAddress, make_app
from stripe_sandbox import Sandbox
from tests.web.browser import Browser


@dataclass
class StandingClock:
    """The wall clock and the monotonic clock; both stand still until the test advances them."""

    at: datetime = datetime(2027, 1, 4, 12, tzinfo=UTC)
    began: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.at

    def __call__(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        return (self.at - self.began).total_seconds()

    def advance(self, **units: float) -> None:
        self.at += timedelta(**units)


@pytest.fixture(scope="session")
def made_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty state, created once; each test copies it."""
    home = tmp_path_factory.mktemp("made")
    open_app(Settings(home=home, state_url=None)).close()
    return home / "state.db"


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def app(tmp_path: Path, made_state: Path, clock: StandingClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    for name in ("STATE_URL", "SECRET_KEY", "PASSWORD", "URL", "HOST", "PORT"):
        monkeypatch.delenv(f"COUNTERFOIL_{name}", raising=False)
        monkeypatch.delenv(f"COUNTERFOIL_{name}_FILE", raising=False)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    shutil.copy(made_state, home / "state.db")
    with open_app(Settings(home=home), clock=clock) as app:
        yield app


@dataclass
class Site:
    """A page, and the login links that its service would print."""

    page: FastAPI
    door: Auth
    printed: list[str]

    def browser(self, **given: Any) -> Browser:
        return Browser(self.page, **given)

    def owner(self, **given: Any) -> Browser:
        """A browser that is signed in."""
        browser = self.browser(**given)
        answer = browser.get(f"/login?token={self.door.links.make()}")
        assert answer.status == 303, answer.text
        return browser


MakeSite = Callable[..., Site]


class _Current:
    """Delegates to the app of the current test."""

    app: App

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)


_current = _Current()
_routers: dict[Callable[..., APIRouter], APIRouter] = {}


def _created_once(routes: Callable[..., APIRouter]) -> Callable[[App], APIRouter]:
    """Routes that use the app of the current test. They are created once, since that takes as long as a test."""
    if routes not in _routers:
        _routers[routes] = routes(_current)
    return lambda _app: _routers[routes]


@pytest.fixture
def make_site(app: App, clock: StandingClock) -> MakeSite:
    """Creates a page of the app with a password, a host, a public URL and further arguments of `make_app`."""

    def make(password: str | None = None, host: str = "127.0.0.1", url: str | None = None, **more: Any) -> Site:
        links = Links(clock.seconds)
        door = Auth(Password(password, app.sessions), app.sessions, links, Throttle(clock.seconds))
        printed: list[str] = []
        reach = PageAddress(
            door=door,
            hosts=Hosts(host, url),
            port=8321,
            announce=lambda: printed.append(links.make()),
            throttle=Throttle(clock.seconds),
        )
        _current.app = app
        # These tests do not use the API.
        routes = {"pages": PAGES, "resources": ()} | {
            name: more.pop(name) for name in ("pages", "resources") if name in more
        }
        made = {name: [_created_once(each) for each in found] for name, found in routes.items()}
        return Site(make_app(app, reach, **made, **more), door, printed)

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


FULL = "sk_test_demo_full_4242"
LIVE = "sk_live_everything4242"
RESTRICTED = "rk_test_restricted4242"


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A simulated Stripe with keys for all reports, and one with permissions for charges and customers only."""
    with Sandbox(scale=0.05) as serving:
        serving.control("keys", key=LIVE)
        serving.control("keys", key=RESTRICTED, permissions=["rak_charge_read", "rak_customer_read"])
        yield serving
