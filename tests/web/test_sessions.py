"""Sessions outlive restarts, slide, and end; what is kept of them opens nothing."""

from __future__ import annotations

import json
import threading

import pytest

from counterfoil.app.app import App, open_app
from counterfoil.app.sessions import SessionService
from tests.web.conftest import MakeSite, Site, StandingClock


@pytest.fixture
def sessions(app: App) -> SessionService:
    return app.sessions


def test_a_session_is_found_by_its_token_alone(sessions: SessionService) -> None:
    token = sessions.begin()
    assert sessions.find(token) is not None
    for other in ("", "x", token[:-1], token + "=", token.upper(), "\udcff"):
        assert sessions.find(other) is None


def test_a_session_that_is_used_lasts_for_ninety_days(sessions: SessionService, clock: StandingClock) -> None:
    token = sessions.begin()
    for _ in range(9):
        clock.advance(days=9.9)
        assert sessions.find(token) is not None
    clock.advance(days=1)
    assert sessions.find(token) is None


def test_unused_session_lasts_fourteen_days(sessions: SessionService, clock: StandingClock) -> None:
    token = sessions.begin()
    clock.advance(days=13.9)
    assert sessions.find(token) is not None
    clock.advance(days=13.9)
    assert sessions.find(token) is not None
    clock.advance(days=14)
    assert sessions.find(token) is None
    assert sessions.knows(token)


def test_a_use_is_noted_once_an_hour(sessions: SessionService, app: App, clock: StandingClock) -> None:
    token = sessions.begin()
    before = app.state.setting("page_sessions")
    clock.advance(minutes=59)
    sessions.find(token)
    assert app.state.setting("page_sessions") == before
    clock.advance(minutes=2)
    sessions.find(token)
    assert app.state.setting("page_sessions") != before


def test_what_is_kept_holds_no_token(sessions: SessionService, app: App) -> None:
    token = sessions.begin()
    kept = json.dumps(app.state.setting("page_sessions"))
    assert len(kept) > 64
    assert token not in kept


def test_sessions_that_are_over_are_forgotten_and_the_number_is_bounded(
    sessions: SessionService, app: App, clock: StandingClock
) -> None:
    first = sessions.begin()
    for _ in range(100):
        clock.advance(minutes=1)
        newest = sessions.begin()
    assert sessions.find(first) is None
    assert sessions.find(newest) is not None
    clock.advance(days=91)
    sessions.begin()
    assert len(app.state.setting("page_sessions")) == 1


def test_sessions_that_begin_side_by_side_are_all_kept(sessions: SessionService) -> None:
    begun: list[str] = []
    threads = [threading.Thread(target=lambda: begun.append(sessions.begin())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(sessions.find(token) for token in begun)
    assert len(set(begun)) == 8


def test_a_session_outlives_a_restart(site: Site, app: App, clock: StandingClock) -> None:
    owner = site.owner()
    with open_app(app.settings, clock=clock) as again:
        assert again.sessions.find(next(iter(owner.cookies.values()))) is not None


def test_the_cookie_is_opaque_and_out_of_the_reach_of_scripts(site: Site) -> None:
    owner = site.owner()
    (cookie,) = owner.set_cookie
    assert cookie.startswith("counterfoil_8321=")
    assert len(owner.cookies["counterfoil_8321"]) >= 43
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=7776000"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert "Domain" not in cookie


def test_behind_https_the_cookie_is_for_that_host_alone(make_site: MakeSite) -> None:
    site = make_site(password="correct horse battery", url="https://books.example.com")
    browser = site.browser(host="books.example.com")
    answer = browser.post("/login", {"password": "correct horse battery"})
    assert answer.status == 303
    (cookie,) = browser.set_cookie
    assert cookie.startswith("__Host-counterfoil=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))


def test_logging_out_ends_the_session_on_the_server(site: Site) -> None:
    owner = site.owner()
    thief = site.browser(cookies=dict(owner.cookies))
    assert thief.get("/nothing").status == 404
    answer = owner.post("/logout")
    assert (answer.status, answer["location"]) == (303, "/login")
    assert owner.cookies == {}
    assert thief.get("/nothing").status == 303


def test_signing_in_again_ends_the_session_before(site: Site, app: App) -> None:
    owner = site.owner()
    before = dict(owner.cookies)
    owner.get(f"/login?token={site.door.links.make()}")
    assert owner.cookies != before
    assert site.browser(cookies=before).get("/nothing").status == 303
    assert owner.get("/nothing").status == 404


def test_another_password_ends_all_sessions_and_the_same_one_none(make_site: MakeSite) -> None:
    cookies = make_site(password="correct horse battery").browser()
    cookies.post("/login", {"password": "correct horse battery"})

    def is_in(password: str | None) -> bool:
        return make_site(password).browser(cookies=dict(cookies.cookies)).get("/nothing").status == 404

    assert is_in("correct horse battery")
    assert not is_in("another horse battery")
    assert not is_in("correct horse battery")


def test_setting_or_removing_a_password_ends_all_sessions(make_site: MakeSite) -> None:
    owner = make_site().owner()
    assert make_site().browser(cookies=dict(owner.cookies)).get("/nothing").status == 404
    make_site("correct horse battery")
    assert make_site().browser(cookies=dict(owner.cookies)).get("/nothing").status == 303
