"""Datasets that need attention: a table that would shrink, and a table that was rolled back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from counterfoil.errors import RunError
from counterfoil.runs.loads.rollback import plan_rollback
from counterfoil.runs.loads.size_check import TABLE_WOULD_SHRINK
from counterfoil.state.dataset import Dataset
from counterfoil.state.run import Run
from tests.e2e.conftest import Beginning
from tests.e2e.looking import DESK

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def page(browser: Browser, beginning: Beginning) -> Iterator[Page]:
    context = browser.new_context(viewport=DESK, reduced_motion="reduce")
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(beginning.link)
    page.get_by_role("button", name="Try it with a simulated Stripe").click()
    yield page
    context.close()


@pytest.fixture
def coupons(page: Page, beginning: Beginning) -> Dataset:
    """A dataset with two runs."""
    (account,) = beginning.app.accounts.list()
    made = beginning.app.datasets.create("Coupons", account=account.name, report="coupons").dataset
    for _ in range(2):
        beginning.app.runs.start(made.id)
    return made


def _newest(beginning: Beginning) -> Run:
    return beginning.app.runs.list()[0]


def test_shrinking_table_is_accepted_by_a_button(page: Page, beginning: Beginning, coupons: Dataset) -> None:
    runs = beginning.app.records.runs
    run = runs.create(coupons.id, "schedule")
    runs.update(run.id, plan=runs.list(coupons.id)[1].plan)
    error = RunError("coupons: 400 rows, now 3", hint="Accept it.", code=TABLE_WOULD_SHRINK)
    runs.finish(run.id, "failed", owner=runs.begin_attempt(run.id), error=error)
    page.goto(f"{beginning.url}/datasets/{coupons.id}")
    expect(page.get_by_text("coupons: 400 rows, now 3").first).to_be_visible()
    expect(page.get_by_text("Needs attention").first).to_be_visible()
    page.get_by_role("button", name="Accept and load").click()
    expect(page.get_by_role("button", name="Accept and load")).to_be_hidden()
    expect(page.get_by_role("heading", name="Coupons", exact=True)).to_be_visible()
    assert _newest(beginning).plan["allow_shrink"]


def test_rolled_back_table_shows_its_version(page: Page, beginning: Beginning, coupons: Dataset) -> None:
    _, first = beginning.app.runs.list()
    made = beginning.app.records.runs.create(coupons.id, "manual")
    beginning.app.records.runs.update(made.id, plan=plan_rollback(first))
    owner = beginning.app.records.runs.begin_attempt(made.id)
    beginning.app.records.runs.finish(made.id, "succeeded", owner=owner, bookmark={"run": first.id})
    page.goto(f"{beginning.url}/datasets/{coupons.id}")
    expect(page.get_by_text("holds the version of")).to_be_visible()
    page.goto(beginning.url)
    expect(page.get_by_text("Rolled back").first).to_be_visible()
