"""The range of times in a column of a Parquet file, from its statistics alone."""

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
    """The range of times in a column, in microseconds since 1970; None and None if all of them are null."""

    column: str
    least: int | None
    greatest: int | None
    nulls: int

    def within(self, windows: Sequence[Window]) -> bool | None:
        """True if all rows are in one of the ranges, False if none is in any; None if the rows must be read."""
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
    """None if the file has no such column of times, or too few statistics."""
    metadata = pq.read_metadata(file)
    names = metadata.schema.names
    if column is None or column not in names:
        return None
    least: list[int] = []
    greatest: list[int] = []
    nulls = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        statistics = group.column(names.index(column)).statistics
        if statistics is None or not statistics.has_null_count:
            return None
        nulls += statistics.null_count
        if statistics.null_count == group.num_rows:
            continue
        if not statistics.has_min_max or not isinstance(statistics.min, dt.datetime) or statistics.min.tzinfo is None:
            return None
        least.append(_micros(statistics.min))
        greatest.append(_micros(statistics.max))
    return Span(column, min(least, default=None), max(greatest, default=None), nulls)


def _micros(instant: dt.datetime) -> int:
    return (instant - _EPOCH) // dt.timedelta(microseconds=1)
