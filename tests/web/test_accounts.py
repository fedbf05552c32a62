"""The pages of accounts: connect, rename, replace the key, check, move datasets, remove."""

from __future__ import annotations

import pytest

from counterfoil.app.app import App
from counterfoil.app.connection import catalogue
from counterfoil.state.accounts import Account
from counterfoil.web.pages.connect import KEY_PAGES
from stripe_sandbox import Sandbox
from tests.web.browser import Browser
from tests.web.conftest import FULL, LIVE, RESTRICTED, Site
from tests.web.forms import codes, errors, form_of, send

OTHER = "sk_test_demo_other_7777"


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


@pytest.fixture
def shop(app: App, sandbox: Sandbox) -> Account:
    return app.accounts.add("Shop", FULL, api_base=sandbox.url)


def dataset(app: App, account: Account, name: str = "Charges", report: str = "charges") -> str:
    return app.datasets.create(name, account=account.id, report=report).dataset.id


def test_connecting_redirects_to_the_account(owner: Browser, app: App, sandbox: Sandbox) -> None:
    answer = owner.post("/accounts/new", {"key": f" {FULL} ", "api_base": sandbox.url, "stripe_account": ""})
    (account,) = app.accounts.list()
    assert answer["location"] == f"/accounts/{account.id}?new=1"
    text = owner.follow(answer).text
    assert "Connected to" in text
    assert FULL not in text


def test_rejected_key_is_not_sent_back(owner: Browser, sandbox: Sandbox) -> None:
    answer = owner.post("/accounts/new", {"key": "sk_test_wrongwrong1", "api_base": sandbox.url})
    assert "Stripe rejected the key" in errors(answer)
    assert form_of(answer.text, "/accounts/new")["api_base"] == sandbox.url
    assert "sk_test_wrongwrong1" not in answer.text


def test_missing_and_publishable_keys_are_rejected_without_api_requests(owner: Browser, app: App) -> None:
    assert codes(owner.post("/accounts/new", {"key": "  "})) == ["missing_key"]
    assert codes(owner.post("/accounts/new", {"key": "pk_test_abcdefgh1234"})) == ["publishable_key"]
    assert app.accounts.list() == ()


def test_link_to_restricted_key_has_the_permissions_of_the_reports() -> None:
    assert KEY_PAGES.create.startswith("https://dashboard.stripe.com/apikeys/create?name=Counterfoil&permissions")
    assert "rak_charge_read" in KEY_PAGES.create
    assert "rak_price_read" not in KEY_PAGES.create


def test_accounts_with_the_same_name_are_distinguished_by_mode(app: App, sandbox: Sandbox) -> None:
    first = app.accounts.connect(FULL, api_base=sandbox.url)
    second = app.accounts.connect(LIVE, api_base=sandbox.url)
    third = app.accounts.connect(OTHER, api_base=sandbox.url)
    assert second.name == f"{first.name} (live)"
    assert third.name == f"{first.name} (test)"


def test_page_shows_available_reports_and_missing_permissions(owner: Browser, app: App, sandbox: Sandbox) -> None:
    account = app.accounts.add("Narrow", RESTRICTED, api_base=sandbox.url)
    text = owner.get(f"/accounts/{account.id}").text
    assert "rak_event_read" in text
    assert "rak_charge_read" not in text
    assert f"{len(account.readable)} of {len(catalogue())} reports" in text


def test_taken_name_is_rejected_and_keeps_the_input(owner: Browser, app: App, shop: Account) -> None:
    app.accounts.add("Books", OTHER, api_base=shop.api_base)
    place = f"/accounts/{shop.id}/name"
    refused = owner.post(place, {"name": "Books"})
    assert refused.status == 400
    assert form_of(refused.text, place)["name"] == "Books"
    assert "'Books' already exists" in errors(refused)
    assert owner.post(place, {"name": "The shop"}).status == 303
    assert app.accounts.get(shop.id).name == "The shop"


def test_key_is_replaced_by_another_of_the_same_account(owner: Browser, app: App, shop: Account) -> None:
    assert owner.post(f"/accounts/{shop.id}/key", {"key": OTHER})["location"] == f"/accounts/{shop.id}"
    assert app.accounts.get(shop.id).shown.endswith("7777")


def test_key_of_the_other_mode_is_rejected(owner: Browser, app: App, shop: Account) -> None:
    answer = send(owner, f"/accounts/{shop.id}/key", [("key", LIVE)], **{"hx-request": "true"})
    assert answer["hx-retarget"] == "#key-message"
    assert "live key" in errors(answer)
    assert "'Shop'" in errors(answer)
    assert "counterfoil accounts" not in answer.text
    assert LIVE not in answer.text
    assert app.accounts.get(shop.id).shown == shop.shown


def test_failed_check_is_stored_and_shown(owner: Browser, app: App) -> None:
    with Sandbox(scale=0.01) as own:
        account = app.accounts.add("Shop", FULL, api_base=own.url)
        own.control("keys", key=FULL, refused=True)
        answer = owner.post(f"/accounts/{account.id}/check", {"next": "/accounts"})
        assert answer["location"] == "/accounts"
        assert app.accounts.get(account.id).status == "rejected"
        assert "Rejected" in owner.get(f"/accounts/{account.id}").text


def test_return_url_of_check_stays_on_site(owner: Browser, shop: Account) -> None:
    assert owner.post(f"/accounts/{shop.id}/check", {"next": "https://evil.example"})["location"] == "/"


def test_removing_a_used_account_requires_confirmation(owner: Browser, app: App, shop: Account) -> None:
    dataset(app, shop)
    place = f"/accounts/{shop.id}/remove"
    assert "Charges" in owner.get(place).text
    assert "used by 1 dataset" in owner.post(place).text
    assert len(app.accounts.list()) == 1
    assert owner.post(place, {"datasets": "yes"})["location"] == "/accounts"
    assert app.accounts.list() == ()
    assert app.datasets.list() == ()


def test_unused_account_is_removed_at_once(owner: Browser, app: App, shop: Account) -> None:
    assert owner.post(f"/accounts/{shop.id}/remove").status == 303
    assert app.accounts.list() == ()


def test_only_selected_datasets_are_moved(owner: Browser, app: App, shop: Account) -> None:
    other = app.accounts.add("Other", OTHER, api_base=shop.api_base)
    moved, stays = dataset(app, shop), dataset(app, shop, "Refunds", "refunds")
    place = f"/accounts/{shop.id}/move"
    assert form_of(owner.get(f"/accounts/{shop.id}").text, place).shown >= {"dataset", "to"}
    assert "No dataset selected" in errors(owner.post(place, {"to": other.id}))
    assert send(owner, place, [("to", other.id), ("dataset", moved)]).status == 303
    assert app.datasets.get(moved).account == other.id
    assert app.datasets.get(stays).account == shop.id


def test_dataset_with_rows_of_another_account_is_not_moved(owner: Browser, app: App, shop: Account) -> None:
    other = app.accounts.add("Live", LIVE, api_base=shop.api_base)
    full, empty = dataset(app, shop, "Coupons", "coupons"), dataset(app, shop, "Plans", "plans")
    app.runs.start(full)
    answer = send(owner, f"/accounts/{shop.id}/move", [("to", other.id), ("dataset", full), ("dataset", empty)])
    assert answer.status == 409
    assert "Coupons: " in answer.text
    assert "Succeeded for Plans" in answer.text
    assert app.datasets.get(full).account == shop.id
    assert app.datasets.get(empty).account == other.id


def test_paused_datasets_are_resumed_from_the_account_page(owner: Browser, app: App, shop: Account) -> None:
    one = dataset(app, shop)
    app.datasets.pause(one)
    form = form_of(owner.get(f"/accounts/{shop.id}").text, "/datasets/actions")
    assert send(owner, form.action, form.pairs)["location"] == f"/accounts/{shop.id}"
    assert app.datasets.get(one).pause is None


def test_unknown_account_responds_404(owner: Browser) -> None:
    answer = owner.get("/accounts/acc_000000000000")
    assert answer.status == 404
    assert codes(answer) == ["account_not_found"]
