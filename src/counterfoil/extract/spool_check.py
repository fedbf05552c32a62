"""Checks whether the pages of an interrupted reading are consistent, so that reading can resume from them.

Every page was valid by itself when it was stored. Together they can still contradict one another: a page is stored
twice, two windows overlap, a cursor does not continue, two rows have the same identifier, or a page belongs to another
report. Then it is unknown which page is right, and none is used. Rejecting a good spool costs requests, not rows.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Any

from counterfoil.archive.key_check import repeated_hashes
from counterfoil.reports.report import Collected, Listing, Preview, Report, Singleton, Union
from counterfoil.values import Page, Position, StripeObject, Window


def contradiction(pages: Iterable[Page], report: Report, window: Window, *, limit: int | None = None) -> str | None:
    """A readable description of the first contradiction between the pages; None if there is none."""
    sources = _sources(report, window, limited=limit is not None)
    paths = [next(column.path for column in report.columns if column.name == name) for name in report.primary_key]
    keys = array("q")
    for number, page in enumerate(pages, 1):
        source = sources.get(page.source)
        if source is None or page.parents or page.whole:
            return f"page {number} is not of this report"
        found = source.add(page)
        if found is not None:
            return f"page {number}: {found}"
        keys.extend(hash(tuple(_at(one, path) for path in paths)) for one in page.objects)
    overlap = next((found for source in sources.values() if (found := source.overlap()) is not None), None)
    if overlap is not None:
        return overlap
    if len(repeated_hashes(keys)):
        return "an identifier appears twice"
    if limit is not None and len(keys) > limit:
        return f"there are {len(keys):,} rows, but the limit is {limit:,}"
    return None


@dataclass(frozen=True, slots=True)
class _Reached:
    """The last page of one window. A window is identified by its end, which never changes."""

    window: Window
    position: Position | None
    done: bool


@dataclass(slots=True)
class _Source:
    """The pages of one listing."""

    window: Window
    #: The field with the rows' creation time; None if the list has none.
    created: str | None
    #: Whether the rows are the listed objects, not objects embedded in them.
    rows_are_listed: bool = True
    _reached: dict[int | None, _Reached] = field(default_factory=dict)
    #: Whether the list was read without windows, and whether it was read to its end.
    _unwindowed: bool = False
    _ended: bool = False

    def add(self, page: Page) -> str | None:
        """Adds a page; returns how it contradicts the pages before it, or None."""
        if self._ended or (self._unwindowed and not page.unwindowed):
            return "it follows the end of a list that was read without windows"
        if page.unwindowed:
            # Only identifiers distinguish such rows.
            self._unwindowed, self._ended = True, page.last
            return None
        known = self._reached.get(page.window.until)
        found = self._window(page) or self._cursor(page, known) or _position(page, known)
        if found is None and self.rows_are_listed and self.created is not None:
            found = _rows(page, known, self.created)
        self._reached[page.window.until] = _Reached(page.window, page.position, page.last)
        return found

    def overlap(self) -> str | None:
        """A description of two overlapping windows, after all pages are added; None if there are none."""
        if self._unwindowed:
            return None
        ordered = sorted(self._reached.values(), key=lambda one: _end(one.window), reverse=True)
        for upper, lower in pairwise(ordered):
            end = lower.window.until
            if end is None:
                return "two windows have no end"
            if upper.done:
                overlaps = _start(upper.window) < end
            else:
                # When a cursor was deleted, its window continues as a new window from its last second.
                oldest = None if upper.position is None else upper.position.oldest
                overlaps = oldest is None or oldest < end - 1
            if overlaps:
                return f"the window that ends at {end} overlaps another one"
        return None

    def _window(self, page: Page) -> str | None:
        if _start(page.window) < _start(self.window) or _end(page.window) > _end(self.window):
            return "its window is outside of the requested range"
        if not self._reached and page.window.until != self.window.until:
            return "the first window does not end with the requested range"
        if self.created is None and page.window != Window():
            return "the list has no windows"
        return None

    def _cursor(self, page: Page, known: _Reached | None) -> str | None:
        if known is None:
            return None if page.cursor is None else "the first page of its window is missing"
        if known.done:
            return "an earlier page ended its window"
        if page.cursor is None:
            return None if self._restarts(known) else "its window has two first pages"
        expected = known.position and known.position.cursor
        return None if page.cursor == expected else f"it follows {page.cursor}, but the page before ended at {expected}"

    def _restarts(self, known: _Reached) -> bool:
        """Whether a list or a one-second window can have started again because its cursor's row was deleted."""
        if self.created is None:
            return True
        oldest, until = known.position and known.position.oldest, known.window.until
        return oldest is not None and until is not None and oldest == until - 1


def _sources(report: Report, window: Window, *, limited: bool) -> dict[str, _Source]:
    """The sources that the pages of a full reading can have, by name."""
    match report.source:
        case Listing(path=path, created=created):
            return {path: _Source(window if created is not None else Window(), created)}
        case Union() if limited:
            return {"": _Source(window, "created", rows_are_listed=False)}
        case Union(listings=listings):
            return {kind: _Source(window, listing.created) for kind, listing in listings.items()}
        case Collected(places=places):
            return {one.listing.path: _Source(Window(), one.listing.created, rows_are_listed=False) for one in places}
        case Preview(previewed=previewed):
            return {
                one.listing.path: _Source(Window(), one.listing.created, rows_are_listed=False) for one in previewed
            }
        case Singleton(path=path):
            return {path: _Source(Window(), None)}


def _position(page: Page, known: _Reached | None) -> str | None:
    """The contradiction in the page's position, or None."""
    position = page.position
    if position is None:
        return None if page.last else "it has no position and is not the last page"
    if position.newest is not None and position.oldest is not None and position.newest < position.oldest:
        return "its oldest row is newer than its newest"
    before = known.position.listed if known is not None and known.position is not None else 0
    ends = page.last and not page.objects
    if position.listed < before or (position.listed == before and not ends):
        return "it lists nothing beyond the page before"
    return None


def _rows(page: Page, known: _Reached | None, created: str) -> str | None:
    """The contradiction in the rows: they must be in their window, newest first, and older than the page before."""
    found = [one.get(created) for one in page.objects]
    times = [at for at in found if type(at) is int and at in page.window]
    if len(times) < len(found):
        return "a row is outside of its window"
    if times != sorted(times, reverse=True):
        return "its rows are not newest first"
    before = known.position.oldest if known is not None and known.position is not None else None
    if times and before is not None and times[0] > before:
        return "its rows are newer than those of the page before"
    return None


def _start(window: Window) -> float:
    return -inf if window.since is None else window.since


def _end(window: Window) -> float:
    return inf if window.until is None else window.until


def _at(one: StripeObject, path: Iterable[str]) -> str | None:
    """The value at the path as text, because values need not be hashable."""
    value: Any = one
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return None if value is None else str(value)
