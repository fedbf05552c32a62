"""Sessions survive restarts, are extended by use, and expire; their stored form can't be used to sign in."""

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


def test_session_is_found_only_by_its_token(sessions: SessionService) -> None:
    token = sessions.begin()
    assert sessions.find(token) is not None
    for other in ("", "x", token[:-1], token + "=", token.upper(), "\udcff"):
        assert sessions.find(other) is None


def test_used_session_lasts_ninety_days(sessions: SessionService, clock: StandingClock) -> None:
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


def test_use_is_recorded_once_an_hour(sessions: SessionService, app: App, clock: StandingClock) -> None:
    token = sessions.begin()
    before = app.state.setting("page_sessions")
    clock.advance(minutes=59)
    sessions.find(token)
    assert app.state.setting("page_sessions") == before
    clock.advance(minutes=2)
    sessions.find(token)
    assert app.state.setting("page_sessions") != before


def test_state_contains_no_session_token(sessions: SessionService, app: App) -> None:
    token = sessions.begin()
    kept = json.dumps(app.state.setting("page_sessions"))
    assert len(kept) > 64
    assert token not in kept


def test_expired_sessions_are_deleted_and_number_is_limited(
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


def test_concurrent_sessions_are_all_stored(sessions: SessionService) -> None:
    begun: list[str] = []
    threads = [threading.Thread(target=lambda: begun.append(sessions.begin())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(sessions.find(token) for token in begun)
    assert len(set(begun)) == 8


def test_session_survives_restart(site: Site, app: App, clock: StandingClock) -> None:
    owner = site.owner()
    with open_app(app.settings, clock=clock) as again:
        assert again.sessions.find(next(iter(owner.cookies.values()))) is not None


def test_cookie_is_opaque_and_http_only(site: Site) -> None:
    owner = site.owner()
    (cookie,) = owner.set_cookie
    assert cookie.startswith("counterfoil_8321=")
    assert len(owner.cookies["counterfoil_8321"]) >= 43
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=7776000"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert "Domain" not in cookie


def test_https_cookie_is_bound_to_the_host(make_site: MakeSite) -> None:
    site = make_site(password="correct horse battery", url="https://books.example.com")
    browser = site.browser(host="books.example.com")
    answer = browser.post("/login", {"password": "correct horse battery"})
    assert answer.status == 303
    (cookie,) = browser.set_cookie
    assert cookie.startswith("__Host-counterfoil=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))


def test_logout_ends_the_session_on_the_server(site: Site) -> None:
    owner = site.owner()
    thief = site.browser(cookies=dict(owner.cookies))
    assert thief.get("/nothing").status == 404
    answer = owner.post("/logout")
    assert (answer.status, answer["location"]) == (303, "/login")
    assert owner.cookies == {}
    assert thief.get("/nothing").status == 303


def test_new_login_ends_the_previous_session(site: Site, app: App) -> None:
    owner = site.owner()
    before = dict(owner.cookies)
    owner.get(f"/login?token={site.door.links.make()}")
    assert owner.cookies != before
    assert site.browser(cookies=before).get("/nothing").status == 303
    assert owner.get("/nothing").status == 404


def test_changed_password_ends_all_sessions(make_site: MakeSite) -> None:
    cookies = make_site(password="correct horse battery").browser()
    cookies.post("/login", {"password": "correct horse battery"})

    def is_in(password: str | None) -> bool:
        return make_site(password).browser(cookies=dict(cookies.cookies)).get("/nothing").status == 404

    assert is_in("correct horse battery")
    assert not is_in("another horse battery")
    assert not is_in("correct horse battery")


def test_setting_or_removing_a_password_ends_sessions(make_site: MakeSite) -> None:
    owner = make_site().owner()
    assert make_site().browser(cookies=dict(owner.cookies)).get("/nothing").status == 404
    make_site("correct horse battery")
    assert make_site().browser(cookies=dict(owner.cookies)).get("/nothing").status == 303
