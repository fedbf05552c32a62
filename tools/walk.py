"""Times the first steps of a new user: clone, demo, the four steps of a new scheduled dataset. Run: `make walk`.

Needs Chromium. Packages come from pip's configured index; the clone contains the committed files.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.e2e.chromium import chromium, launch  # noqa: E402 - tests are not an installed package

LONGEST = 180


class Clock:
    """Prints the duration of each part."""

    def __init__(self) -> None:
        self.began = self.at = time.monotonic()

    def tell(self, what: str) -> None:
        now = time.monotonic()
        print(f"{now - self.at:6.1f} s  {what}", flush=True)
        self.at = now


def main() -> int:
    browser = chromium()
    if browser is None:
        print("Chromium not found. Run: apt-get install chromium", file=sys.stderr)
        return 2
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "counterfoil"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        clock.tell("git clone")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERFOIL_")}
        make = ["make", "--no-print-directory"]
        # Suppress pip's own warnings in the output.
        subprocess.run([*make, ".venv/runs"], cwd=clone, env=environment | {"PIP_QUIET": "2"}, check=True)
        clock.tell("make demo: install packages")
        with subprocess.Popen(
            [*make, "demo"], cwd=clone, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as demo:
            assert demo.stdout is not None
            link = next(line.split()[-1] for line in demo.stdout if " ready at " in line)
            clock.tell("make demo: create three months of runs")
            try:
                schedule(browser, link)
            finally:
                os.killpg(demo.pid, signal.SIGINT)
        clock.tell("create a scheduled dataset in the UI")
    whole = clock.at - clock.began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{whole:6.1f} s  total, {used.ru_utime + used.ru_stime:.0f} s of CPU (limit {LONGEST} s)")
    return 0 if whole < LONGEST else 1


def schedule(browser: Path, link: str) -> None:
    """Creates a scheduled dataset in the UI."""
    with sync_playwright() as playwright:
        page = launch(playwright, browser).new_page()
        page.goto(link)
        page.get_by_role("link", name="New dataset").click()
        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Search reports").fill("invoice items")
        page.locator(".picker-item", has=page.get_by_text("Invoice Items", exact=True)).click()
        page.get_by_role("button", name="Load preview").click()
        expect(page.locator("#preview table tbody tr").first).to_be_visible()
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_text("Update method")).to_be_visible()
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("heading", name="Invoice Items")).to_be_visible()
        expect(page.get_by_text("every day at 06:00").or_(page.get_by_text("daily at 06:00")).first).to_be_visible()


if __name__ == "__main__":
    sys.exit(main())
