"""How to read: each source shape once, from a report and a client to pages of Stripe's objects."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing
from dataclasses import replace

from counterfoil.extract.collected import read_collected
from counterfoil.extract.listing import read_listing
from counterfoil.extract.notices import Notices
from counterfoil.extract.preview import read_preview
from counterfoil.extract.singleton import read_singleton
from counterfoil.extract.union import read_union
from counterfoil.reports.report import Collected, Listing, Preview, Report, Singleton, Union
from counterfoil.stripe.client import Client
from counterfoil.stripe.loop import stream
from counterfoil.values import Page, Window

__all__ = ["Notices", "read"]


def read(
    client: Client,
    report: Report,
    window: Window,
    *,
    notices: Notices,
    params: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Generator[Page, None, None]:
    """The report's objects as pages, read on the event loop while the caller works on the page before.

    Pages come in the order of their arrival; with `limit`, the newest so many objects come in Stripe's order.
    Closing the iterator cancels what is in flight.
    """
    return stream(lambda: _pages(client, report, window, notices, params, limit))


async def _pages(
    client: Client,
    report: Report,
    window: Window,
    notices: Notices,
    params: Mapping[str, str] | None,
    limit: int | None,
) -> AsyncGenerator[Page, None]:
    source = report.source
    match source:
        case Listing():
            pages = read_listing(client, source, window, notices=notices, params=params, limit=limit)
        case Singleton():
            pages = read_singleton(client, source, notices=notices)
        case Union():
            pages = read_union(client, source, window, notices=notices, params=params, limit=limit)
        case Collected():
            pages = read_collected(client, source, notices=notices)
        case Preview():
            pages = read_preview(client, source, notices=notices)
    left = limit
    async with aclosing(pages):
        async for page in pages:
            if left is None:
                yield page
                continue
            kept = page.objects[:left]
            left -= len(kept)
            yield replace(page, objects=kept)
            if left == 0:
                return
