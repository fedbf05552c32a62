"""`counterfoil reports`."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter


def reports(*, as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False) -> None:
    """List what can be read.

    Parameters
    ----------
    as_json
        One JSON array with keys, titles, columns, types, options and permissions.
    """
    from counterfoil.app import describe_reports

    described = describe_reports()
    if as_json:
        print(json.dumps(described, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("report", "title", "columns", "what it is", box=None, header_style="bold", pad_edge=False)
    for one in described:
        table.add_row(one["key"], one["title"], str(len(one["columns"])), one["description"])
    Console().print(table)
