"""How to read: each source shape once, from a report and a client to pages of Stripe's objects."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing

from counterfoil.extract.collected import read_collected
from counterfoil.extract.earlier import Earlier
from counterfoil.extract.listing import read_listing
from counterfoil.extract.notices import Notices
from counterfoil.extract.preview import read_preview
from counterfoil.extract.singleton import read_singleton
from counterfoil.extract.union import read_union
from counterfoil.reports.report import Collected, Listing, Preview, Report, Singleton, Union
from counterfoil.stripe.client import Client
from counterfoil.stripe.loop import stream
from counterfoil.values import Page, Window

__all__ = ["Earlier", "Notices", "read"]


def read(
    client: Client,
    report: Report,
    window: Window,
    *,
    notices: Notices,
    params: Mapping[str, str] | None = None,
    limit: int | None = None,
    earlier: Earlier | None = None,
    check: Callable[[], None] | None = None,
    keep: Callable[[Page], Page] | None = None,
) -> Generator[Page, None, None]:
    """The report's objects as pages, read on the event loop while the caller works on the page before.

    Pages come in the order of their arrival; with `limit`, the newest so many objects come in Stripe's order.
    What `earlier` holds of the same reading is left out. Closing the iterator cancels what is in flight, as does what
    `check` raises, which is called while nothing comes. `keep` takes each page as soon as it is there, on the event
    loop's thread, and gives what the caller gets.
    """

    async def pages() -> AsyncGenerator[Page, None]:
        async with aclosing(
            _pages(client, report, window, notices, params, limit, earlier or Earlier(report))
        ) as arriving:
            async for page in arriving:
                yield page if keep is None else keep(page)

    return stream(pages, check=check)


async def _pages(
    client: Client,
    report: Report,
    window: Window,
    notices: Notices,
    params: Mapping[str, str] | None,
    limit: int | None,
    earlier: Earlier,
) -> AsyncGenerator[Page, None]:
    source = report.source
    match source:
        case Listing():
            left = None if limit is None else limit - earlier.rows
            reached = earlier.reached(source.path)
            pages = read_listing(client, source, window, notices=notices, params=params, limit=left, reached=reached)
        case Singleton():
            pages = read_singleton(client, source, notices=notices, earlier=earlier)
        case Union():
            pages = read_union(client, source, window, notices=notices, params=params, limit=limit, earlier=earlier)
        case Collected():
            pages = read_collected(client, source, notices=notices, earlier=earlier)
        case Preview():
            pages = read_preview(client, source, notices=notices, earlier=earlier)
    async with aclosing(pages):
        async for page in pages:
            yield page
