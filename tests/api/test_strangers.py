"""Access to the API requires a valid token: tests of every route in the route table."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.responses import PlainTextResponse, Response

from counterfoil.app.app import App
from counterfoil.web.api.resource import V1
from counterfoil.web.api.routes import RESOURCES
from counterfoil.web.pages import tokens
from tests.api.conftest import MakeProgram
from tests.api.program import Program
from tests.web.browser import TYPED, Answer, Browser
from tests.web.conftest import MakeSite, Site, StandingClock

SAFE = ("GET", "HEAD", "OPTIONS")


def late(_app: App) -> APIRouter:
    """A resource that is added after the access check."""
    router = APIRouter(prefix=V1)

    @router.api_route("/late/{name}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def secret(name: str) -> Response:
        return PlainTextResponse("a secret")

    return router


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(resources=[*RESOURCES, late], pages=(tokens.routes,))


def routes(page: FastAPI) -> Iterator[tuple[str, str]]:
    """Each method of each API route, below `/api/v1`, with a value for each parameter."""
    for found in iter_route_contexts(page.routes):
        if isinstance(found.original_route, APIRoute) and (found.path or "").startswith("/api/"):
            path = re.sub(r"\{[^}]*\}", "1", str(found.path)).removeprefix("/api/v1")
            yield from ((method, path) for method in found.methods or ())


def stored(app: App) -> list[str]:
    """The content of the state, except for sessions."""
    with sqlite3.connect(app.settings.home / "state.db") as connection:
        lines = [line for line in connection.iterdump() if "'page_" not in line]
    connection.close()
    return lines


def assert_denied(answer: Answer, code: str) -> None:
    """Asserts the code and the headers of a denied request."""
    assert json.loads(answer.text)["code"] == code
    assert answer["content-type"] == "application/problem+json"
    assert answer["www-authenticate"].startswith('Bearer realm="counterfoil"')


def test_route_table_is_complete(site: Site) -> None:
    found = set(routes(site.page))
    assert {("DELETE", "/late/1"), ("GET", "/openapi.json"), ("POST", "/accounts"), ("GET", "/ask")} <= found
    assert len(found) > 45


def test_every_route_requires_token(site: Site, app: App, make_program: MakeProgram) -> None:
    before, anonymous = stored(app), make_program(token=None)
    for method, path in routes(site.page):
        assert_denied(anonymous.ask(method, path, status=401), "token_missing")
    assert stored(app) == before


def test_every_route_denies_wrong_expired_and_revoked_tokens(
    site: Site, app: App, make_program: MakeProgram, clock: StandingClock
) -> None:
    expired, revoked = make_program("old", expires="30d"), make_program("gone")
    app.tokens.revoke("gone")
    clock.advance(days=30)
    before = stored(app)
    for one in (make_program(token="cf_" + "0" * 64), expired, revoked):
        for method, path in routes(site.page):
            assert_denied(one.ask(method, path, status=401), "token_refused")
            clock.advance(minutes=16)  # the failures expire, so the next attempt is not throttled
    assert stored(app) == before


def test_read_only_token_changes_nothing(site: Site, app: App, make_program: MakeProgram) -> None:
    reader = make_program("reader", read_only=True)
    app.tokens.find(str(reader.token))
    before = stored(app)
    for method, path in routes(site.page):
        if method not in SAFE:
            assert_denied(reader.ask(method, path, status=403), "read_only")
    assert stored(app) == before
    reader.get("/datasets")


def test_session_and_token_are_not_interchangeable(site: Site, program: Program) -> None:
    owner = site.owner()
    for method, path in routes(site.page):
        answer = owner.ask(method, f"/api/v1{path}", headers={"sec-fetch-site": "same-origin"})
        assert_denied(answer, "token_missing")
    for path in ("/", "/runs", "/tokens", "/datasets/new", "/api.html", "/apis"):
        answer = Browser(site.page).get(path, headers=TYPED | {"authorization": f"Bearer {program.token}"})
        assert (answer.status, answer["location"][:6]) == (303, "/login")


def test_invalid_authorization_header_is_denied(program: Program) -> None:
    for header in ("", "Bearer", "Bearer ", "Basic {}", "Token {}", "{}", "Bearer {}x", "Bearer {} {}"):
        sent = header.format(program.token, program.token)
        assert program.ask("GET", "/datasets", authorization=sent).status == 401, header


def test_bearer_scheme_is_case_insensitive(program: Program) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert program.ask("GET", "/datasets", authorization=f"{scheme} {program.token}").status == 200


def test_token_in_url_is_rejected_even_with_valid_header(program: Program, clock: StandingClock) -> None:
    for query in (f"token={program.token}", f"q={program.token}", "access_token=x", f"{program.token}", "API_KEY=1"):
        assert program.problem("GET", f"/datasets?{query}") == (400, "token_in_address")


def test_cross_origin_request_is_denied(program: Program) -> None:
    for headers in ({"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {"origin": "https://evil.test"}):
        answer = program.ask("GET", "/datasets", **headers)
        assert (answer.status, json.loads(answer.text)["code"]) == (403, "foreign_origin")
        assert answer.get("access-control-allow-origin") is None


def test_path_variants_do_not_bypass_access_check(site: Site) -> None:
    owner = site.owner()
    for path in (
        "//api/v1/datasets",
        "/api//v1/datasets",
        "/API/v1/datasets",
        "/%61pi/v1/datasets",
        "/api/v1/datasets/",
        "/api/v1/../v1/datasets",
        "/static/../api/v1/datasets",
        "/static/..%2fapi/v1/datasets",
        "/login/../api/v1/datasets",
        "/health/../api/v1/datasets",
    ):
        for browser in (owner, site.browser()):
            answer = browser.get(path)
            assert answer.status in (303, 401, 404), path
            assert "items" not in answer.text


def test_unknown_host_name_is_denied(program: Program) -> None:
    answer = program.ask("GET", "/datasets", host="evil.example")
    assert (answer.status, json.loads(answer.text)["code"]) == (421, "wrong_host")


def test_wrong_tokens_are_throttled_without_blocking_valid_ones(
    make_program: MakeProgram, clock: StandingClock
) -> None:
    guesser, owner = make_program(token="cf_" + "1" * 64), make_program()
    statuses = [guesser.ask("GET", "/datasets").status for _ in range(8)]
    assert statuses == [401] * 6 + [429] * 2
    waits = guesser.ask("GET", "/datasets")
    assert (waits.status, waits["retry-after"]) == (429, "1")
    owner.get("/datasets")
    assert guesser.ask("GET", "/datasets").status == 401  # a valid token resets the failures of the address


def test_too_large_request_is_problem_json(program: Program) -> None:
    assert program.problem("PUT", "/config", b"#" * 1_000_001) == (413, "too_large")


def test_unknown_path_and_method_are_problem_json(program: Program) -> None:
    assert program.problem("GET", "/unknown") == (404, "not_found")
    assert program.problem("DELETE", "/runs") == (405, "method_not_allowed")
    assert program.ask("DELETE", "/runs")["allow"] == "GET"
