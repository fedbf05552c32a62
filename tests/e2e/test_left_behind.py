"""A dataset with two destinations of which one is unavailable: its page reports it, and a button backfills it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.chromium import watched
from tests.e2e.looking import DESK, look
from tests.e2e.running_demo import Demo

pytestmark = pytest.mark.timeout(300)


def test_outdated_table_is_backfilled_by_a_button(browser: Browser, demo: Demo, owner: Any) -> None:
    far = demo.home / "far"
    far.mkdir()
    with watched(browser, storage_state=owner, viewport=DESK) as page:
        page.goto(f"{demo.url}/datasets/new")
        page.get_by_role("button", name="Continue").click()
        page.locator(".picker-item", has=page.get_by_text("Plans", exact=True)).click()
        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Manually").check()
        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Name", exact=True).fill("Plans twice")
        page.get_by_label("Table", exact=True).fill("plans_twice")
        page.get_by_text("More destinations").click()
        page.get_by_label("Additional destinations").fill("duckdb:///far/books.duckdb")
        look(page, "dataset-new-destinations")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("heading", name="Plans twice")).to_be_visible()
        far.rename(demo.home / "away")
        page.get_by_role("button", name="Run now").first.click()
        expect(page.get_by_text("Not up to date: plans_twice of duckdb:///far/books.duckdb")).to_be_visible()
        look(page, "dataset-left-behind")
        (demo.home / "away").rename(far)
        page.get_by_role("button", name="Backfill plans_twice now").click()
        expect(page.get_by_text("Succeeded").first).to_be_visible()
        page.get_by_role("link", name="Plans twice").first.click()
        expect(page.get_by_text("Not up to date")).to_be_hidden()
    demo.app.datasets.remove("Plans twice", drop_table=True)
