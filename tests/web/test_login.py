"""Login: single-use links, throttled passwords, and the return to the requested URL."""

from __future__ import annotations

import unicodedata

import pytest

from counterfoil.app.app import App
from counterfoil.errors import SettingsError
from counterfoil.web.access.login import within
from counterfoil.web.access.throttle import Throttle
from tests.web.browser import FOLLOWED
from tests.web.conftest import MakeSite, Site, StandingClock

PASSWORD = "correct horse battery"


def test_link_works_once(site: Site) -> None:
    link = f"/login?token={site.door.links.make()}"
    first, second = site.browser(), site.browser()
    answer = first.get(link)
    assert (answer.status, answer["location"]) == (303, "/")
    assert first.get("/nothing").status == 404
    answer = second.get(link)
    assert answer.status == 403
    assert "used already" in answer.text
    assert second.get("/nothing").status == 303


def test_used_link_redirects_if_signed_in(site: Site) -> None:
    link = f"/login?token={site.door.links.make()}&next=/runs"
    browser = site.browser()
    browser.get(link)
    answer = browser.get(link)
    assert (answer.status, answer["location"]) == (303, "/runs")


def test_link_expires_after_ten_minutes(site: Site, clock: StandingClock) -> None:
    early, late = site.door.links.make(), site.door.links.make()
    clock.advance(seconds=599)
    assert site.browser().get(f"/login?token={early}").status == 303
    clock.advance(seconds=1)
    assert site.browser().get(f"/login?token={late}").status == 403


@pytest.mark.parametrize("token", ["", "x", "%00", "' OR 1=1 --", "\udcff"])
def test_unknown_token_is_rejected(site: Site, token: str) -> None:
    site.door.links.make()
    assert not site.door.links.take(token)


def test_head_request_does_not_use_up_a_link(site: Site) -> None:
    link = f"/login?token={site.door.links.make()}"
    site.browser().ask("HEAD", link, headers=FOLLOWED)
    assert site.browser().get(link).status == 303


def test_new_link_is_printed_and_not_sent(site: Site, clock: StandingClock) -> None:
    stranger = site.browser()
    answer = stranger.post("/login/link")
    assert answer.status == 200
    (token,) = site.printed
    assert token not in answer.text
    assert stranger.post("/login/link").status == 429
    assert len(site.printed) == 1
    clock.advance(seconds=31)
    assert stranger.post("/login/link").status == 200
    assert site.browser().get(f"/login?token={token}").status == 303


def test_password_disables_links(make_site: MakeSite) -> None:
    site = make_site(PASSWORD)
    assert site.browser().get(f"/login?token={site.door.links.make()}").status == 200
    assert site.browser().post("/login/link").status == 403
    assert site.printed == []


def test_only_the_exact_password_works(make_site: MakeSite) -> None:
    site = make_site(PASSWORD)
    browser = site.browser()
    for wrong in ("", PASSWORD.upper(), PASSWORD + " ", PASSWORD + "\0"):
        answer = browser.post("/login", {"password": wrong})
        assert answer.status == 403
        assert "Wrong password" in answer.text
        assert browser.cookies == {}
    assert browser.post("/login", {"password": PASSWORD}).status == 303
    assert browser.get("/nothing").status == 404


def test_password_is_normalized_to_nfc(make_site: MakeSite) -> None:
    site = make_site("Zürich-Genève")
    decomposed = unicodedata.normalize("NFD", "Zürich-Genève")
    assert site.browser().post("/login", {"password": decomposed}).status == 303


def test_passwords_are_rejected_if_none_is_set(site: Site) -> None:
    assert site.browser().post("/login", {"password": ""}).status == 403
    assert site.browser().post("/login", {"password": PASSWORD}).status == 403


def test_password_is_stored_as_hash_only(make_site: MakeSite, app: App) -> None:
    make_site(PASSWORD)
    kept = str(app.state.setting("page_password"))
    assert "$argon2id$" in kept
    assert PASSWORD not in kept


def test_short_password_is_rejected_at_start(make_site: MakeSite) -> None:
    with pytest.raises(SettingsError, match=r"COUNTERFOIL_PASSWORD .* 9 characters"):
        make_site("123456789")


def test_each_wrong_password_increases_the_wait(make_site: MakeSite, clock: StandingClock) -> None:
    site = make_site(PASSWORD)
    stranger = site.browser(address="10.0.0.9")
    for _ in range(6):
        assert stranger.post("/login", {"password": "guessed"}).status == 403
    answer = stranger.post("/login", {"password": PASSWORD})
    assert (answer.status, answer["retry-after"]) == (429, "1")
    assert stranger.cookies == {}
    clock.advance(seconds=1)
    assert stranger.post("/login", {"password": "guessed"}).status == 403
    assert stranger.post("/login", {"password": PASSWORD})["retry-after"] == "2"
    clock.advance(seconds=2)
    assert stranger.post("/login", {"password": PASSWORD}).status == 303


def test_guesses_of_others_delay_an_address_by_two_seconds() -> None:
    throttle = Throttle(lambda: 0)
    for number in range(1000):
        throttle.failed(f"address {number}")
    assert throttle.wait_seconds("address of the owner") == 2
    assert throttle.wait_seconds("browser of the owner", alone=True) == 0


def test_wait_is_at_most_a_minute_and_expires() -> None:
    now = 0.0
    throttle = Throttle(lambda: now)
    for _ in range(500):
        throttle.failed("address 1")
    assert throttle.wait_seconds("address 1") == 60
    now = 901
    assert throttle.wait_seconds("address 1") == 0


def test_known_browser_is_throttled_separately(make_site: MakeSite, clock: StandingClock) -> None:
    site = make_site(PASSWORD)
    owner = site.browser()
    owner.post("/login", {"password": PASSWORD})
    clock.advance(days=15)
    assert owner.get("/nothing").status == 303

    stranger = site.browser()
    for _ in range(6):
        stranger.post("/login", {"password": "guessed"})
    assert stranger.post("/login", {"password": PASSWORD}).status == 429
    for number in range(17):
        site.browser(address=f"10.0.0.{number}").post("/login", {"password": "guessed"})
    assert site.browser(address="10.0.0.99").post("/login", {"password": PASSWORD}).status == 429
    assert owner.post("/login", {"password": PASSWORD}).status == 303


def test_expired_session_returns_to_the_same_url(site: Site, clock: StandingClock) -> None:
    owner = site.owner()
    clock.advance(days=15)
    answer = owner.get("/datasets/d1?tab=data&sort=-amount")
    assert answer.status == 303
    assert answer["location"] == "/login?next=%2Fdatasets%2Fd1%3Ftab%3Ddata%26sort%3D-amount"
    form = owner.follow(answer)
    assert 'value="/datasets/d1?tab=data&amp;sort=-amount"' in form.text
    token = site.door.links.make()
    back = owner.get(f"/login?token={token}&next=%2Fdatasets%2Fd1%3Ftab%3Ddata%26sort%3D-amount")
    assert back["location"] == "/datasets/d1?tab=data&sort=-amount"


def test_password_form_keeps_the_url(make_site: MakeSite) -> None:
    site = make_site(PASSWORD)
    browser = site.browser()
    wrong = browser.post("/login", {"password": "guessed", "next": "/runs"})
    assert 'value="/runs"' in wrong.text
    assert "guessed" not in wrong.text
    assert browser.post("/login", {"password": PASSWORD, "next": "/runs"})["location"] == "/runs"


def test_htmx_request_redirects_the_page_to_login(site: Site) -> None:
    headers = {"hx-request": "true", "hx-current-url": "http://127.0.0.1:8321/runs?status=failed"}
    answer = site.browser().get("/runs/rows", headers=FOLLOWED | headers)
    assert (answer.status, answer["hx-redirect"]) == (401, "/login?next=%2Fruns%3Fstatus%3Dfailed")
    elsewhere = site.browser().get("/x", headers=FOLLOWED | headers | {"hx-current-url": "https://evil.example/a"})
    assert elsewhere["hx-redirect"] == "/login?next=%2F"


def test_late_form_returns_to_its_page(site: Site) -> None:
    answer = site.browser().post("/runs/r1/cancel", headers=FOLLOWED | {"referer": "http://127.0.0.1:8321/runs"})
    assert (answer.status, answer["location"]) == (303, "/login?next=%2Fruns")


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\n//evil.example",
        "/a\r\nSet-Cookie: x=y",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/login",
        "/login?next=/login",
        "/logout",
        "http:///evil.example",
    ],
)
def test_foreign_return_url_is_replaced(place: str, site: Site) -> None:
    assert within(place) == "/"


@pytest.mark.parametrize(
    "place", ["/", "/runs", "/datasets/a%2Fb?x=//y#z", "/datasets/d1?next=https://x", "/loginless"]
)
def test_own_return_url_is_kept(place: str) -> None:
    assert within(place) == place
