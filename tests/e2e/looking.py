"""Checks of a page: accessibility (axe) in light and dark, and width. `PICTURES` names a folder for screenshots."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
DESK = {"width": 1280, "height": 800}
#: A small laptop, and a phone.
NARROW = (1024, 390)
#: Violations with the impact `minor` or `moderate` are ignored.
_SERIOUS = frozenset({"serious", "critical"})
#: Further rows, columns and items of long lists; they are removed before axe runs, since each takes time.
_ALIKE = [
    "tbody tr:nth-child(n+4)",
    "tr > :nth-child(n+12)",
    ".picker-list > :nth-child(n+6)",
    ".columns-list > :nth-child(n+6)",
    "datalist > *",
]
_SHORTEN = """(alike) => {
    window.taken = alike.flatMap((each) => [...document.querySelectorAll(each)].map((one) => {
        const place = document.createComment("");
        one.replaceWith(place);
        return [place, one];
    }));
}"""
_RESTORE = "() => { for (const [place, one] of window.taken.reverse()) place.replaceWith(one); }"
_OPTIONS = {"resultTypes": ["violations"], "selectors": False, "preload": False}
#: Waits until the colors of a scheme are painted.
_PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def look(page: Page, name: str, *, fit: bool = True) -> None:
    """Fails for serious violations in either color scheme. With `fit` also checks the width (`fits`)."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    page.evaluate(_SHORTEN, _ALIKE)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.evaluate(_PAINTED)
        found = page.evaluate("(options) => axe.run(options)", _OPTIONS)["violations"]
        faults = [f"{one['help']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in _SERIOUS]
        assert not faults, "\n".join([f"{name}, {scheme}, {page.url}:", *faults])
    page.evaluate(_RESTORE)
    if fit or _folder():
        fits(page, name)


def fits(page: Page, name: str) -> None:
    """Fails if the page is wider than a narrow screen; takes screenshots if `PICTURES` is set."""
    for scheme in SCHEMES if _folder() else ():
        page.emulate_media(color_scheme=scheme)
        _picture(page, f"{name}-{scheme}")
    page.emulate_media(color_scheme="light")
    for width in NARROW:
        page.set_viewport_size(DESK | {"width": width})
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} wide at {width}"
        _picture(page, f"narrow/{name}-{width}")
    page.set_viewport_size(DESK)


def _folder() -> str | None:
    return os.environ.get("PICTURES")


def _picture(page: Page, name: str) -> None:
    folder = _folder()
    if not folder:
        return
    page.wait_for_load_state("networkidle")
    page.evaluate("scrollTo(0, 0)")  # sticky elements are then at the top
    page.evaluate(_PAINTED)
    # A dialog covers only the visible part of the page.
    whole = page.locator("dialog[open]").count() == 0
    page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)
