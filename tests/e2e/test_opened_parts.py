"""Panels, dialogs, menus and results that open on a page are accessible too."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.chromium import watched
from tests.e2e.looking import DESK, look
from tests.e2e.running_demo import Demo

pytestmark = pytest.mark.timeout(300)


def test_query_result_shows_chart_and_rows(browser: Browser, demo: Demo, owner: Any) -> None:
    with watched(browser, storage_state=owner, viewport=DESK) as page:
        page.goto(f"{demo.url}/ask")
        page.get_by_role("link", name="Revenue by month").click()
        page.get_by_role("button", name="Run query", exact=True).click()
        expect(page.locator("#answer svg.chart")).to_be_visible()
        expect(page.locator("#answer tbody tr").first).to_be_visible()
        look(page, "ask-answer")


def test_data_page_opens_profile_row_and_columns(browser: Browser, demo: Demo, owner: Any) -> None:
    dataset = next(one.dataset.id for one in demo.app.datasets.list() if one.dataset.name == "Charges")
    with watched(browser, storage_state=owner, viewport=DESK) as page:
        page.goto(f"{demo.url}/datasets/{dataset}/data")
        page.get_by_role("button", name="Profile of currency").click()
        expect(page.get_by_role("heading", name="Most frequent values")).to_be_visible()
        look(page, "dataset-data-profile", fit=False)
        page.get_by_role("button", name="Close").click()
        page.locator(".cell-open").first.click()
        expect(page.locator("#panel-body dl.row-facts")).to_be_visible()
        look(page, "dataset-data-row", fit=False)
        page.get_by_role("button", name="Close").click()
        page.get_by_role("button", name="Columns").click()
        expect(page.get_by_text("Visible columns")).to_be_visible()
        look(page, "dataset-data-columns", fit=False)


def test_delete_dialog_names_the_selected_datasets(browser: Browser, demo: Demo, owner: Any) -> None:
    with watched(browser, storage_state=owner, viewport=DESK) as page:
        page.goto(demo.url)
        page.get_by_label("Select Coupons").check()
        page.get_by_role("button", name="Delete", exact=True).first.click()
        expect(page.get_by_role("dialog").get_by_text("Coupons")).to_be_visible()
        look(page, "data-center-delete", fit=False)
