"""From the link to a file: an account, four panes, a run that is watched to its end, and the rows of its table."""

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

#: Tab is pressed at most so often to reach something.
_MOST_TABS = 120
#: What a screen reader would call the element that has the focus.
_NAME = """() => {
  const at = document.activeElement;
  const told = at.getAttribute('aria-label') || (at.labels && at.labels[0] && at.labels[0].innerText);
  return (told || at.innerText || at.value || '').trim();
}"""


@pytest.fixture
def desk() -> dict[str, Any]:
    return {"viewport": DESK, "accept_downloads": True}


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def check_exported(demo: Demo, name: str, rows: list[dict[str, str]]) -> None:
    """The file holds what the run brought, each row once."""
    (run,) = demo.app.runs.list(name)
    assert run.status == "succeeded"
    assert len(rows) == run.counts.read > 0
    assert len({row["id"] for row in rows}) == len(rows)


def test_a_dataset_is_made_run_and_exported_by_mouse(
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
        page.get_by_label("Only when you run it").check()
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
    """A person who has no mouse."""

    page: Page

    def focused(self) -> str:
        return str(self.page.evaluate(_NAME))

    def reach(self, name: str) -> None:
        """Tab until the focus is on what has the name."""
        passed = []
        for _ in range(_MOST_TABS):
            self.page.keyboard.press("Tab")
            found = self.focused()
            if re.match(rf"{re.escape(name)}(\n|$)", found):
                return
            passed.append(found[:40])
        raise AssertionError(f"Tab never reached {name!r}: {passed}")

    def press(self, name: str, key: str = "Enter") -> None:
        """Reach it and press a key on it."""
        self.reach(name)
        self.page.keyboard.press(key)

    def fill(self, name: str, text: str) -> None:
        """Reach the field and write into it what it is to hold."""
        self.reach(name)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def steps(self, name: str, key: str = "ArrowDown") -> None:
        """Arrow keys within a group, until the one of the name is chosen."""
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


def test_a_dataset_is_made_run_and_exported_by_keyboard_alone(signed_in: Page, demo: Demo, tmp_path: Path) -> None:
    page, keyboard = signed_in, Keyboard(signed_in)
    page.goto(demo.url)
    keyboard.press("Skip to the content")
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
    keyboard.reach("Again and again")
    keyboard.steps("Only when you run it")

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
