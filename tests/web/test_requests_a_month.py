"""The forecast of API requests per month, in the form of a dataset and on the page of an account."""

from __future__ import annotations

import re

import pytest

from counterfoil.app.app import App
from counterfoil.schedules import parse
from counterfoil.state.accounts import Account
from stripe_sandbox import Sandbox
from tests.web.browser import Browser
from tests.web.conftest import FULL, Site
from tests.web.forms import Form, form_of


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


@pytest.fixture
def shop(app: App, sandbox: Sandbox) -> Account:
    return app.accounts.add("Shop", FULL, api_base=sandbox.url)


def scheduling(owner: Browser, account: Account) -> Form:
    place = "/datasets/new"
    details = form_of(owner.get(f"{place}?account={account.id}").text, place)
    return form_of(details.send(owner, go="next", report="charges").text, place)


def forecast(text: str) -> str:
    return text.split('id="schedule-preview"')[1]


def test_unsaved_schedule_shows_forecast_of_account(owner: Browser, shop: Account, app: App) -> None:
    app.datasets.create("Coupons", account=shop.id, report="coupons", schedule=parse("every 30 minutes"))
    alone = forecast(scheduling(owner, shop).send(owner, go="times", when="manual").text)
    assert "All datasets of Shop" in alone
    assert "At least 1,440 requests a month" in alone
    both = forecast(scheduling(owner, shop).send(owner, go="times", unit="minutes", n="15").text)
    assert "2 scheduled datasets" in both
    assert "field-warning" not in alone
    own, every = (int(one.replace(",", "")) for one in re.findall(r"(?:About|At least) ([\d,]+) requests", both))
    assert every == own + 1440
    assert "field-warning" in both


def test_edited_dataset_counts_once_in_forecast(owner: Browser, shop: Account, app: App) -> None:
    made = app.datasets.create("Charges", account=shop.id, report="charges", schedule=parse("every hour")).dataset
    app.datasets.create("Coupons", account=shop.id, report="coupons", schedule=parse("every 30 minutes"))
    place = f"/datasets/{made.id}/edit"
    form = form_of(owner.get(f"{place}?pane=scheduling").text, place)
    text = forecast(form.send(owner, go="times", unit="hours", n="2").text)
    assert "2 scheduled datasets" in text


def test_account_page_shows_requests_per_month(owner: Browser, app: App, shop: Account) -> None:
    assert "API requests per month" not in owner.get(f"/accounts/{shop.id}").text
    for report, words in (("charges", "every 15 minutes"), ("coupons", "daily at 06:00"), ("refunds", "manual")):
        app.datasets.create(report, account=shop.id, report=report, schedule=parse(words))
    text = owner.get(f"/accounts/{shop.id}").text
    assert "API requests per month" in text
    assert re.search(r"At least 2,910 <span[^>]*>for 2 scheduled datasets, 29 %", text)
    assert "2,880 runs a month" in text
