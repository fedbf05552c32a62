"""A service that nobody has used yet: each page says what to do next, and a click brings a simulated Stripe."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.chromium import watched
from tests.e2e.conftest import Beginning
from tests.e2e.looking import DESK, look

pytestmark = pytest.mark.timeout(300)

#: What stands on each of them.
PLACES = {
    "/": "Connect a Stripe account",
    "/accounts": "Connect a Stripe account",
    "/runs": "Nothing has run yet",
    "/ask": "There is no table to ask yet",
}


def test_pages_without_anything_teach_the_next_step(browser: Browser, beginning: Beginning) -> None:
    with watched(browser, viewport=DESK) as page:
        page.goto(beginning.link)
        for path, said in PLACES.items():
            page.goto(beginning.url + path)
            expect(page.get_by_text(said).first).to_be_visible()
            look(page, f"empty-{path.strip('/') or 'data-center'}")
        page.goto(beginning.url)
        page.get_by_role("button", name="Try it with a simulated Stripe").click()
        expect(page.get_by_label("Search reports")).to_be_visible()
        page.goto(beginning.url)
        expect(page.get_by_text("Make the first dataset")).to_be_visible()
        look(page, "empty-datasets")
