"""One demo for all of these tests, and a browser for each module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.chromium import chromium, launch
from tests.e2e.running_demo import Demo, running_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo") / "home") as demo:
        yield demo


# Of a module, not of the session: while Playwright is there, its event loop is, and no other test could run one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = chromium()
    if executable is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = launch(playwright, executable)
        yield browser
        browser.close()


@pytest.fixture
def owner(demo: Demo) -> Any:
    """The cookies of somebody who is signed in; the link itself works once, and is one test's."""
    name = f"counterfoil_{urlsplit(demo.url).port}"
    return {"cookies": [{"name": name, "value": demo.app.sessions.begin(), "domain": "127.0.0.1", "path": "/"}]}
