"""A stranger gets nothing. Every route is asked, as the route table has them: a new one can't be forgotten."""

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

#: Whoever adds to this list says that strangers may have it.
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
#: What forms and addresses of any page may have, beside what a route declares.
NAMES = ("name", "q", "sort", "page", "tab", "next", "token", "sql", "table", "destination")

REFUSED = {303, 401, 403, 404, 405}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    names: frozenset[str] = frozenset()

    def to(self, value: str) -> str:
        """Its address, with the value for each of its parts that vary."""
        return re.sub(r"\{[^}]*\}", quote(value, safe=""), self.path)

    @property
    def is_public(self) -> bool:
        return (self.method, self.path) in PUBLIC


def routes(page: FastAPI) -> Iterator[Route]:
    """Each method of each route but those of programs, which `tests/api` asks; a kind that is not known here fails."""
    for found in iter_route_contexts(page.routes):
        if isinstance(found.original_route, Mount):
            assert found.path in FOLDERS, f"{found.path} is open to strangers"
            continue
        assert isinstance(found.original_route, APIRoute), f"what is {found.original_route}?"
        assert found.path is not None
        if found.path.startswith("/api/"):
            continue
        dependant = found.original_route.dependant
        declared = frozenset(one.alias for one in (*dependant.query_params, *dependant.body_params))
        for method in found.methods or ():
            yield Route(method, found.path, declared)


def late(_app: App) -> APIRouter:
    """A page that nobody thought of when the guard was written."""
    router = APIRouter()

    @router.api_route("/late/{name}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def secret(name: str) -> Response:
        return PlainTextResponse("a secret")

    @router.get("/static-secrets/{name}")
    def beside(name: str) -> Response:
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


def remembered(app: App) -> list[str]:
    """All that the state holds, but for who is signed in."""
    with sqlite3.connect(app.settings.home / "state.db") as connection:
        lines = [line for line in connection.iterdump() if "'page_" not in line]
    connection.close()
    return lines


def test_the_route_table_is_walked(site: Site) -> None:
    found = {(route.method, route.path) for route in routes(site.page)}
    assert found >= PUBLIC
    assert ("DELETE", "/late/{name}") in found
    assert ("POST", "/logout") in found
    assert len(found) >= len(PUBLIC) + 10


def test_without_a_session_every_route_is_refused_but_the_short_list(site: Site, app: App) -> None:
    before = remembered(app)
    for route in routes(site.page):
        status, text = ask(site.browser(), route)
        if route.is_public:
            assert status in (200, 403, 429), route
        else:
            assert status in (303, 401), route
            assert text in ("", "Sign in first.\n"), route
    assert remembered(app) == before


def test_with_an_expired_session_every_route_is_refused(site: Site, app: App, clock: StandingClock) -> None:
    owner = site.owner()
    clock.advance(days=14)
    before = remembered(app)
    for route in routes(site.page):
        if not route.is_public:
            assert ask(owner, route)[0] in (303, 401), route
    assert remembered(app) == before


def test_with_an_ended_or_invented_session_every_route_is_refused(site: Site) -> None:
    owner = site.owner()
    ended = dict(owner.cookies)
    owner.post("/logout")
    for value in (ended["counterfoil_8321"], "", "x", "' OR 1=1 --", "null", "0" * 64):
        for route in routes(site.page):
            if not route.is_public:
                assert ask(site.browser(cookies={"counterfoil_8321": value}), route)[0] in (303, 401), route


def test_from_another_origin_nothing_is_changed_and_nothing_is_read(site: Site, app: App) -> None:
    owner = site.owner()
    before = remembered(app)
    for route in routes(site.page):
        for origin in ("cross-site", "same-site"):
            foreign = {"sec-fetch-site": origin, "origin": "https://evil.example"}
            embedded = foreign | {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
            assert ask(owner, route, **embedded)[0] == 403, route
            if route.method not in ("GET", "HEAD", "OPTIONS"):
                assert ask(owner, route, **foreign)[0] == 403, route
    assert remembered(app) == before


def test_from_a_browser_that_tells_less_nothing_is_changed_either(site: Site) -> None:
    owner = site.owner()
    for route in routes(site.page):
        if route.method not in ("GET", "HEAD", "OPTIONS"):
            for headers in ({}, {"origin": "null"}, {"origin": "https://evil.example"}):
                answer = owner.ask(route.method, route.to("1"), headers=headers)
                assert answer.status == 403, route


def test_under_another_name_every_route_is_refused(site: Site) -> None:
    owner = site.owner(host="127.0.0.1:8321")
    for route in routes(site.page):
        for host in ("evil.example", "evil.example:8321", "127.0.0.1.evil.example:8321"):
            status, text = ask(owner, route, host=host)
            assert status == 421, route
            assert "secret" not in text


def test_hostile_names_do_no_harm_to_strangers_answers(site: Site, app: App) -> None:
    before = remembered(app)
    for route in routes(site.page):
        for value in HOSTILE:
            status, text = hostile(site.browser(), route, value)
            assert status in REFUSED | {200, 400, 429}, (route, value)
            assert "secret" not in text, (route, value)
    assert remembered(app) == before


def test_hostile_names_do_no_harm_to_the_owner(site: Site, app: App) -> None:
    for route in routes(site.page):
        owner = site.owner()
        for value in HOSTILE:
            status, text = hostile(owner, route, value)
            assert status < 500, (route, value, text)
    assert any("CREATE TABLE datasets" in line for line in remembered(app))


def hostile(browser: Browser, route: Route, value: str) -> tuple[int, str]:
    """The value wherever the route takes one; what comes back must not run, nor be what a file holds."""
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
def test_ways_around_lead_nowhere(site: Site, path: str) -> None:
    answer = site.browser().ask("GET", path, headers=TYPED)
    assert answer.status in (303, 404)
    assert not any(word in answer.text for word in ("secret", "import", "root:"))


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "POST\t", "X"])
def test_other_methods_lead_nowhere(site: Site, method: str) -> None:
    for path in ("/late/1", "/login", "/health", "/static/app.css"):
        answer = site.browser().ask(method, path, headers=FOLLOWED)
        assert answer.status in REFUSED
        assert "secret" not in answer.text


def test_a_method_that_a_header_or_a_field_names_instead_is_not_taken(site: Site) -> None:
    headers = FOLLOWED | {"x-http-method-override": "DELETE", "x-forwarded-host": "evil.example", "x-original-url": "/"}
    answer = site.browser().ask("GET", "/health", headers=headers)
    assert (answer.status, answer.text) == (200, '{"ok":true}')
    assert (
        site.browser(cookies={"session": "1"}).ask("POST", "/late/1", headers=headers, body=b"_method=GET").status
        == 303
    )
