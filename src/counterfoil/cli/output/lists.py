"""Output of lists and facts: aligned columns in a pipe, a table on a terminal that is wide enough."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from counterfoil.cli.terminal.screen import printable, say
from counterfoil.logging import redacted

#: Minimum width of the last column for a table.
_LEAST_WIDTH = 30


def print_list(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a header line and a line per row; on a terminal, wraps the last column and cuts no other."""
    cells = [[printable(redacted(cell.replace("\n", " "))) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    if not sys.stdout.isatty() or shutil.get_terminal_size().columns < sum(widths[:-1]) + _LEAST_WIDTH:
        for row in (names, *cells):
            say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=name != names[-1])
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def print_facts(facts: Sequence[tuple[str, Any]]) -> None:
    """Prints a line per fact; skips empty text, None and 0."""
    shown = [(name, text) for name, text in facts if text]
    width = max((len(name) for name, _ in shown), default=0)
    for name, text in shown:
        for number, line in enumerate(text.splitlines()):
            say(f"{'' if number else name:<{width}}  {line}")


def print_json(value: Any) -> None:
    """Prints one line of JSON, with Stripe keys redacted."""
    print(redacted(json.dumps(value, ensure_ascii=False)), flush=True)


def shown_time(at: datetime | None, zone: str = "UTC", timespec: Literal["minutes", "seconds"] = "minutes") -> str:
    """`2027-01-04 06:00+01:00`, or with `Z` in UTC. Empty for None."""
    return at.astimezone(ZoneInfo(zone)).isoformat(" ", timespec).replace("+00:00", "Z") if at is not None else ""
