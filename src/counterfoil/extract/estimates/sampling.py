"""Estimates the number of rows of a list from a few sample pages. No I/O, no clock.

Stripe does not return totals. A sample is the newest page before an instant; it shows the density of rows there.
Between two samples the density is interpolated. The next sample is taken where the uncertainty is greatest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nlargest
from itertools import pairwise

from counterfoil.extract.windows import FIRST_YEAR, PAGE_ROWS

#: Samples as a share of the list's estimated pages, and their maximum number. The first few are always allowed.
_SHARE, _MOST = 0.02, 40
#: Factor by which each sample goes further back, until nothing is older.
_STEP_BACK = 3
#: Samples per round, which are requested in parallel.
_ROUND = 8
#: A gap with an uncertainty below this number of rows gets no further sample.
_LEAST_ROWS = 50
#: If one end of a gap is denser than the other by this factor, the sample is taken near the dense end.
_STEEP = 20
#: Relative uncertainty of a gap even if both ends are equally dense, observed on lists of many kinds.
_NOISE = 0.25
_GOLDEN = 0.6180339887


@dataclass(frozen=True, slots=True)
class Sample:
    """A page with rows: the newest page of the list before `until`."""

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
    """The time between two samples, with the density at its older and at its newer end."""

    since: int
    until: int
    older: float
    newer: float

    @property
    def seconds(self) -> int:
        return self.until - self.since

    @property
    def density(self) -> float:
        # If the ends differ by orders of magnitude, the arithmetic mean is too high and the geometric mean too low.
        return ((self.older + self.newer) / 2 + math.sqrt(self.older * self.newer)) / 2

    @property
    def rows(self) -> float:
        # Overlapping samples counted the rows that are in both twice.
        return self.seconds * (self.older if self.seconds < 0 else self.density)

    @property
    def doubt(self) -> float:
        return max(self.seconds, 0) * max(abs(self.newer - self.older) / 3, self.density * _NOISE)

    @property
    def at_stake(self) -> float:
        return self.seconds * (abs(self.newer - self.older) + 0.2 * (self.newer + self.older))

    def inside(self, share: float) -> int:
        """An instant in the gap: at the given share of it, or near its dense end if that end is much denser."""
        dense, thin = max(self.newer, self.older), min(self.newer, self.older)
        if 0 < thin * _STEEP < dense:
            step = int(min(self.seconds * 0.4, math.sqrt(self.seconds * PAGE_ROWS / dense)))
            return self.until - step if self.newer > self.older else self.since + step + 1
        return self.since + int(self.seconds * share)


class Sampling:
    """The samples of one list, newest first, and the estimates based on them.

    `more` is the number of samples in addition to those that the estimate allows.
    """

    def __init__(self, since: int | None, *, more: int = 0) -> None:
        self.looks: list[Sample] = []
        self.count = 0
        self._more = more
        self._since = since
        self._floor = FIRST_YEAR if since is None else since
        #: Whether the start of the list is known.
        self._bounded = since is not None
        self._open = True

    def add(self, until: int | None, created: list[int], *, has_more: bool) -> None:
        """Adds the creation times of the newest page before `until`, newest first."""
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
        """Whether the list has objects older than all samples."""
        return self._open and bool(self.looks)

    def _gaps(self) -> Iterator[_Gap]:
        for newer, older in pairwise(self.looks):
            yield _Gap(older.until, newer.oldest, older.density_above, newer.density_below)
        if self.goes_on and self._floor < self.looks[-1].oldest:
            # With a lower bound, the density continues down to it; otherwise it falls to zero at the start of the list.
            below = self.looks[-1].density_below
            yield _Gap(self._floor, self.looks[-1].oldest, below if self._floor == self._since else 0.0, below)

    def pieces(self) -> Iterator[tuple[int, int, float]]:
        """Ranges `[since, until)` of the list with their estimated number of rows, in no order."""
        yield from ((look.oldest, look.newest + 1, look.rows) for look in self.looks)
        yield from ((gap.since, gap.until, gap.rows) for gap in self._gaps() if gap.seconds > 0)

    @property
    def rows(self) -> float:
        """Estimated rows of the whole list."""
        return max(0.0, sum(look.rows for look in self.looks) + sum(gap.rows for gap in self._gaps()))

    @property
    def doubt(self) -> float:
        """Uncertainty of the estimate, in rows."""
        return 2 * math.sqrt(sum(gap.doubt**2 for gap in self._gaps()))

    def next(self) -> list[int]:
        """Instants of the next samples, which can be requested in parallel; empty if none is worth a request."""
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
        # Not the middle: repeated halving would hit the same hour of the day or day of the week.
        return [gap.inside(0.3 + 0.4 * ((self.count + n) * _GOLDEN % 1)) for n, gap in enumerate(chosen)]


def _allowed(rows: float) -> float:
    pages = rows / PAGE_ROWS
    return min(_MOST, 2 + min(pages / 8, 6) + pages * _SHARE)
