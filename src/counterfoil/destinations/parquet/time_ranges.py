"""What a Parquet file says of the times in one of its columns, without its rows being read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from counterfoil.values import Window

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """The times of a column, in microseconds since 1970; None and None where all of them are null."""

    column: str
    least: int | None
    greatest: int | None
    nulls: int

    def within(self, windows: Sequence[Window]) -> bool | None:
        """Whether all rows are in one of the ranges, or none in any; None when the rows have to be asked."""
        if Window() in windows:
            return True
        if self.least is None or self.greatest is None:
            return False
        bounds = [
            (
                self.least if window.since is None else window.since * _SECOND,
                self.greatest + 1 if window.until is None else window.until * _SECOND,
            )
            for window in windows
        ]
        if not any(self.greatest >= since and self.least < until for since, until in bounds):
            return False
        if not self.nulls and any(self.least >= since and self.greatest < until for since, until in bounds):
            return True
        return None


def span_of(file: Path, column: str | None) -> Span | None:
    """None when there is no such column of times, or the file says too little of it."""
    metadata = pq.read_metadata(file)
    names = metadata.schema.names
    if column is None or column not in names:
        return None
    least: list[int] = []
    greatest: list[int] = []
    nulls = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        told = group.column(names.index(column)).statistics
        if told is None or not told.has_null_count:
            return None
        nulls += told.null_count
        if told.null_count == group.num_rows:
            continue
        if not told.has_min_max or not isinstance(told.min, dt.datetime) or told.min.tzinfo is None:
            return None
        least.append(_micros(told.min))
        greatest.append(_micros(told.max))
    return Span(column, min(least, default=None), max(greatest, default=None), nulls)


def _micros(instant: dt.datetime) -> int:
    return (instant - _EPOCH) // dt.timedelta(microseconds=1)
