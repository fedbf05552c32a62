"""A demo for most of the tests, an empty service for the others, and a browser per module."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from counterfoil.app.app import App, open_app
from counterfoil.cli.demo.embedded_sandbox import KEY
from counterfoil.settings import Settings
from counterfoil.web.server import PageServer
from stripe_sandbox import Sandbox
from tests.e2e.chromium import chromium, launch
from tests.e2e.running_demo import Demo, running_demo

# The library's default of five seconds is too short for a busy machine.
expect.set_options(timeout=30_000)


# Per package, because the demo uses the processor while it runs.
@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    # Pages show the path of the tables, so screenshots use a neutral folder name.
    pictures = os.environ.get("PICTURES")
    home = Path(tempfile.gettempdir()) / "counterfoil" if pictures else tmp_path_factory.mktemp("demo") / "home"
    try:
        with running_demo(home) as demo:
            yield demo
    finally:
        if pictures:
            shutil.rmtree(home, ignore_errors=True)


# Per module, not per session: Playwright runs an event loop, and other tests could not run theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = chromium()
    if executable is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = launch(playwright, executable)
        yield browser
        browser.close()


@dataclass
class Beginning:
    """A service with an empty state, in this process."""

    url: str
    link: str
    #: Creates another login link.
    new_link: Callable[[], str]
    app: App


@pytest.fixture
def beginning(tmp_path: Path) -> Iterator[Beginning]:
    with Sandbox(scale=0.05) as sandbox, open_app(Settings(home=tmp_path / "home")) as app:
        server = PageServer(app, announce=print, port=0, sandbox=lambda: (sandbox.url, KEY))
        server.start()
        yield Beginning(server.url, server.link(), server.link, app)
        server.stop()


@pytest.fixture
def owner(demo: Demo) -> Any:
    """The cookies of a signed-in user. The login link works once and is used by one test."""
    name = f"counterfoil_{urlsplit(demo.url).port}"
    return {"cookies": [{"name": name, "value": demo.app.sessions.begin(), "domain": "127.0.0.1", "path": "/"}]}
