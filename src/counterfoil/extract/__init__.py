"""Reads reports from Stripe as pages of objects. Each source shape has one reader."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing

from counterfoil.extract.changes import Changes, read_changes
from counterfoil.extract.estimates.created_histogram import CreatedHistogram
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.source import read_source
from counterfoil.extract.validation import CONTRADICTION
from counterfoil.extract.warnings import Warnings
from counterfoil.http.async_bridge import stream
from counterfoil.reports.report import Report
from counterfoil.stripe.client import Client
from counterfoil.values import Page, Window

__all__ = ["CONTRADICTION", "Changes", "CreatedHistogram", "ResumeState", "Warnings", "read"]


def read(
    client: Client,
    report: Report,
    window: Window,
    *,
    notices: Warnings,
    params: Mapping[str, str] | None = None,
    limit: int | None = None,
    earlier: ResumeState | None = None,
    changes: Changes | None = None,
    check: Callable[[], None] | None = None,
    keep: Callable[[Page], Page] | None = None,
) -> Generator[Page, None, None]:
    """The report's objects as pages, read on the event loop while the caller processes the previous page.

    Pages are in the order of their arrival. With `limit`, only the N newest objects are read, in Stripe's order. Pages
    in `earlier` are not read again. With `changes`, only changed objects are read, and `earlier` is ignored.
    Closing the iterator cancels the requests in flight. `check` is called while no page arrives; an exception that it
    raises cancels them too. `keep` is called with each page on the event loop's thread as soon as the page arrives, and
    returns the page for the caller.
    """

    async def pages() -> AsyncGenerator[Page, None]:
        if changes is not None:
            arriving = read_changes(client, report, changes, window, notices=notices, params=params or {})
        else:
            arriving = read_source(
                client,
                report,
                window,
                notices=notices,
                params=params,
                limit=limit,
                earlier=earlier or ResumeState(report),
            )
        async with aclosing(arriving):
            async for page in arriving:
                yield page if keep is None else keep(page)

    return stream(pages, check=check)
