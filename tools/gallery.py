"""Writes a page with every macro in its states, to be looked at in a browser: `tools/gallery.py FOLDER [THEME]`."""

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
    """The page, with the addresses that the service has."""
    made = environment().overlay(
        loader=ChoiceLoader([FileSystemLoader(HERE / "templates"), FileSystemLoader(Path(__file__).parent)])
    )
    return made.get_template("gallery.html").render(
        path="/",
        theme=theme,
        session=object(),
        banner="You are looking at invented data.",
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
