"""`counterfoil reports`."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Annotated

from cyclopts import Parameter

from counterfoil.cli.terminal.screen import say


def reports(*, as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False) -> None:
    """List reports.

    Parameters
    ----------
    as_json
        Print a JSON array with the columns, types, options and permissions of each report.
    """
    from counterfoil.app.connection import describe_reports

    described = describe_reports()
    if as_json:
        print(json.dumps(described, indent=2, ensure_ascii=False))
        return
    rows = [(one["key"], one["title"], str(len(one["columns"])), one["description"]) for one in described]
    names = ("report", "title", "columns", "description")
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    if not sys.stdout.isatty() or shutil.get_terminal_size().columns < sum(widths[:3]) + 30:
        for row in (names, *rows):
            say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=name != names[-1])
    for row in rows:
        table.add_row(*row)
    Console().print(table)
