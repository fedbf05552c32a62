"""Splits a range of `created` into windows with about equally many rows, based on samples of the report's lists."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise

from counterfoil.extract.estimates.estimate import Sampler
from counterfoil.extract.streams import gather
from counterfoil.extract.windows import PAGE_ROWS
from counterfoil.reports.report import Listing, Report, Union
from counterfoil.settings import Settings
from counterfoil.stripe.client import Client
from counterfoil.values import Window

#: Additional samples, to find where a list begins. Estimates omit them.
_MORE_LOOKS = 8

#: A range `[since, until)` and its number of rows, assumed to be evenly distributed.
Piece = tuple[int, int, float]


async def even_windows(
    client: Client, report: Report, window: Window, count: int, *, params: Mapping[str, str], settings: Settings
) -> tuple[Window, ...]:
    """At most `count` windows, oldest first; only `window` if it can't be split or Stripe refuses the samples."""
    match report.source:
        case Listing() as listing if report.created is not None:
            listings = [listing]
        case Union(listings=several) if report.created is not None:
            listings = list(several.values())
        case _:
            return (window,)
    if count == 1:
        return (window,)
    look = Sampler(client, window, None, settings, more=_MORE_LOOKS)
    listed = await gather([look.at(one, params) for one in listings])
    return cut(window, [piece for one in listed if one.sampling is not None for piece in one.sampling.pieces()], count)


def cut(window: Window, pieces: Sequence[Piece], count: int) -> tuple[Window, ...]:
    """The window in at most `count` parts with equal shares of the pieces' rows, each at least one page."""
    total = sum(rows for *_, rows in pieces)
    count = min(count, math.ceil(total / PAGE_ROWS))

    def before(instant: int) -> float:
        return sum(rows * min(max((instant - since) / (until - since), 0), 1) for since, until, rows in pieces)

    if count < 2:
        return (window,)
    instants = range(min(since for since, *_ in pieces), max(until for _, until, _ in pieces) + 1)
    cuts = {instants[bisect_left(instants, total * part / count, key=before)] for part in range(1, count)}
    inside = sorted(one for one in cuts if one in window and one != window.since)
    return tuple(Window(since, until) for since, until in pairwise((window.since, *inside, window.until)))
