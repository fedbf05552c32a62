"""Requests without a session get no data. The tests call every route of the route table, so they cover new routes."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount

from counterfoil.app.app import App
from counterfoil.web.pages import PAGES
from tests.web.browser import FOLLOWED, TYPED, Browser
from tests.web.conftest import MakeSite, Site, StandingClock

#: Routes that work without a session.
PUBLIC = {("GET", "/health"), ("GET", "/login"), ("POST", "/login"), ("POST", "/login/link")}
FOLDERS = {"/static"}

SCRIPT = "<script>alert(1)</script>"
HOSTILE = [
    SCRIPT,
    '"><img src=x onerror=alert(1)>',
    "x'; DROP TABLE settings; --",
    '" OR 1=1 --',
    "../../../../../../etc/passwd",
    "..\\..\\secret.key",
    "%2e%2e%2f%00",
    "\0",
    "\r\nSet-Cookie: stolen=1",
    "{{ 7 * 191 }}",
    "\u202etxt.exe",
    "999999999999999999999999",
    "-1",
    "x" * 3000,
]
#: Common names of fields and parameters, in addition to those that a route declares.
NAMES = ("name", "q", "sort", "page", "tab", "next", "token", "sql", "table", "destination")

REFUSED = {303, 401, 403, 404, 405}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    names: frozenset[str] = frozenset()

    def to(self, value: str) -> str:
        """The path with the value for each parameter."""
        return re.sub(r"\{[^}]*\}", quote(value, safe=""), self.path)

    @property
    def is_public(self) -> bool:
        return (self.method, self.path) in PUBLIC


def routes(page: FastAPI) -> Iterator[Route]:
    """Each method of each route except those of the API, which `tests/api` covers. Unknown kinds of routes fail."""
    for found in iter_route_contexts(page.routes):
        if isinstance(found.original_route, Mount):
            assert found.path in FOLDERS, f"{found.path} is public"
            continue
        assert isinstance(found.original_route, APIRoute), f"unknown kind of route: {found.original_route}"
        assert found.path is not None
        if found.path.startswith("/api/"):
            continue
        dependant = found.original_route.dependant
        declared = frozenset(one.alias for one in (*dependant.query_params, *dependant.body_params))
        for method in found.methods or ():
            yield Route(method, found.path, declared)


def late(_app: App) -> APIRouter:
    """Routes that the guard does not know."""
    router = APIRouter()

    @router.api_route("/late/{name}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def secret(name: str) -> Response:
        return PlainTextResponse("a secret")

    @router.get("/static-secrets/{name}")
    def similar(name: str) -> Response:
        return PlainTextResponse("a secret")

    @router.get("/login/{name:path}")
    def below(name: str) -> Response:
        return PlainTextResponse("a secret")

    return router


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(pages=[*PAGES, late])


def ask(browser: Browser, route: Route, value: str = "1", **headers: str) -> tuple[int, str]:
    answer = browser.ask(route.method, route.to(value), headers=FOLLOWED | headers)
    return answer.status, answer.text


def content(app: App) -> list[str]:
    """The content of the state without the sessions."""
    with sqlite3.connect(app.settings.home / "state.db") as connection:
        lines = [line for line in connection.iterdump() if "'page_" not in line]
    connection.close()
    return lines


def test_route_table_is_complete(site: Site) -> None:
    found = {(route.method, route.path) for route in routes(site.page)}
    assert found >= PUBLIC
    assert ("DELETE", "/late/{name}") in found
    assert ("POST", "/logout") in found
    assert len(found) >= len(PUBLIC) + 10


def test_requests_without_session_reach_public_routes_only(site: Site, app: App) -> None:
    before = content(app)
    for route in routes(site.page):
        status, text = ask(site.browser(), route)
        if route.is_public:
            assert status in (200, 403, 429), route
        else:
            assert status in (303, 401), route
            assert text in ("", "Sign in first.\n"), route
    assert content(app) == before


def test_expired_session_is_rejected(site: Site, app: App, clock: StandingClock) -> None:
    owner = site.owner()
    clock.advance(days=14)
    before = content(app)
    for route in routes(site.page):
        if not route.is_public:
            assert ask(owner, route)[0] in (303, 401), route
    assert content(app) == before


def test_ended_or_forged_session_is_rejected(site: Site) -> None:
    owner = site.owner()
    ended = dict(owner.cookies)
    owner.post("/logout")
    for value in (ended["counterfoil_8321"], "", "x", "' OR 1=1 --", "null", "0" * 64):
        for route in routes(site.page):
            if not route.is_public:
                assert ask(site.browser(cookies={"counterfoil_8321": value}), route)[0] in (303, 401), route


def test_cross_origin_requests_are_rejected(site: Site, app: App) -> None:
    owner = site.owner()
    before = content(app)
    for route in routes(site.page):
        for origin in ("cross-site", "same-site"):
            foreign = {"sec-fetch-site": origin, "origin": "https://evil.example"}
            embedded = foreign | {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
            assert ask(owner, route, **embedded)[0] == 403, route
            if route.method not in ("GET", "HEAD", "OPTIONS"):
                assert ask(owner, route, **foreign)[0] == 403, route
    assert content(app) == before


def test_requests_without_fetch_metadata_change_nothing(site: Site) -> None:
    owner = site.owner()
    for route in routes(site.page):
        if route.method not in ("GET", "HEAD", "OPTIONS"):
            for headers in ({}, {"origin": "null"}, {"origin": "https://evil.example"}):
                answer = owner.ask(route.method, route.to("1"), headers=headers)
                assert answer.status == 403, route


def test_other_host_names_are_rejected(site: Site) -> None:
    owner = site.owner(host="127.0.0.1:8321")
    for route in routes(site.page):
        for host in ("evil.example", "evil.example:8321", "127.0.0.1.evil.example:8321"):
            status, text = ask(owner, route, host=host)
            assert status == 421, route
            assert "secret" not in text


def test_hostile_input_without_session_is_harmless(site: Site, app: App) -> None:
    before = content(app)
    for route in routes(site.page):
        for value in HOSTILE:
            status, text = hostile(site.browser(), route, value)
            assert status in REFUSED | {200, 400, 429}, (route, value)
            assert "secret" not in text, (route, value)
    assert content(app) == before


def test_hostile_input_with_session_is_harmless(site: Site, app: App) -> None:
    for route in routes(site.page):
        owner = site.owner()
        for value in HOSTILE:
            status, text = hostile(owner, route, value)
            assert status < 500, (route, value, text)
    assert any("CREATE TABLE datasets" in line for line in content(app))


def hostile(browser: Browser, route: Route, value: str) -> tuple[int, str]:
    """Sends the value in every field and parameter. The response must not contain executable markup or a file."""
    fields = urlencode(dict.fromkeys({*route.names, *NAMES}, value), errors="surrogatepass")
    if route.method in ("GET", "HEAD", "OPTIONS"):
        answer = browser.ask(route.method, f"{route.to(value)}?{fields}", headers=FOLLOWED)
    else:
        answer = browser.ask(route.method, route.to(value), headers=FOLLOWED, body=fields.encode())
    is_page = (answer.get("content-type") or "").startswith("text/html")
    assert not (is_page and (SCRIPT in answer.text or "<img src=x" in answer.text)), (route, value)
    assert "root:x:" not in answer.text
    assert "1337" not in answer.text
    assert not any(name == "set-cookie" and "stolen" in cookie for name, cookie in answer.headers)
    assert not any("\n" in each or "\r" in each for _, each in answer.headers)
    assert (answer.get("location") or "/").startswith("/")
    return answer.status, answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/static/../security.py",
        "/static/..%2fsecurity.py",
        "/static/%2e%2e/security.py",
        "/static/..%5csecurity.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/app.css%00.html",
        "/static/",
        "/static",
        "/static/../late/1",
        "/static%2f..%2flate%2f1",
        "//late/1",
        "/late/1/",
        "/LATE/1",
        "/./late/1",
        "/health/",
        "/health/../late/1",
        "/login/../late/1",
        "/login/x",
        "/login;/late/1",
        "/%6cate/1",
        "*",
    ],
)
def test_path_tricks_are_rejected(site: Site, path: str) -> None:
    answer = site.browser().ask("GET", path, headers=TYPED)
    assert answer.status in (303, 404)
    assert not any(word in answer.text for word in ("secret", "import", "root:"))


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "POST\t", "X"])
def test_other_methods_are_rejected(site: Site, method: str) -> None:
    for path in ("/late/1", "/login", "/health", "/static/app.css"):
        answer = site.browser().ask(method, path, headers=FOLLOWED)
        assert answer.status in REFUSED
        assert "secret" not in answer.text


def test_method_override_is_ignored(site: Site) -> None:
    headers = FOLLOWED | {"x-http-method-override": "DELETE", "x-forwarded-host": "evil.example", "x-original-url": "/"}
    answer = site.browser().ask("GET", "/health", headers=headers)
    assert (answer.status, answer.text) == (200, '{"ok":true}')
    assert (
        site.browser(cookies={"session": "1"}).ask("POST", "/late/1", headers=headers, body=b"_method=GET").status
        == 303
    )
