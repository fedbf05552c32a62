"""Rows on a terminal, and as JSON."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from counterfoil.cli.output.lists import print_json, print_list

if TYPE_CHECKING:
    import pyarrow as pa

    from counterfoil.app.export.amounts import Currencies

#: Rows shown by default.
_ROWS = 20
#: Maximum width of a column.
_CELL = 40


def print_preview(rows: pa.RecordBatchReader, limit: int | None, currencies: Currencies) -> int:
    """Prints the first rows and the columns that fit; returns the number of rows."""
    from counterfoil.app.export.amounts import amounts_as_text
    from counterfoil.app.export.files import first

    shown = [
        [_cell(value) for value in row.values()]
        for batch in first(rows, _ROWS if limit is None else limit)
        for row in amounts_as_text(batch, currencies).to_pylist()
    ]
    names, room, taken = rows.schema.names, shutil.get_terminal_size().columns, 0
    widths = [max(map(len, column)) for column in zip(names, *shown, strict=True)]
    while taken < len(names) and (room := room - widths[taken] - 2) >= -2:
        taken += 1
    taken = max(taken, 1)
    print_list(names[:taken], [row[:taken] for row in shown])
    return len(shown)


def print_rows_as_json(rows: pa.RecordBatchReader, limit: int | None, currencies: Currencies) -> None:
    """Prints one JSON object per row."""
    from counterfoil.app.export.amounts import amounts_as_text
    from counterfoil.app.export.files import first, json_row

    for batch in first(rows, limit):
        for row in amounts_as_text(batch, currencies).to_pylist():
            print_json(json_row(row))


def _cell(value: Any) -> str:
    text = "" if value is None else value.isoformat(" ") if hasattr(value, "isoformat") else str(value)
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"
