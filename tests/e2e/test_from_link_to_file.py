"""From the login link to an exported file: the form of a dataset, a run, and the rows of its table."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.chromium import watched
from tests.e2e.looking import DESK, look
from tests.e2e.running_demo import Demo

pytestmark = pytest.mark.timeout(300)

#: The maximum number of Tab presses to reach an element.
_MOST_TABS = 120
#: The accessible name of the focused element.
_NAME = """() => {
  const at = document.activeElement;
  const label = at.getAttribute('aria-label') || (at.labels && at.labels[0] && at.labels[0].innerText);
  return (label || at.innerText || at.value || '').trim();
}"""


@pytest.fixture
def desk() -> dict[str, Any]:
    return {"viewport": DESK, "accept_downloads": True}


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def check_exported(demo: Demo, name: str, rows: list[dict[str, str]]) -> None:
    """The file contains every row of the run once."""
    (run,) = demo.app.runs.list(name)
    assert run.status == "succeeded"
    assert len(rows) == run.counts.read > 0
    assert len({row["id"] for row in rows}) == len(rows)


def test_dataset_is_created_run_and_exported_by_mouse(
    browser: Browser, demo: Demo, desk: dict[str, Any], tmp_path: Path
) -> None:
    with watched(browser, **desk) as page:
        page.goto(demo.link)
        expect(page.get_by_role("heading", name="Data Center")).to_be_visible()
        page.get_by_role("link", name="New dataset").click()

        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Search reports").fill("plans")
        page.locator(".picker-item", has=page.get_by_text("Plans", exact=True)).click()
        page.get_by_role("button", name="Load preview").click()
        expect(page.locator("#preview table tbody tr").first).to_be_visible()
        look(page, "dataset-new-details")

        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Manually").check()
        look(page, "dataset-new-scheduling")

        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Name", exact=True).fill("Plans by mouse")
        page.get_by_label("Table", exact=True).fill("plans_by_mouse")
        look(page, "dataset-new-naming")
        page.get_by_role("button", name="Save and run").click()
        expect(page.get_by_text("Succeeded").first).to_be_visible()

        page.get_by_role("link", name="Plans by mouse").first.click()
        page.get_by_role("navigation", name="Sections of Plans by mouse").get_by_role("link", name="Data").click()
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="As CSV").click()
        download.value.save_as(tmp_path / "plans.csv")
        check_exported(demo, "Plans by mouse", rows_of(tmp_path / "plans.csv"))


@dataclass
class Keyboard:
    """Uses the page by keyboard only."""

    page: Page

    def focused(self) -> str:
        return str(self.page.evaluate(_NAME))

    def reach(self, name: str) -> None:
        """Presses Tab until the element with the name has the focus."""
        passed = []
        for _ in range(_MOST_TABS):
            self.page.keyboard.press("Tab")
            found = self.focused()
            if re.match(rf"{re.escape(name)}(\n|$)", found):
                return
            passed.append(found[:40])
        raise AssertionError(f"Tab never reached {name!r}: {passed}")

    def press(self, name: str, key: str = "Enter") -> None:
        """Presses a key on the element."""
        self.reach(name)
        self.page.keyboard.press(key)

    def fill(self, name: str, text: str) -> None:
        """Replaces the text of the field."""
        self.reach(name)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def steps(self, name: str, key: str = "ArrowDown") -> None:
        """Presses arrow keys within a group until the option is selected."""
        passed = []
        for _ in range(20):
            self.page.keyboard.press(key)
            passed.append(self.focused()[:40])
            if re.match(rf"{re.escape(name)}(\n|$)", self.focused()):
                return
        raise AssertionError(f"the arrow keys never reached {name!r}: {passed}")


@pytest.fixture
def signed_in(browser: Browser, owner: Any, desk: dict[str, Any]) -> Iterator[Page]:
    with watched(browser, storage_state=owner, color_scheme="dark", **desk) as page:
        yield page


def test_dataset_is_created_run_and_exported_by_keyboard(signed_in: Page, demo: Demo, tmp_path: Path) -> None:
    page, keyboard = signed_in, Keyboard(signed_in)
    page.goto(demo.url)
    keyboard.press("Skip to content")
    keyboard.press("New dataset")
    page.wait_for_url("**/datasets/new")

    keyboard.press("Continue")
    expect(page.get_by_label("Search reports")).to_be_visible()
    keyboard.fill("Search reports", "recurring prices")
    keyboard.press("Plans", "Space")
    expect(page.get_by_role("button", name="Load preview")).to_be_visible()
    keyboard.press("Load preview")
    expect(page.locator("#preview table tbody tr").first).to_be_visible()

    keyboard.press("Continue")
    expect(page.get_by_text("Update method")).to_be_visible()
    keyboard.reach("On a schedule")
    keyboard.steps("Manually")

    keyboard.press("Continue")
    expect(page.get_by_role("button", name="Save and run")).to_be_visible()
    keyboard.fill("Name", "Plans by keyboard")
    keyboard.fill("Table", "plans_by_keyboard")
    keyboard.press("Save and run")
    expect(page.get_by_text("Succeeded").first).to_be_visible()

    keyboard.press("Plans by keyboard")
    page.wait_for_url("**/datasets/*")
    keyboard.press("Data")
    page.wait_for_url("**/data")
    keyboard.press("Export")
    with page.expect_download() as download:
        keyboard.press("As CSV")
    download.value.save_as(tmp_path / "plans.csv")
    check_exported(demo, "Plans by keyboard", rows_of(tmp_path / "plans.csv"))
