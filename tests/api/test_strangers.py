"""Without a token that works a program gets nothing. Every route is asked, as the route table has them."""

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
    """A resource that nobody thought of when the guard was written."""
    router = APIRouter(prefix=V1)

    @router.api_route("/late/{name}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def secret(name: str) -> Response:
        return PlainTextResponse("a secret")

    return router


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(resources=[*RESOURCES, late], pages=(tokens.routes,))


def routes(page: FastAPI) -> Iterator[tuple[str, str]]:
    """Each method of each route of programs, below `/api/v1`, with a value for what varies."""
    for found in iter_route_contexts(page.routes):
        if isinstance(found.original_route, APIRoute) and (found.path or "").startswith("/api/"):
            path = re.sub(r"\{[^}]*\}", "1", str(found.path)).removeprefix("/api/v1")
            yield from ((method, path) for method in found.methods or ())


def remembered(app: App) -> list[str]:
    """All that the state holds, but for who is signed in."""
    with sqlite3.connect(app.settings.home / "state.db") as connection:
        lines = [line for line in connection.iterdump() if "'page_" not in line]
    connection.close()
    return lines


def refused(answer: Answer, code: str) -> None:
    assert json.loads(answer.text)["code"] == code
    assert answer["content-type"] == "application/problem+json"
    assert answer["www-authenticate"].startswith('Bearer realm="counterfoil"')


def test_the_route_table_is_walked(site: Site) -> None:
    found = set(routes(site.page))
    assert {("DELETE", "/late/1"), ("GET", "/openapi.json"), ("POST", "/accounts"), ("GET", "/ask")} <= found
    assert len(found) > 45


def test_without_a_token_every_route_is_refused(site: Site, app: App, make_program: MakeProgram) -> None:
    before, nobody = remembered(app), make_program(token=None)
    for method, path in routes(site.page):
        refused(nobody.ask(method, path, status=401), "token_missing")
    assert remembered(app) == before


def test_with_a_wrong_an_expired_or_a_revoked_token_every_route_is_refused(
    site: Site, app: App, make_program: MakeProgram, clock: StandingClock
) -> None:
    expired, revoked = make_program("old", expires="30d"), make_program("gone")
    app.tokens.revoke("gone")
    clock.advance(days=30)
    before = remembered(app)
    for one in (make_program(token="cf_" + "0" * 64), expired, revoked):
        for method, path in routes(site.page):
            refused(one.ask(method, path, status=401), "token_refused")
            clock.advance(minutes=16)  # what a few wrong tries before would make it wait
    assert remembered(app) == before


def test_a_token_that_may_only_read_changes_nothing(site: Site, app: App, make_program: MakeProgram) -> None:
    reader = make_program("reader", read_only=True)
    app.tokens.find(str(reader.token))
    before = remembered(app)
    for method, path in routes(site.page):
        if method not in SAFE:
            refused(reader.ask(method, path, status=403), "read_only")
    assert remembered(app) == before
    reader.get("/datasets")


def test_a_session_is_no_token_and_a_token_is_no_session(site: Site, program: Program) -> None:
    owner = site.owner()
    for method, path in routes(site.page):
        answer = owner.ask(method, f"/api/v1{path}", headers={"sec-fetch-site": "same-origin"})
        refused(answer, "token_missing")
    for path in ("/", "/runs", "/tokens", "/datasets/new", "/api.html", "/apis"):
        answer = Browser(site.page).get(path, headers=TYPED | {"authorization": f"Bearer {program.token}"})
        assert (answer.status, answer["location"][:6]) == (303, "/login")


def test_a_header_that_is_no_bearer_of_a_token_is_refused(program: Program) -> None:
    for header in ("", "Bearer", "Bearer ", "Basic {}", "Token {}", "{}", "Bearer {}x", "Bearer {} {}"):
        sent = header.format(program.token, program.token)
        assert program.ask("GET", "/datasets", authorization=sent).status == 401, header


def test_the_word_bearer_is_taken_in_any_case(program: Program) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert program.ask("GET", "/datasets", authorization=f"{scheme} {program.token}").status == 200


def test_a_token_in_an_address_is_refused_even_beside_one_in_the_header(program: Program, clock: StandingClock) -> None:
    for query in (f"token={program.token}", f"q={program.token}", "access_token=x", f"{program.token}", "API_KEY=1"):
        assert program.problem("GET", f"/datasets?{query}") == (400, "token_in_address")


def test_from_another_sites_page_nothing_is_answered(program: Program) -> None:
    for headers in ({"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {"origin": "https://evil.test"}):
        answer = program.ask("GET", "/datasets", **headers)
        assert (answer.status, json.loads(answer.text)["code"]) == (403, "foreign_origin")
        assert answer.get("access-control-allow-origin") is None


def test_ways_around_lead_nowhere(site: Site) -> None:
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


def test_under_another_name_nothing_is_answered(program: Program) -> None:
    answer = program.ask("GET", "/datasets", host="evil.example")
    assert (answer.status, json.loads(answer.text)["code"]) == (421, "wrong_host")


def test_wrong_tokens_are_answered_slowly_and_keep_out_nobody_who_has_one(
    make_program: MakeProgram, clock: StandingClock
) -> None:
    guesser, knows = make_program(token="cf_" + "1" * 64), make_program()
    statuses = [guesser.ask("GET", "/datasets").status for _ in range(8)]
    assert statuses == [401] * 6 + [429] * 2
    waits = guesser.ask("GET", "/datasets")
    assert (waits.status, waits["retry-after"]) == (429, "1")
    knows.get("/datasets")
    assert guesser.ask("GET", "/datasets").status == 401  # whoever has one at that address is trusted again


def test_too_much_at_once_is_refused_in_the_same_form(program: Program) -> None:
    assert program.problem("PUT", "/config", b"#" * 1_000_001) == (413, "too_large")


def test_what_is_not_there_and_what_can_not_be_asked_is_told_in_the_same_form(program: Program) -> None:
    assert program.problem("GET", "/nothing") == (404, "not_found")
    assert program.problem("DELETE", "/runs") == (405, "method_not_allowed")
    assert program.ask("DELETE", "/runs")["allow"] == "GET"
