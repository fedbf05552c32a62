"""Reads all rows of a parent again, for reports with lists that can be filtered by parent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from counterfoil.errors import RunError
from counterfoil.extract.collected import found_at, read_collected
from counterfoil.extract.listing import Params, is_hidden, read_listing
from counterfoil.extract.preview import read_preview
from counterfoil.extract.refetch import by_id, read_one
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.streams import chunked, gather
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.report import Collected, Listing, Parents, Preview, Report, Singleton, Union
from counterfoil.stripe.client import Client
from counterfoil.values import Page, StripeObject, Window

#: Parents whose rows are in memory at the same time.
_AT_A_TIME = 32


def requests_of_parent(report: Report) -> int:
    """The minimum number of requests for one parent."""
    match report.source:
        case Collected(places=places):
            return len(places)
        case Preview(previewed=previewed):
            return len(previewed) + 1
        case _:
            return 1


async def rows_of_parents(
    client: Client,
    report: Report,
    ids: Sequence[str],
    window: Window,
    *,
    again: Sequence[Window],
    notices: Warnings,
    params: Params,
) -> AsyncGenerator[Page, None]:
    """First the rows of the windows `again` and the rows that change without an event, then each parent's rows.

    Each later page contains all rows of several parents. `params` are the parameters of the options: a parent that they
    exclude has no rows.
    """
    parents = report.parents
    if parents is None or parents.param is None:
        raise ValueError(f"{report.key} is not read by parent")
    if isinstance(report.source, Listing):
        listed = [("again", one, params) for one in again]
        if parents.silent and not _excludes(params, parents.silent):
            listed.append(("silent", window, {**params, **parents.silent}))
        for name, one, sent in listed:
            async with aclosing(read_listing(client, report.source, one, notices=notices, params=sent)) as pages:
                async for page in pages:
                    yield Page(name, Window(), None, page.objects, last=False, date=page.date)
    ids = [id_ for id_ in ids if not _excludes(params, {parents.param: id_})]
    for some in chunked(ids, _AT_A_TIME):
        asked = [_rows(client, report, {**params, parents.param: id_}, window, notices) for id_ in some]
        rows = [row for rows in await gather(asked) for row in rows]
        yield Page("parents", Window(), None, rows, last=False, date=client.date, parents=some)


def _excludes(params: Params, wanted: Params) -> bool:
    return any(params.get(name, value) != value for name, value in wanted.items())


async def _rows(
    client: Client, report: Report, params: Params, window: Window, notices: Warnings
) -> list[StripeObject]:
    parents, source, earlier = report.parents, report.source, ResumeState(report)
    if parents is None or parents.param is None:
        raise ValueError(f"{report.key} is not read by parent")
    id_ = params[parents.param]
    own: list[StripeObject] = []
    match source:
        case Listing():
            pages = read_listing(client, source, window, notices=notices, params=params)
        case Collected():
            own = await _in_parent(client, source, parents, id_, notices)
            places = tuple(place for place in source.places if place.listing.path != parents.path)
            pages = read_collected(
                client, replace(source, places=places), notices=notices, earlier=earlier, params=params
            )
        case Preview():
            pages = read_preview(client, source, notices=notices, earlier=earlier, params=params)
        case Singleton() | Union():
            raise ValueError(f"{report.key} has no parents")
    rows = list(own)
    try:
        async with aclosing(pages):
            async for page in pages:
                rows += page.objects
    except RunError as error:
        # The parent no longer exists at Stripe, and neither do its rows.
        if error.code != "resource_missing" or error.param != parents.param:
            raise
    return list(by_id(rows).values()) if isinstance(source, Collected) else rows


async def _in_parent(
    client: Client, source: Collected, parents: Parents, id_: str, notices: Warnings
) -> list[StripeObject]:
    """The rows embedded in the parent itself."""
    found: list[StripeObject] = []
    for place in source.places:
        if place.listing.path == parents.path:
            one = await read_one(client, place.listing, id_, notices=notices)
            for path in place.at if one is not None and not is_hidden(place.listing, one) else ():
                found += [each for each in found_at(one, path) if isinstance(each, dict)]
    return found
