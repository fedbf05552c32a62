"""`counterfoil docs`: the documentation that is installed with the program."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from counterfoil.cli.terminal.screen import say
from counterfoil.errors import SettingsError

_PACKAGE = Path(__file__).resolve().parents[1]
#: Comments of the generators, which Markdown does not show.
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


def docs(topic: str | None = None, /) -> None:
    """Read the documentation.

    Without a topic, list the topics.

    Parameters
    ----------
    topic
        A topic, such as runs.
    """
    files = _files()
    if topic is None:
        width = max(map(len, files))
        for name, file in files.items():
            say(f"{name.ljust(width)}  {_title(file)}")
        return
    _show(_COMMENT.sub("", _file(files, topic).read_text(encoding="utf-8")))


def _files() -> Mapping[str, Path]:
    """The files by topic: those of the wheel, or of the repository in a development install."""
    folders = (_PACKAGE / "docs", _PACKAGE.parents[1] / "docs")
    files = next((found for folder in folders if (found := sorted(folder.glob("*.md")))), None)
    if files is None:
        raise SettingsError(
            "the documentation is not installed", hint="Reinstall: pip install --force-reinstall counterfoil"
        )
    return {file.stem: file for file in files}


def _title(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        return next(lines).removeprefix("# ").strip()


def _file(files: Mapping[str, Path], topic: str) -> Path:
    if topic in files:
        return files[topic]
    close = get_close_matches(topic, files, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise SettingsError(
        f"no topic {topic!r} in the documentation", hint=f"{hint}List the topics with: counterfoil docs"
    )


def _show(text: str) -> None:
    """Formatted on a terminal, page by page; as Markdown elsewhere."""
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    os.environ.setdefault("LESS", "-FRX")  # colors; no pager for what fits the screen
    console = Console()
    with console.pager(styles=True):
        console.print(Markdown(text))
