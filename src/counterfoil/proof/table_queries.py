"""Queries of tables, with results as Python values. Rows are streamed, never collected in a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

#: Runs one SELECT.
Ask = Callable[[str], pa.RecordBatchReader]


def one(ask: Ask, sql: str) -> dict[str, Any]:
    """The only row of a result. Sums of integers are integers, even if the database returns decimals."""
    (row,) = rows(ask, sql)
    return row


def rows(ask: Ask, sql: str) -> Iterator[dict[str, Any]]:
    """The rows of a result, one at a time."""
    for batch in ask(sql):
        for row in batch.to_pylist():
            yield {name: _whole(value) for name, value in row.items()}


def plain(value: Any) -> Any:
    """The value in a form that JSON supports."""
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case Decimal():
            return f"{value:f}"
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def shortened(value: Any, length: int = 200) -> Any:
    """The same, with long texts truncated."""
    short = plain(value)
    return f"{short[: length - 1]}…" if isinstance(short, str) and len(short) > length else short


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() and _is_sum(value) else value


def _is_sum(value: Decimal) -> bool:
    """Whether the decimal can be a sum of integers: it has no digits after the decimal point, not even zeros."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= 0
