"""Reads invoices that do not exist yet: one preview for each object that will be invoiced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from counterfoil.errors import RunError
from counterfoil.extract.children import complete
from counterfoil.extract.listing import read_listing
from counterfoil.extract.notices import Notices
from counterfoil.extract.side_by_side import side_by_side
from counterfoil.reports.report import Preview, Previewed
from counterfoil.stripe.client import Client
from counterfoil.values import Page, StripeObject, Window


async def read_preview(client: Client, source: Preview, *, notices: Notices) -> AsyncGenerator[Page, None]:
    """A page of previews for each page of the objects that are previewed."""
    streams = [_previews(client, source, previewed, notices) for previewed in source.previewed]
    async with aclosing(side_by_side(streams)) as pages:
        async for page in pages:
            yield page


async def _previews(
    client: Client, source: Preview, previewed: Previewed, notices: Notices
) -> AsyncGenerator[Page, None]:
    async with aclosing(read_listing(client, previewed.listing, Window(), notices=notices)) as pages:
        async for page in pages:
            live = [str(one["id"]) for one in page.objects if one.get("status") in previewed.statuses]
            # The limiter says how many are in flight; a page of a hundred bounds how many wait.
            found = await asyncio.gather(*(_preview(client, source, previewed.param, one, notices) for one in live))
            yield Page(page.source, page.window, page.cursor, [one for one in found if one is not None], page.last)


async def _preview(
    client: Client, source: Preview, param: str, identifier: str, notices: Notices
) -> StripeObject | None:
    try:
        answer = await client.post(source.path, {param: identifier})
    except RunError as error:
        if error.code in source.none:
            return None
        raise
    invoice = answer.body
    await complete(client, [invoice], source.lists, expand=(), notices=notices)
    return {**invoice, source.key: identifier}
