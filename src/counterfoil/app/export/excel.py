"""Rows as an Excel workbook of one sheet: ids are text, instants and days are dates, money is what it is.

Excel's own limits are told where they matter: a number has 15 digits, so that longer ones are text; a time has no
zone, so that instants are in UTC; a text has 32,767 letters, and longer ones end with an ellipsis; a sheet has
1,048,576 rows.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import IO, Any, Self

import pyarrow as pa

from counterfoil.errors import RunError

_MOST_ROWS = 1_048_576
_MOST_LETTERS = 32_767
_MOST_DIGITS = 15
_WIDTHS = {"id": 30, "instant": 19, "day": 11}


class ExcelWriter:
    """Writes batches like Arrow's own writers; a row is on the disk once the next one comes."""

    def __init__(self, sink: IO[bytes], schema: pa.Schema) -> None:
        import xlsxwriter

        self._book = xlsxwriter.Workbook(sink, {"constant_memory": True, "strings_to_numbers": False})
        self._sheet = self._book.add_worksheet("Rows")
        bold = self._book.add_format({"bold": True})
        self._instant = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._formats = [self._money(field.type) for field in schema]
        self._sheet.freeze_panes(1, 0)
        for number, field in enumerate(schema):
            instant = pa.types.is_timestamp(field.type)
            width = _WIDTHS["instant" if instant else "id" if field.name.endswith("id") else "day"]
            self._sheet.set_column(number, number, width)
        for number, name in enumerate(schema.names):
            self._sheet.write_string(0, number, name, bold)
        self._rows = 1

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """RunError when there are more rows than a sheet has."""
        if self._rows + batch.num_rows > _MOST_ROWS:
            raise RunError(
                f"A sheet of Excel has {_MOST_ROWS:,} rows, and there are more",
                hint="Choose fewer rows (--limit, or a filter on the page), or CSV or Parquet.",
            )
        columns = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            for number, value in enumerate(row):
                self._write(number, value)
            self._rows += 1

    def _write(self, column: int, value: Any) -> None:
        at = self._rows, column
        match value:
            case None:
                return
            case bool():
                self._sheet.write_boolean(*at, value)
            case datetime():
                plain = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
                self._sheet.write_datetime(*at, plain, self._instant)
            case date():
                self._sheet.write_datetime(*at, value, self._day)
            case int() | Decimal() if _fits(value):
                self._sheet.write_number(*at, value, self._formats[column])
            case float():
                self._sheet.write_number(*at, value)
            case _:
                text = str(value)
                self._sheet.write_string(*at, text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…")

    def _money(self, kind: pa.DataType) -> Any:
        """Decimals with as many digits behind the point as the column has; None for what is as it is."""
        if not pa.types.is_decimal(kind) or not 0 < kind.scale <= 6:
            return None
        return self._book.add_format({"num_format": f"#,##0.{'0' * kind.scale}"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._book.close()  # after an error too: it lets go of its own files, and whoever has the sink drops it


def _fits(value: int | Decimal) -> bool:
    """Whether Excel keeps every digit."""
    if isinstance(value, int):
        return len(str(abs(value))) <= _MOST_DIGITS
    return value.is_finite() and len(value.normalize().as_tuple().digits) <= _MOST_DIGITS
