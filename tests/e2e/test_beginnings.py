"""A service with an empty state: each page shows the next step, and a button connects the sandbox."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.chromium import watched
from tests.e2e.conftest import Beginning
from tests.e2e.looking import DESK, look

pytestmark = pytest.mark.timeout(300)

#: Titles of the empty pages.
PLACES = {
    "/": "Connect a Stripe account",
    "/accounts": "Connect a Stripe account",
    "/runs": "No runs yet",
    "/ask": "No tables yet",
}


def test_empty_pages_show_the_next_step(browser: Browser, beginning: Beginning) -> None:
    with watched(browser, viewport=DESK) as page:
        page.goto(beginning.link)
        for path, title in PLACES.items():
            page.goto(beginning.url + path)
            expect(page.get_by_text(title).first).to_be_visible()
            look(page, f"empty-{path.strip('/') or 'data-center'}")
        page.goto(beginning.url)
        page.get_by_role("button", name="Try it with a simulated Stripe").click()
        expect(page.get_by_label("Search reports")).to_be_visible()
        page.goto(beginning.url)
        expect(page.get_by_text("Create your first dataset")).to_be_visible()
        look(page, "empty-datasets")
