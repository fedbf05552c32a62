"""Accounts on the page: connected, renamed, given another key, checked, emptied, removed."""

from __future__ import annotations

from html import unescape

import pytest

from counterfoil.app.app import App
from counterfoil.app.connection import catalogue
from counterfoil.state.accounts import Account
from counterfoil.web.pages.connect import KEY_PAGES
from stripe_sandbox import Sandbox
from tests.web.browser import Browser
from tests.web.conftest import FULL, LIVE, RESTRICTED, Site
from tests.web.forms import form_of, send

OTHER = "sk_test_demo_other_7777"


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


@pytest.fixture
def shop(app: App, sandbox: Sandbox) -> Account:
    return app.accounts.add("Shop", FULL, api_base=sandbox.url)


def dataset(app: App, account: Account, name: str = "Charges", report: str = "charges") -> str:
    return app.datasets.create(name, account=account.id, report=report).dataset.id


def test_connecting_leads_to_the_account(owner: Browser, app: App, sandbox: Sandbox) -> None:
    answer = owner.post("/accounts/new", {"key": f" {FULL} ", "api_base": sandbox.url, "stripe_account": ""})
    (account,) = app.accounts.list()
    assert answer["location"] == f"/accounts/{account.id}?new=1"
    text = owner.follow(answer).text
    assert "Connected to" in text
    assert FULL not in text


def test_what_was_typed_beside_a_refused_key_comes_back_and_the_key_does_not(owner: Browser, sandbox: Sandbox) -> None:
    answer = owner.post("/accounts/new", {"key": "sk_test_wrongwrong1", "api_base": sandbox.url})
    assert "Stripe does not take the key" in answer.text
    assert form_of(answer.text, "/accounts/new")["api_base"] == sandbox.url
    assert "sk_test_wrongwrong1" not in answer.text


def test_no_key_and_a_publishable_key_are_refused_without_asking_stripe(owner: Browser, app: App) -> None:
    assert "No key is given" in owner.post("/accounts/new", {"key": "  "}).text
    assert owner.post("/accounts/new", {"key": "pk_test_abcdefgh1234"}).status == 200
    assert app.accounts.list() == ()


def test_the_link_to_a_restricted_key_asks_for_what_the_reports_need() -> None:
    assert KEY_PAGES.create.startswith("https://dashboard.stripe.com/apikeys/create?name=Counterfoil&permissions")
    assert "rak_charge_read" in KEY_PAGES.create
    assert "rak_price_read" not in KEY_PAGES.create


def test_a_second_account_of_the_same_name_is_told_apart_by_its_mode(app: App, sandbox: Sandbox) -> None:
    first = app.accounts.connect(FULL, api_base=sandbox.url)
    second = app.accounts.connect(LIVE, api_base=sandbox.url)
    third = app.accounts.connect(OTHER, api_base=sandbox.url)
    assert second.name == f"{first.name} (live)"
    assert third.name == f"{first.name} (test)"


def test_the_page_tells_what_the_key_may_read_and_which_permission_is_missing(
    owner: Browser, app: App, sandbox: Sandbox
) -> None:
    account = app.accounts.add("Narrow", RESTRICTED, api_base=sandbox.url)
    text = owner.get(f"/accounts/{account.id}").text
    assert "rak_event_read" in text
    assert "rak_charge_read" not in text
    assert f"{len(account.readable)} of {len(catalogue())} reports" in text


def test_renaming_keeps_what_was_typed_when_the_name_is_taken(owner: Browser, app: App, shop: Account) -> None:
    app.accounts.add("Books", OTHER, api_base=shop.api_base)
    place = f"/accounts/{shop.id}/name"
    refused = owner.post(place, {"name": "Books"})
    assert refused.status == 400
    assert form_of(refused.text, place)["name"] == "Books"
    assert "There is already an account 'Books'" in unescape(refused.text)
    assert owner.post(place, {"name": "The shop"}).status == 303
    assert app.accounts.get(shop.id).name == "The shop"


def test_another_key_of_the_same_account_takes_the_place_of_the_first(owner: Browser, app: App, shop: Account) -> None:
    assert owner.post(f"/accounts/{shop.id}/key", {"key": OTHER})["location"] == f"/accounts/{shop.id}"
    assert app.accounts.get(shop.id).shown.endswith("7777")


def test_a_key_of_the_other_mode_is_refused_and_the_first_stays(owner: Browser, app: App, shop: Account) -> None:
    answer = send(owner, f"/accounts/{shop.id}/key", [("key", LIVE)], **{"hx-request": "true"})
    assert answer["hx-retarget"] == "#key-told"
    assert "This is a live key" in answer.text
    assert "counterfoil accounts" not in answer.text
    assert LIVE not in answer.text
    assert app.accounts.get(shop.id).shown == shop.shown


def test_a_check_that_fails_is_kept_and_the_page_says_so(owner: Browser, app: App) -> None:
    with Sandbox(scale=0.01) as own:
        account = app.accounts.add("Shop", FULL, api_base=own.url)
        own.control("keys", key=FULL, refused=True)
        answer = owner.post(f"/accounts/{account.id}/check", {"next": "/accounts"})
        assert answer["location"] == "/accounts"
        assert app.accounts.get(account.id).status == "rejected"
        assert "Rejected" in owner.get(f"/accounts/{account.id}").text


def test_a_check_never_leads_elsewhere(owner: Browser, shop: Account) -> None:
    assert owner.post(f"/accounts/{shop.id}/check", {"next": "https://evil.example"})["location"] == "/"


def test_an_account_is_not_removed_before_the_person_saw_what_stops(owner: Browser, app: App, shop: Account) -> None:
    dataset(app, shop)
    place = f"/accounts/{shop.id}/remove"
    assert "Charges" in owner.get(place).text
    assert "1 dataset would stop" in owner.post(place).text
    assert len(app.accounts.list()) == 1
    assert owner.post(place, {"datasets": "yes"})["location"] == "/accounts"
    assert app.accounts.list() == ()
    assert app.datasets.list() == ()


def test_an_account_without_datasets_is_removed_at_once(owner: Browser, app: App, shop: Account) -> None:
    assert owner.post(f"/accounts/{shop.id}/remove").status == 303
    assert app.accounts.list() == ()


def test_datasets_that_are_ticked_move_to_another_account_and_the_others_stay(
    owner: Browser, app: App, shop: Account
) -> None:
    other = app.accounts.add("Other", OTHER, api_base=shop.api_base)
    moved, stays = dataset(app, shop), dataset(app, shop, "Refunds", "refunds")
    place = f"/accounts/{shop.id}/move"
    assert form_of(owner.get(f"/accounts/{shop.id}").text, place).shown >= {"dataset", "to"}
    assert "No dataset is chosen" in owner.post(place, {"to": other.id}).text
    assert send(owner, place, [("to", other.id), ("dataset", moved)]).status == 303
    assert app.datasets.get(moved).account == other.id
    assert app.datasets.get(stays).account == shop.id


def test_a_dataset_whose_table_has_rows_of_another_account_stays_and_is_named(
    owner: Browser, app: App, shop: Account
) -> None:
    other = app.accounts.add("Live", LIVE, api_base=shop.api_base)
    full, empty = dataset(app, shop, "Coupons", "coupons"), dataset(app, shop, "Plans", "plans")
    app.runs.start(full)
    answer = send(owner, f"/accounts/{shop.id}/move", [("to", other.id), ("dataset", full), ("dataset", empty)])
    assert answer.status == 409
    assert "Coupons: " in answer.text
    assert "It worked for Plans" in answer.text
    assert app.datasets.get(full).account == shop.id
    assert app.datasets.get(empty).account == other.id


def test_datasets_that_a_refused_key_paused_can_be_resumed_from_the_account(
    owner: Browser, app: App, shop: Account
) -> None:
    one = dataset(app, shop)
    app.datasets.pause(one)
    form = form_of(owner.get(f"/accounts/{shop.id}").text, "/datasets/actions")
    assert send(owner, form.action, form.pairs)["location"] == f"/accounts/{shop.id}"
    assert app.datasets.get(one).pause is None


def test_an_account_that_is_not_there_is_a_page_that_says_so(owner: Browser) -> None:
    answer = owner.get("/accounts/acc_000000000000")
    assert answer.status == 404
    assert "There is no account" in answer.text
