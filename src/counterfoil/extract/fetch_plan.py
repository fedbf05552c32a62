"""Decides which changed objects are read by windows of their list, and which one by one.

A page of 100 objects costs one request, like a single object. But Stripe takes longer for a page, and its unchanged
rows are processed for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf

from counterfoil.extract.estimates.created_histogram import CreatedHistogram
from counterfoil.extract.windows import PAGE_ROWS
from counterfoil.values import Window

#: Cost of a row in addition to its request, in requests: a full page costs as much as three single objects.
ROW_COST = 0.02


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """Windows and ids that together cover all changed objects."""

    windows: tuple[Window, ...]
    singly: tuple[str, ...]
    #: In requests; rows count by `ROW_COST`.
    cost: float


def plan_fetch(
    changed: Mapping[str, int | None], histogram: CreatedHistogram | None, *, singly: bool = True
) -> FetchPlan:
    """The cheapest plan that covers the ids, each with its `created` if known.

    Without a histogram, or without `created`, objects are read one by one. `singly=False` is for lists filtered by
    options, where only the list shows which objects belong to it: then every known second is a window.
    """
    known = sorted((created, id_) for id_, created in changed.items() if created is not None)
    unknown = [id_ for id_, created in changed.items() if created is None]
    if histogram is None and singly:
        return FetchPlan((), tuple(changed), len(changed) * (1 + ROW_COST))
    single = 1 + ROW_COST if singly else inf
    #: For the first N ids: the least cost, and the start of its last group; None for an id read by itself.
    best: list[tuple[float, int | None]] = [(0.0, None)]
    older = [0 if histogram is None else histogram.before(created) for created, _ in known]
    for end, (newest, _) in enumerate(known):
        least = best[end][0] + single
        begins: int | None = None
        upto = 0 if histogram is None else histogram.before(newest + 1)
        for start in range(end, -1, -1):
            rows = max(upto - older[start], end - start + 1)
            if rows > PAGE_ROWS and known[start][0] != newest:
                break  # a window of several pages is never cheaper than one window per page
            if (cost := best[start][0] + window_cost(rows)) < least:
                least, begins = cost, start
        best.append((least, begins))
    windows, alone, end = [], [], len(known)
    while end:
        first = best[end][1]
        if first is None:
            alone.append(known[end - 1][1])
            end -= 1
        else:
            windows.append(Window(known[first][0], known[end - 1][0] + 1))
            end = first
    cost = best[-1][0] + len(unknown) * (1 + ROW_COST)
    return FetchPlan(tuple(windows), (*alone, *unknown), cost)


def window_cost(rows: float) -> float:
    """Cost of a window with `rows` rows, in requests."""
    return max(ceil(rows / PAGE_ROWS), 1) + ROW_COST * rows
