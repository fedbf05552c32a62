"""A page looked at: what axe finds, and a picture where `PICTURES` names a folder for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
DESK = {"width": 1280, "height": 800}
#: The others, `minor` and `moderate`, are matters of taste as often as not.
_SERIOUS = frozenset({"serious", "critical"})
#: Rows and items of long lists are alike, and take most of the time.
_WHERE = {"exclude": [["tbody tr:nth-child(n+4)"], [".picker-list > :nth-child(n+6)"]]}
_EVERYTHING = {"resultTypes": ["violations"]}
_CONTRAST = _EVERYTHING | {"runOnly": {"type": "rule", "values": ["color-contrast"]}}


def look(page: Page, name: str, scheme: Scheme) -> None:
    """Fails on a serious fault. In dark only contrast is asked about: a scheme changes nothing but colours."""
    page.evaluate(AXE_SCRIPT)
    options = _EVERYTHING if scheme == "light" else _CONTRAST
    found = page.evaluate("([where, options]) => axe.run(where, options)", [_WHERE, options])["violations"]
    faults = [f"{one['help']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in _SERIOUS]
    assert not faults, "\n".join([f"{name}, {scheme}, {page.url}:", *faults])
    if folder := os.environ.get("PICTURES"):
        page.wait_for_load_state("networkidle")
        page.evaluate("scrollTo(0, 0)")  # what sticks to the top stands there
        page.screenshot(path=Path(folder) / f"{name}-{scheme}.png", full_page=True)
