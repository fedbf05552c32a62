"""Questions to tables, as Python's values; the tables' rows never become a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

#: Answers one SELECT.
Ask = Callable[[str], pa.RecordBatchReader]


def one(ask: Ask, sql: str) -> dict[str, Any]:
    """The only row of an answer; whole numbers are integers, whatever the database makes of sums."""
    (row,) = rows(ask, sql)
    return row


def rows(ask: Ask, sql: str) -> Iterator[dict[str, Any]]:
    """The rows of an answer, one at a time."""
    for batch in ask(sql):
        for row in batch.to_pylist():
            yield {name: _whole(value) for name, value in row.items()}


def plain(value: Any) -> Any:
    """A value as JSON can hold it."""
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
    """The same, with long texts cut."""
    told = plain(value)
    return f"{told[: length - 1]}…" if isinstance(told, str) and len(told) > length else told


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() and _is_sum(value) else value


def _is_sum(value: Decimal) -> bool:
    """Sums of integers have no digits behind the point, not even zeros."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= 0
