"""Chromium, and pages that record errors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, Response

#: Disables requests of the browser itself.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> Path | None:
    """The path of the installed browser, or None."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return None if found is None else Path(found)


def launch(playwright: Playwright, executable: Path) -> Browser:
    """A headless browser."""
    return playwright.chromium.launch(executable_path=str(executable), args=list(_ARGUMENTS))


@dataclass
class Faults:
    """Errors of a page: console messages, exceptions, failed requests and error responses."""

    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.found.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        # Aborted by the browser: live progress when it leaves a page, a response that becomes a download.
        if request.failure != "net::ERR_ABORTED":
            self.found.append(f"no response: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.found.append(f"{response.status}: {response.request.method} {response.url}")


@contextmanager
def watched(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page in its own context; fails at the end if the page had errors."""
    defaults = {"reduced_motion": "reduce", "locale": "en-GB", "timezone_id": "Europe/Berlin"}
    context = browser.new_context(**(defaults | options))
    context.set_default_timeout(15_000)
    faults = Faults()
    try:
        page = context.new_page()
        faults.watch(page)
        yield page
        assert not faults.found, "\n".join(faults.found)
    finally:
        context.close()
