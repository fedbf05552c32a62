"""Whether the pages of a run cover what they were to cover: no gap, no page twice, each list read to its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from counterfoil.archive import PageNote
from counterfoil.proof.check import Check, judged, not_applicable
from counterfoil.values import Window

#: Windows that each source's pages are to cover, by the name that pages have of it.
Expected = Mapping[str, Sequence[Window]]


@dataclass(slots=True)
class _Chain:
    """Pages of one window, newest first, each asked for after the one before."""

    until: float
    since: float = -inf
    #: `created` of the oldest object that was listed.
    oldest: float = inf
    done: bool = False
    cursor: str | None = None
    pages: int = 0

    @property
    def low(self) -> float:
        """From where on everything has been listed; a chain that was left ends in its oldest second."""
        return self.since if self.done else max(self.oldest, self.since)


def check_windows(notes: Iterable[PageNote], expected: Expected) -> Check:
    """Of the pages in the order in which they were kept."""
    if not expected:
        return not_applicable("coverage", "windows", "The rows were read object by object, not by windows of time.")
    chains: dict[str, dict[float, _Chain]] = {source: {} for source in expected}
    differences: list[dict[str, Any]] = []
    for note in notes:
        # What names no place in a list was read by its id.
        if note.source in chains and (note.position is not None or note.last):
            if note.unwindowed:
                # One chain from the top to the end, in place of the windows.
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
        "The windows that were read cover the whole range, without a gap and without an overlap.",
        "The windows that were read do not cover the range.",
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
    """What is wrong with the chains, latest first, that should cover the window."""
    reached, left = _end(window), False
    for chain in chains:
        # A chain whose cursor was deleted is left, and its oldest second is listed again by the next.
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
    """As JSON holds it; None is unbounded."""
    return None if bound in (inf, -inf) else int(bound)
