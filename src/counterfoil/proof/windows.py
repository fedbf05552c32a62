"""Checks whether the pages of a run cover the expected windows, without gaps or duplicates, to the end of each list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from counterfoil.archive import PageNote
from counterfoil.proof.check import Check, judged, not_applicable
from counterfoil.values import Window

#: The windows that the pages of each source should cover, by the source's name in the pages.
Expected = Mapping[str, Sequence[Window]]


@dataclass(slots=True)
class _Chain:
    """The pages of one window, newest first, each requested after the one before."""

    until: float
    since: float = -inf
    #: `created` of the oldest object that was listed.
    oldest: float = inf
    done: bool = False
    cursor: str | None = None
    pages: int = 0

    @property
    def low(self) -> float:
        """The time from which everything was listed. An unfinished chain ends in its oldest second."""
        return self.since if self.done else max(self.oldest, self.since)


def check_windows(notes: Iterable[PageNote], expected: Expected) -> Check:
    """Checks the pages, given in the order in which they were stored."""
    if not expected:
        return not_applicable("coverage", "windows", "The objects were read one by one, not by time windows.")
    chains: dict[str, dict[float, _Chain]] = {source: {} for source in expected}
    differences: list[dict[str, Any]] = []
    for note in notes:
        # Pages without a position contain objects that were read by their ids.
        if note.source in chains and (note.position is not None or note.last):
            if note.unwindowed:
                # One chain from the top to the end replaces the windows.
                chains[note.source].clear()
            differences += _add(chains[note.source], note)
    figures: dict[str, Any] = {}
    for source, windows in expected.items():
        of_source = sorted(chains[source].values(), key=lambda one: one.until, reverse=True)
        figures[source] = {
            "windows": len(of_source),
            "pages": sum(one.pages for one in of_source),
            "from": _instant(min((window.since or -inf for window in windows), default=-inf)),
            "until": _instant(max((_end(window) for window in windows), default=inf)),
        }
        for window in windows:
            within = [one for one in of_source if _start(window) < one.until <= _end(window)]
            differences += [{"source": source, **fault} for fault in _faults(within, window)]
    return judged(
        "coverage",
        "windows",
        "The windows cover the whole time range without gaps or overlaps.",
        "The windows do not cover the time range without gaps or overlaps.",
        {"sources": figures},
        differences,
    )


def _add(chains: dict[float, _Chain], note: PageNote) -> Iterator[dict[str, Any]]:
    until = inf if note.window.until is None else note.window.until
    chain = chains.setdefault(until, _Chain(until))
    if note.cursor != chain.cursor:
        yield {
            "source": note.source,
            "fault": "a page is missing",
            "window_until": _instant(until),
            "after": chain.cursor,
            "next_page_after": note.cursor,
        }
    chain.pages += 1
    chain.since = -inf if note.window.since is None else note.window.since
    chain.done = chain.done or note.last
    if note.position is not None:
        chain.cursor = note.position.cursor
        if note.position.oldest is not None:
            chain.oldest = note.position.oldest


def _faults(chains: Sequence[_Chain], window: Window) -> Iterator[dict[str, Any]]:
    """The gaps and overlaps of the chains, newest first, that should cover the window."""
    reached, left = _end(window), False
    for chain in chains:
        # When a chain's cursor was deleted, the next chain lists its oldest second again.
        if chain.until < reached:
            yield {"fault": "a gap", "from": _instant(chain.until), "until": _instant(reached)}
        elif chain.until > reached + left:
            yield {"fault": "an overlap", "from": _instant(reached), "until": _instant(chain.until)}
        reached, left = min(reached, chain.low), not chain.done
    if reached > _start(window):
        yield {"fault": "a gap", "from": _instant(_start(window)), "until": _instant(reached)}


def _start(window: Window) -> float:
    return -inf if window.since is None else window.since


def _end(window: Window) -> float:
    return inf if window.until is None else window.until


def _instant(bound: float) -> int | None:
    """The bound as JSON; None is unbounded."""
    return None if bound in (inf, -inf) else int(bound)
