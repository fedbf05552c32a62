"""Reads several listings into one table. The column `_kind` names the listing of each row."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from counterfoil.extract.listing import Params, read_listing
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.streams import merge_streams
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.report import Union
from counterfoil.stripe.client import Client
from counterfoil.values import Page, StripeObject, Window


async def read_union(
    client: Client,
    source: Union,
    window: Window,
    *,
    notices: Warnings,
    params: Params | None,
    limit: int | None,
    earlier: ResumeState,
) -> AsyncGenerator[Page, None]:
    """The objects of all listings, each with its `_kind`; with `limit`, the N newest across all listings."""
    streams = [
        _of_kind(
            kind,
            read_listing(
                client,
                listing,
                window,
                notices=notices,
                source=kind,
                params=params,
                limit=limit,
                resumed=earlier.resumed(kind),
            ),
        )
        for kind, listing in source.listings.items()
    ]
    if limit is None:
        async with aclosing(merge_streams(streams)) as pages:
            async for page in pages:
                yield page
        return
    if earlier.reached(""):
        return
    newest: list[StripeObject] = []
    date = 0
    async with aclosing(merge_streams(streams)) as pages:
        async for page in pages:
            date = date or page.date
            newest = sorted([*newest, *page.objects], key=lambda o: (o["created"], o["id"]), reverse=True)[:limit]
    yield Page("", window, None, newest, last=True, date=date)


async def _of_kind(kind: str, listed: AsyncGenerator[Page, None]) -> AsyncGenerator[Page, None]:
    async with aclosing(listed) as pages:
        async for page in pages:
            for one in page.objects:
                one["_kind"] = kind
            yield page
