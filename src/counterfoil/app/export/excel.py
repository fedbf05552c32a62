"""Rows as an Excel workbook with one sheet: ids are text, times and days are dates, amounts are exact numbers.

Limits of Excel: a number has 15 digits, so longer numbers are written as text; a time has no zone, so times are in UTC;
a text has 32,767 characters, so longer texts are cut and end with an ellipsis; a sheet has 1,048,576 rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import IO, Any, Self

import pyarrow as pa

from counterfoil.app.export.amounts import NO_CURRENCIES, Currencies
from counterfoil.columns.money import DIGITS
from counterfoil.errors import RunError

_MOST_ROWS = 1_048_576
_MOST_LETTERS = 32_767
_MOST_DIGITS = 15
_WIDTHS = {"id": 30, "instant": 19, "day": 11}


class ExcelWriter:
    """Writes batches with the interface of Arrow's writers; writes each row to disk when the next row starts."""

    def __init__(self, sink: IO[bytes], schema: pa.Schema, currencies: Currencies = NO_CURRENCIES) -> None:
        import xlsxwriter

        self._book = xlsxwriter.Workbook(sink, {"constant_memory": True, "strings_to_numbers": False})
        self._sheet = self._book.add_worksheet("Rows")
        bold = self._book.add_format({"bold": True})
        self._instant = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._formats = [self._money(field.type) for field in schema]
        self._of_currency = {digits: self._amount(digits) for digits in set(DIGITS.values())}
        #: The position of each column's currency.
        self._currencies = [
            schema.names.index(currencies[name]) if currencies.get(name) in schema.names else None
            for name in schema.names
        ]
        self._sheet.freeze_panes(1, 0)
        for number, field in enumerate(schema):
            instant = pa.types.is_timestamp(field.type)
            width = _WIDTHS["instant" if instant else "id" if field.name.endswith("id") else "day"]
            self._sheet.set_column(number, number, width)
        for number, name in enumerate(schema.names):
            self._sheet.write_string(0, number, name, bold)
        self._rows = 1

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Writes a batch; RunError if it exceeds the rows of a sheet."""
        if self._rows + batch.num_rows > _MOST_ROWS:
            raise RunError(
                f"too many rows for an Excel sheet: more than {_MOST_ROWS:,}",
                hint="Select fewer rows with --limit or a filter, or use CSV or Parquet.",
            )
        columns = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            for number, value in enumerate(row):
                self._write(number, value, self._format(number, value, row))
            self._rows += 1

    def _format(self, column: int, value: Any, row: Sequence[Any]) -> Any:
        """An amount has the digits of its currency, other decimals those of their column."""
        position = self._currencies[column]
        digits = None if position is None else DIGITS.get((row[position] or "").lower())
        if digits is None or not isinstance(value, Decimal) or value != round(value, digits):
            return self._formats[column]
        return self._of_currency[digits]

    def _write(self, column: int, value: Any, form: Any) -> None:
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
                self._sheet.write_number(*at, value, form)
            case float():
                self._sheet.write_number(*at, value)
            case _:
                text = str(value)
                self._sheet.write_string(*at, text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…")

    def _money(self, kind: pa.DataType) -> Any:
        """A number format with the decimal places of the column; None for other types."""
        if not pa.types.is_decimal(kind) or not 0 < kind.scale <= 6:
            return None
        return self._amount(kind.scale)

    def _amount(self, digits: int) -> Any:
        return self._book.add_format({"num_format": f"#,##0.{'0' * digits}" if digits else "#,##0"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._book.close()  # after an error too, to delete its temporary files; the caller discards the sink


def _fits(value: int | Decimal) -> bool:
    """Whether Excel stores every digit."""
    if isinstance(value, int):
        return len(str(abs(value))) <= _MOST_DIGITS
    return value.is_finite() and len(value.normalize().as_tuple().digits) <= _MOST_DIGITS
