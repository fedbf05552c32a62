"""The way of somebody new, with a clock: clone, demo, four panes, a dataset that has its next time. `make walk`.

Needs Chromium. Packages come from wherever pip gets them; the clone is of what is committed here.
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

from tests.e2e.chromium import chromium, launch  # noqa: E402 - the tests are no package that is installed

LONGEST = 180


class Clock:
    """Says what each part took."""

    def __init__(self) -> None:
        self.began = self.at = time.monotonic()

    def tell(self, what: str) -> None:
        now = time.monotonic()
        print(f"{now - self.at:6.1f} s  {what}", flush=True)
        self.at = now


def main() -> int:
    browser = chromium()
    if browser is None:
        print("no Chromium on this machine: apt-get install chromium", file=sys.stderr)
        return 2
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "counterfoil"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        clock.tell("git clone")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERFOIL_")}
        make = ["make", "--no-print-directory"]
        # pip's warnings of its own are not what is timed.
        subprocess.run([*make, ".venv/runs"], cwd=clone, env=environment | {"PIP_QUIET": "2"}, check=True)
        clock.tell("make demo: its packages")
        with subprocess.Popen(
            [*make, "demo"], cwd=clone, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as demo:
            assert demo.stdout is not None
            link = next(line.split()[-1] for line in demo.stdout if " ready at " in line)
            clock.tell("make demo: three months of runs")
            try:
                schedule(browser, link)
            finally:
                os.killpg(demo.pid, signal.SIGINT)
        clock.tell("from the link through four panes to a dataset with its next run")
    whole = clock.at - clock.began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{whole:6.1f} s  in all, with {used.ru_utime + used.ru_stime:.0f} s of CPU; at most {LONGEST} are wanted")
    return 0 if whole < LONGEST else 1


def schedule(browser: Path, link: str) -> None:
    """What a person does on the page."""
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
