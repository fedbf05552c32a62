"""An ended session and a lost connection while a form is filled in: the input is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Beginning
from tests.e2e.looking import DESK

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def naming(browser: Browser, beginning: Beginning) -> Iterator[Page]:
    """The last pane of a new dataset, in a page whose errors are not recorded."""
    context = browser.new_context(viewport=DESK, reduced_motion="reduce")
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(beginning.link)
    page.get_by_role("button", name="Try it with a simulated Stripe").click()
    page.locator(".picker-item", has=page.get_by_text("Coupons", exact=True)).click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Manually").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Name", exact=True).fill("Coupons & more")
    yield page
    context.close()


def test_ended_session_returns_to_the_form_with_its_input(naming: Page, beginning: Beginning) -> None:
    beginning.app.sessions.end_all()
    naming.get_by_role("button", name="Save", exact=True).click()
    expect(naming.get_by_role("heading", name="Sign in")).to_be_visible()
    other = naming.context.new_page()
    other.goto(beginning.new_link())
    expect(other.get_by_role("heading", name="Data Center")).to_be_visible()
    other.close()
    # As if the user returned to the tab: a headless page is never hidden.
    naming.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(naming.get_by_label("Name", exact=True)).to_have_value("Coupons & more")
    naming.get_by_role("button", name="Save", exact=True).click()
    expect(naming.get_by_role("heading", name="Coupons & more")).to_be_visible()


def test_lost_connection_is_shown_and_keeps_the_input(naming: Page) -> None:
    lost = naming.get_by_text("Connection to Counterfoil lost")
    expect(lost).to_be_hidden()
    naming.context.set_offline(True)
    naming.get_by_role("button", name="Save", exact=True).click()
    expect(lost).to_be_visible()
    expect(naming.get_by_label("Name", exact=True)).to_have_value("Coupons & more")
    naming.context.set_offline(False)
    expect(lost).to_be_hidden()
    naming.get_by_role("button", name="Save", exact=True).click()
    expect(naming.get_by_role("heading", name="Coupons & more")).to_be_visible()
