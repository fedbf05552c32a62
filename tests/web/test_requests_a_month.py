"""What datasets take of the requests that Stripe allots: told before a schedule is saved, and with the account."""

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


def told(text: str) -> str:
    return text.split('id="schedule-told"')[1]


def test_the_sum_of_the_account_is_told_before_a_schedule_is_saved(owner: Browser, shop: Account, app: App) -> None:
    app.datasets.create("Coupons", account=shop.id, report="coupons", schedule=parse("every 30 minutes"))
    alone = told(scheduling(owner, shop).send(owner, go="times", when="manual").text)
    assert "All datasets of Shop" in alone
    assert "At least 1,440 requests a month" in alone
    both = told(scheduling(owner, shop).send(owner, go="times", unit="minutes", n="15").text)
    assert "2 datasets with a schedule, this one included" in both
    own, every = (int(one.replace(",", "")) for one in re.findall(r"(?:About|At least) ([\d,]+) requests", both))
    assert every == own + 1440
    assert "That is much of it" in both


def test_a_dataset_that_is_changed_counts_once(owner: Browser, shop: Account, app: App) -> None:
    made = app.datasets.create("Charges", account=shop.id, report="charges", schedule=parse("every hour")).dataset
    app.datasets.create("Coupons", account=shop.id, report="coupons", schedule=parse("every 30 minutes"))
    place = f"/datasets/{made.id}/edit"
    form = form_of(owner.get(f"{place}?pane=scheduling").text, place)
    text = told(form.send(owner, go="times", unit="hours", n="2").text)
    assert "2 datasets with a schedule, this one included" in text


def test_the_page_of_an_account_tells_what_its_datasets_take(owner: Browser, app: App, shop: Account) -> None:
    assert "Requests a month" not in owner.get(f"/accounts/{shop.id}").text
    for report, words in (("charges", "every 15 minutes"), ("coupons", "daily at 06:00"), ("refunds", "manual")):
        app.datasets.create(report, account=shop.id, report=report, schedule=parse(words))
    text = owner.get(f"/accounts/{shop.id}").text
    assert 'At least 2,910 <span class="text-muted">by 2 datasets with a schedule, 29 %' in text
    assert "2,880 runs a month" in text
