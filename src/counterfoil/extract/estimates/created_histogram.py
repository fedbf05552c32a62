"""How a report's rows lie in time: what tells how many pages a list window has before it is asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

#: Between two neighbouring instants lie a 256th of the rows.
_STEPS = 256


@dataclass(frozen=True, slots=True)
class CreatedHistogram:
    """Rows, and the instants (Unix seconds, ascending) that cut them into parts with equally many each."""

    rows: int
    instants: tuple[int, ...]

    @classmethod
    def of(cls, created: Sequence[int]) -> CreatedHistogram:
        """The spread of these instants, which are in ascending order."""
        if not created:
            return cls(0, ())
        last = len(created) - 1
        return cls(len(created), tuple(created[last * step // _STEPS] for step in range(_STEPS + 1)))

    def before(self, instant: float) -> float:
        """About how many rows were created before it; behind the newest they go on as they came lately."""
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
        """About when so many rows had been created."""
        part = self.rows / (len(self.instants) - 1)
        at = min(int(rows / part), len(self.instants) - 2)
        since, until = self.instants[at], self.instants[at + 1]
        return round(since + (until - since) * min(rows / part - at, 1))

    def grown(self, rows: int, until: int) -> CreatedHistogram:
        """With as many rows more, which came evenly since the newest."""
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
        """Rows a second in the newest sixteenth."""
        first = self.instants[-1 - _STEPS // 16]
        return self.rows / 16 / max(self.instants[-1] - first, 1)
