"""Writes a page that shows every template macro in its states: `python tools/gallery.py FOLDER [THEME]`."""

from __future__ import annotations

import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import ChoiceLoader, FileSystemLoader

from counterfoil.web.rendering import HERE, STATIC, environment

NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
VALUES = (1_204_100, 1_204_700, 1_205_300, None, 1_207_100, 1_208_400, 1_208_996)


def gallery(theme: str | None = None) -> str:
    """The page as HTML, with the URLs of the service."""
    templates = environment().overlay(
        loader=ChoiceLoader([FileSystemLoader(HERE / "templates"), FileSystemLoader(Path(__file__).parent)])
    )
    return templates.get_template("gallery.html").render(
        path="/",
        theme=theme,
        session=object(),
        banner="Sample data.",
        now=datetime.now(UTC),
        url=lambda **_: "#",
        series=list(zip(NAMES, VALUES, strict=True)),
        tones=["", "bar-error", "bar-mute", "", "", "", ""],
    )


def main() -> None:
    folder = Path(sys.argv[1])
    shutil.copytree(STATIC, folder / "static", dirs_exist_ok=True)
    text = re.sub(r'"/static/([\w.-]+)\?v=\w+"', r'"static/\1"', gallery(*sys.argv[2:3]))
    (folder / "gallery.html").write_text(text)
    print(folder / "gallery.html")


if __name__ == "__main__":
    main()
