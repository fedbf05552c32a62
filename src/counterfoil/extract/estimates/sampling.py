"""How many rows a list holds, judged from a few of its pages: no I/O, no clock.

Stripe tells no totals. A page that was asked for below an instant tells how dense the list is there; between two such
looks the density is taken to pass from one to the other. The next look goes where most depends on that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nlargest
from itertools import pairwise

from counterfoil.extract.windows import FIRST_YEAR, PAGE_ROWS

#: Looks may take this share of the pages that the list seems to have, at least a few, at most so many.
_SHARE, _MOST = 0.02, 40
#: Behind a look: so many times as far back, until nothing is older.
_STEP_BACK = 3
#: Looks of one round, which are asked for side by side.
_ROUND = 8
#: A gap with fewer rows at stake is left as it is judged.
_LEAST_ROWS = 50
#: Where one end of a gap is so much denser than the other, the look goes near the dense end.
_STEEP = 20
#: Of a gap's rows, what its judgement may be off by even where both ends are alike: observed on lists of many kinds.
_NOISE = 0.25
_GOLDEN = 0.6180339887


@dataclass(frozen=True, slots=True)
class Sample:
    """A page that has rows: the newest of the list below `until`."""

    until: int
    newest: int
    oldest: int
    rows: int

    @property
    def density_above(self) -> float:
        return self.rows / max(self.until - self.oldest, 1)

    @property
    def density_below(self) -> float:
        return self.rows / (self.newest - self.oldest + 1)


@dataclass(frozen=True, slots=True)
class _Gap:
    """Time between two looks, with the density at its older and at its newer end."""

    since: int
    until: int
    older: float
    newer: float

    @property
    def seconds(self) -> int:
        return self.until - self.since

    @property
    def density(self) -> float:
        # Straight from one to the other is too much where the ends differ by orders; the geometric mean is too little.
        return ((self.older + self.newer) / 2 + math.sqrt(self.older * self.newer)) / 2

    @property
    def rows(self) -> float:
        # Two looks that overlap have counted what is in both twice.
        return self.seconds * (self.older if self.seconds < 0 else self.density)

    @property
    def doubt(self) -> float:
        return max(self.seconds, 0) * max(abs(self.newer - self.older) / 3, self.density * _NOISE)

    @property
    def at_stake(self) -> float:
        return self.seconds * (abs(self.newer - self.older) + 0.2 * (self.newer + self.older))

    def inside(self, share: float) -> int:
        """An instant in the gap: at the share of it, or near its dense end where that is far denser."""
        dense, thin = max(self.newer, self.older), min(self.newer, self.older)
        if 0 < thin * _STEEP < dense:
            step = int(min(self.seconds * 0.4, math.sqrt(self.seconds * PAGE_ROWS / dense)))
            return self.until - step if self.newer > self.older else self.since + step + 1
        return self.since + int(self.seconds * share)


class Sampling:
    """The looks at one list, newest first, and what follows from them.

    `more` looks may be taken than its rows are worth.
    """

    def __init__(self, since: int | None, *, more: int = 0) -> None:
        self.looks: list[Sample] = []
        self.count = 0
        self._more = more
        self._since = since
        self._floor = FIRST_YEAR if since is None else since
        #: Whether it is known how far back the list goes.
        self._bounded = since is not None
        self._open = True

    def add(self, until: int | None, created: list[int], *, has_more: bool) -> None:
        """Takes the times of a page that was asked for below `until`, newest first."""
        self.count += 1
        if created:
            newest, oldest = created[0], created[-1]
            self.looks.append(Sample(newest + 1 if until is None else until, newest, oldest, len(created)))
            self.looks.sort(key=lambda look: look.until, reverse=True)
        if not has_more:
            # Nothing is older than this page.
            self._bounded, self._open = True, self._open and not created
            self._floor = max(self._floor, created[-1] if created else until or 0)

    @property
    def goes_on(self) -> bool:
        """Something is older than all that was looked at."""
        return self._open and bool(self.looks)

    def _gaps(self) -> Iterator[_Gap]:
        for newer, older in pairwise(self.looks):
            yield _Gap(older.until, newer.oldest, older.density_above, newer.density_below)
        if self.goes_on and self._floor < self.looks[-1].oldest:
            # A bound cuts through the list; where nothing is older, it began somewhere in between.
            below = self.looks[-1].density_below
            yield _Gap(self._floor, self.looks[-1].oldest, below if self._floor == self._since else 0.0, below)

    def pieces(self) -> Iterator[tuple[int, int, float]]:
        """Ranges `[since, until)` of the list with the rows that they are judged to hold, in no order."""
        yield from ((look.oldest, look.newest + 1, look.rows) for look in self.looks)
        yield from ((gap.since, gap.until, gap.rows) for gap in self._gaps() if gap.seconds > 0)

    @property
    def rows(self) -> float:
        """Of the whole list."""
        return max(0.0, sum(look.rows for look in self.looks) + sum(gap.rows for gap in self._gaps()))

    @property
    def doubt(self) -> float:
        """Rows by which the judgement may well be off."""
        return 2 * math.sqrt(sum(gap.doubt**2 for gap in self._gaps()))

    def next(self) -> list[int]:
        """Instants to look below, side by side; none when it is not worth a request more."""
        left = int(_allowed(self.rows)) + self._more - self.count
        if left < 1 or not self.looks:
            return []
        if not self._bounded:
            last = self.looks[-1].oldest
            at = last - _STEP_BACK * max(self.looks[0].until - last, 1)
            if at > self._floor:
                return [at]
            self._bounded = True
        open_gaps = [gap for gap in self._gaps() if gap.seconds > 1 and gap.at_stake >= _LEAST_ROWS]
        chosen = nlargest(min(left, _ROUND), open_gaps, key=lambda gap: gap.at_stake)
        # Not the middle: halves of halves would fall on the same hour of the day, or day of the week.
        return [gap.inside(0.3 + 0.4 * ((self.count + n) * _GOLDEN % 1)) for n, gap in enumerate(chosen)]


def _allowed(rows: float) -> float:
    pages = rows / PAGE_ROWS
    return min(_MOST, 2 + min(pages / 8, 6) + pages * _SHARE)
