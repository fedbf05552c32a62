"""Reads a list of Stripe's: windows in parallel where the endpoint takes `created`, else one chain of pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from counterfoil.errors import AccountError, RunError, StripeUnavailable
from counterfoil.extract.children import complete
from counterfoil.extract.notices import Notices
from counterfoil.extract.windows import PAGE_ROWS, Reached, Request, Windows
from counterfoil.reports.report import Listing
from counterfoil.stripe.client import Client
from counterfoil.values import Page, StripeObject, Window

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Fetched:
    request: Request
    #: With their embedded lists complete; None when the cursor's object was deleted.
    objects: list[StripeObject] | None
    has_more: bool = True
    date: int = 0


#: The limiter gives more slots while its tokens go unused: how often to ask it, when no answer comes meanwhile.
_LOOK_SECONDS = 0.1


async def read_listing(
    client: Client,
    listing: Listing,
    window: Window,
    *,
    notices: Notices,
    source: str = "",
    params: Params | None = None,
    limit: int | None = None,
    reached: Iterable[Reached] = (),
) -> AsyncGenerator[Page, None]:
    """Every object of the window exactly once, if it is there from before the first request until after the last.

    Pages of one window come newest first, pages of different windows in no order. With `limit` the newest so many
    come, in order. What `reached` covers is left out.
    """
    windows = Windows(window, created=listing.created, parallel=limit is None, reached=reached)
    fixed = {**listing.params, **(params or {})}
    in_flight: set[asyncio.Task[_Fetched]] = set()
    finished: set[asyncio.Task[_Fetched]] = set()
    left = limit
    answered = False
    try:
        while not windows.done and left != 0:
            slots = 1 if limit is not None else client.slots(listing.path)
            while len(in_flight) < max(slots, 1) and (request := windows.request()):
                in_flight.add(asyncio.create_task(_fetch(client, listing, fixed, request, left, notices)))
            finished, in_flight = await asyncio.wait(
                in_flight, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            for task in finished:
                fetched = task.result()
                request, chain = fetched.request, fetched.request.chain
                if fetched.objects is None:
                    windows.cursor_lost(request)
                    continue
                kept = windows.answer(request, fetched.objects, has_more=fetched.has_more)[:left]
                left = None if left is None else left - len(kept)
                answered = True
                yield Page(
                    source=source or listing.path,
                    window=Window(chain.since, chain.until),
                    cursor=request.cursor,
                    objects=kept,
                    last=chain.done,
                    position=chain.position(),
                    date=fetched.date,
                )
    except (AccountError, RunError) as error:
        # What has answered once is not retired: an error later on is an error.
        if error.status not in listing.retired or answered:
            raise
        notices.add("retired by Stripe, use connected accounts")
    finally:
        for task in in_flight:
            task.cancel()
        # Whatever else they ended with, the first error is the one that is told.
        await asyncio.gather(*in_flight, *finished, return_exceptions=True)


async def _fetch(
    client: Client, listing: Listing, fixed: Params, request: Request, left: int | None, notices: Notices
) -> _Fetched:
    params: dict[str, Any] = {**fixed, "limit": PAGE_ROWS if left is None else min(PAGE_ROWS, left)}
    if listing.created is not None:
        if request.window.since is not None:
            params["created[gte]"] = request.window.since
        if request.window.until is not None:
            params["created[lt]"] = request.window.until
    if request.cursor is not None:
        params["starting_after"] = request.cursor
    if listing.expand:
        params["expand"] = list(listing.expand)
    try:
        answer = await client.get(listing.path, params, version=listing.api_version)
    except RunError as error:
        # Stripe documents no error for this; `resource_missing` on `starting_after` is what others have seen.
        if request.cursor is not None and error.code == "resource_missing" and error.param == "starting_after":
            return _Fetched(request, None)
        raise
    objects, has_more = list_page(answer.body, listing.path)
    if listing.lists:
        await complete(client, objects, listing.lists, expand=listing.expand, notices=notices)
    return _Fetched(request, objects, has_more, answer.date)


def is_hidden(listing: Listing, one: StripeObject) -> bool:
    """Whether the list leaves it out, though it is there."""
    return bool(listing.hides and one.get(listing.hides))


def list_page(body: Mapping[str, Any], path: str) -> tuple[list[StripeObject], bool]:
    """`data` and `has_more` of a list, or StripeUnavailable when the answer is not a list of objects."""
    objects, has_more = body.get("data"), body.get("has_more")
    if not isinstance(objects, list) or not isinstance(has_more, bool) or not all(type(o) is dict for o in objects):
        raise StripeUnavailable("The answer is not a list as Stripe sends it", path=path, hint="Try again later.")
    return objects, has_more
