"""The distribution of a report's rows over time, used to predict the number of pages in a window."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

#: Each interval between two neighbouring instants contains a 256th of the rows.
_STEPS = 256


@dataclass(frozen=True, slots=True)
class CreatedHistogram:
    """The number of rows, and the instants (Unix seconds, ascending) that split them into equal parts."""

    rows: int
    instants: tuple[int, ...]

    @classmethod
    def of(cls, created: Sequence[int]) -> CreatedHistogram:
        """The histogram of these instants, which are in ascending order."""
        if not created:
            return cls(0, ())
        last = len(created) - 1
        return cls(len(created), tuple(created[last * step // _STEPS] for step in range(_STEPS + 1)))

    def before(self, instant: float) -> float:
        """Estimated number of rows created before the instant. After the newest row, the latest rate continues."""
        if not self.rows:
            return 0
        instants, part = self.instants, self.rows / (len(self.instants) - 1)
        if instant > instants[-1]:
            return self.rows + (instant - instants[-1]) * self._pace()
        at = bisect_left(instants, instant)
        if at == 0:
            return 0
        since, until = instants[at - 1], instants[at]
        return (at - 1 + (instant - since) / (until - since)) * part

    def instant(self, rows: float) -> int:
        """Estimated time at which `rows` rows had been created."""
        part = self.rows / (len(self.instants) - 1)
        at = min(int(rows / part), len(self.instants) - 2)
        since, until = self.instants[at], self.instants[at + 1]
        return round(since + (until - since) * min(rows / part - at, 1))

    def grown(self, rows: int, until: int) -> CreatedHistogram:
        """The histogram with `rows` more rows, evenly distributed from the newest row to `until`."""
        if not self.rows:
            return CreatedHistogram(rows, (until,) * (_STEPS + 1)) if rows else self
        until = max(until, self.instants[-1])
        total = self.rows + max(rows, 0)

        def when(before: float) -> int:
            if before <= self.rows or not rows:
                return self.instant(before)
            return round(self.instants[-1] + (until - self.instants[-1]) * (before - self.rows) / rows)

        return CreatedHistogram(total, tuple(when(total * step / _STEPS) for step in range(_STEPS + 1)))

    def _pace(self) -> float:
        """Rows per second in the newest sixteenth."""
        first = self.instants[-1 - _STEPS // 16]
        return self.rows / 16 / max(self.instants[-1] - first, 1)
