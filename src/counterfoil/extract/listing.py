"""Reads a list from Stripe: parallel windows if the endpoint filters by `created`, otherwise one chain of pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from counterfoil.errors import AccountError, RunError, StripeUnavailable
from counterfoil.extract.embedded import complete, read_parent
from counterfoil.extract.validation import (
    TIME_CODES,
    TOLERABLE_CODES,
    Code,
    Deviation,
    Expected,
    ask,
    check_page,
    filters_of,
    invalid,
    request_name,
)
from counterfoil.extract.warnings import Warnings
from counterfoil.extract.windows import PAGE_ROWS, Reached, Request, Windows
from counterfoil.reports.report import Listing
from counterfoil.stripe.client import Client
from counterfoil.stripe.responses import Answer
from counterfoil.values import Page, StripeObject, Window

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resumed:
    """The progress of an interrupted reading of a list."""

    #: The progress of each window.
    reached: tuple[Reached, ...] = ()
    #: The identifiers of each page's rows, one per line.
    identifiers: tuple[str, ...] = ()
    #: Whether the list was read as one chain without windows, and whether to its end.
    unwindowed: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class _Fetched:
    request: Request
    limit: int
    #: None if the cursor's object was deleted.
    objects: list[StripeObject] | None
    has_more: bool = True
    date: int = 0
    #: Rows that were deleted while their embedded lists were read.
    deleted: frozenset[str] = frozenset()
    #: The deviation that all responses to the request have in common.
    deviation: Deviation | None = None
    request_id: str | None = None


#: How often to check for additional slots while no response arrives. The limiter adds slots when tokens go unused.
_LOOK_SECONDS = 0.1


async def read_listing(
    client: Client,
    listing: Listing,
    window: Window,
    *,
    notices: Warnings,
    source: str = "",
    params: Params | None = None,
    limit: int | None = None,
    resumed: Resumed | None = None,
) -> AsyncGenerator[Page, None]:
    """Every object of the window exactly once, if it exists from before the first request until after the last.

    Pages of one window are newest first; pages of different windows are in no order. With `limit`, only the N newest
    objects are read, in order. Objects in `resumed` are not read again. A list that Stripe does not order or filter by
    time as documented is read as one chain without windows, with a warning.
    """
    reading = _Reading(
        client=client,
        listing=listing,
        window=window,
        notices=notices,
        source=source or listing.path,
        params={**listing.params, **(params or {})},
        resumed=resumed or Resumed(),
        left=limit,
    )
    try:
        async for page in reading.pages():
            yield page
    except (AccountError, RunError) as error:
        # A list that has answered once is not retired, so a later error is raised.
        if error.status not in listing.retired or reading.answered:
            raise
        notices.add("retired by Stripe, use connected accounts")
    finally:
        await reading.cancel()


@dataclass(slots=True)
class _Reading:
    """One reading of a list."""

    client: Client
    listing: Listing
    window: Window
    notices: Warnings
    source: str
    params: Params
    resumed: Resumed
    #: Number of rows still to read; None for all.
    left: int | None
    answered: bool = False
    #: False once the list is read as one chain, because Stripe does not order or filter it by time.
    windowed: bool = True
    windows: Windows = field(init=False)
    filters: Mapping[str, frozenset[str]] = field(init=False)
    tolerated: set[Code] = field(default_factory=set)
    _given: list[str] = field(default_factory=list)
    _in_flight: set[asyncio.Task[_Fetched]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.filters = filters_of(self.params)
        self._given.extend(self.resumed.identifiers)
        if self.resumed.unwindowed:
            self.read_without_windows()
        else:
            known = () if self.listing.created else self._identifiers()
            self.windows = Windows(
                self.window,
                created=self.listing.created,
                parallel=self.left is None,
                reached=self.resumed.reached,
                listed=known,
            )

    def _identifiers(self) -> Iterable[str]:
        return (one for page in self._given for one in page.split("\n") if one)

    def read_without_windows(self) -> None:
        """Starts again at the top, as one chain in which only identifiers distinguish rows."""
        self.windowed = False
        self.windows = Windows(Window(), created=None, parallel=False, given=self._identifiers())
        self._given.clear()

    async def pages(self) -> AsyncGenerator[Page, None]:
        """The valid pages, in the order of their arrival."""
        if self.resumed.ended:
            return
        while not self.windows.done and self.left != 0:
            slots = 1 if self.left is not None else self.client.slots(self.listing.path)
            while len(self._in_flight) < max(slots, 1) and (request := self.windows.request()):
                self._in_flight.add(asyncio.create_task(self._fetch(request, self.left)))
            finished, self._in_flight = await asyncio.wait(
                self._in_flight, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            unwindowed = False
            try:
                for task in finished:
                    fetched = task.result()
                    if fetched.deviation is not None and not self._continues_after(fetched, fetched.deviation):
                        unwindowed = True
                        break
                    if fetched.objects is None or fetched.deviation is not None:
                        self.windows.cursor_lost(fetched.request)
                        continue
                    yield self._page(fetched, fetched.objects)
            finally:
                # Only the first error is raised; the others are dropped.
                await asyncio.gather(*finished, return_exceptions=True)
            if unwindowed:
                await self.cancel()
                self.read_without_windows()

    def _continues_after(self, fetched: _Fetched, deviation: Deviation) -> bool:
        """Whether windowed reading continues after three responses with the same deviation; raises if it can't."""
        if deviation.code == "not_contiguous":
            return True
        if deviation.code not in TIME_CODES or not self.windowed or self.listing.created is None:
            raise invalid(self._named(fetched.request), deviation, request_id=fetched.request_id)
        self.notices.add(
            "Stripe does not list these by time as documented; they were read without windows "
            f"({deviation.code}: {deviation.detail})",
            of=self.listing.path,
        )
        return False

    def _page(self, fetched: _Fetched, objects: list[StripeObject]) -> Page:
        request, chain = fetched.request, fetched.request.chain
        full = len(objects) == fetched.limit
        kept = self.windows.answer(request, objects, has_more=fetched.has_more, full=full)
        if fetched.deleted:
            kept = [one for one in kept if one["id"] not in fetched.deleted]
        if not self.windowed:
            kept = [one for one in kept if self._within(one)]
        kept = kept[: self.left]
        self.left = None if self.left is None else self.left - len(kept)
        self.answered = True
        if self.windowed and self.listing.created is not None:
            self._given.append("\n".join(one["id"] for one in kept))
        return Page(
            source=self.source,
            window=Window(chain.since, chain.until) if self.windowed else self.window,
            cursor=request.cursor if self.windowed else None,
            objects=kept,
            last=chain.done,
            position=chain.position() if self.windowed else None,
            date=fetched.date,
            unwindowed=not self.windowed,
        )

    def _within(self, one: StripeObject) -> bool:
        if self.window == Window():
            return True
        created = one.get(self.listing.created or "")
        if type(created) is not int:
            raise StripeUnavailable(
                f"{one['id']} of {self.listing.path} has no creation time; it is unknown whether it is in the "
                "requested range",
                hint="Read the report without --since and --until.",
                path=self.listing.path,
                code="invalid_answer",
            )
        return created in self.window

    async def _fetch(self, request: Request, left: int | None) -> _Fetched:
        # A page begins with the last row of the page before, which is not counted again.
        limit = PAGE_ROWS if left is None else min(PAGE_ROWS, left + (request.first is not None))
        params = self._sent(request, limit)
        expected = Expected(
            path=self.listing.path,
            objects=frozenset({self.listing.object} if self.listing.object else ()),
            limit=limit,
            created=self.listing.created if self.windowed else None,
            window=request.window,
            first=request.first,
            newest=request.chain.oldest if request.cursor is not None else None,
            seen=self.windows.seen(request),
            filters=self.filters,
            tolerated=self.tolerated,
        )

        async def get() -> Answer:
            return await self.client.get(self.listing.path, params, version=self.listing.api_version)

        try:
            answer, deviation = await ask(
                get, lambda body: check_page(body, expected), request=request_name(self.listing.path, params)
            )
        except RunError as error:
            # Stripe documents no error for a deleted cursor; `resource_missing` on `starting_after` was observed.
            if request.cursor is not None and error.code == "resource_missing" and error.param == "starting_after":
                return _Fetched(request, limit, None)
            raise
        if deviation is not None and deviation.code in TOLERABLE_CODES:
            self.tolerated.add(deviation.code)
            self.notices.add(f"Stripe's lists differ from its documentation: {deviation.code}", of=self.listing.path)
            deviation = check_page(answer.body, expected)
        if deviation is not None:
            return _Fetched(request, limit, [], deviation=deviation, request_id=answer.request_id)
        objects, deleted = answer.body["data"], frozenset[str]()
        if self.listing.lists:
            deleted = await complete(
                self.client,
                objects,
                self.listing.lists,
                expand=self.listing.expand,
                notices=self.notices,
                read_again=lambda id_: read_parent(self.client, self.listing, id_),
            )
        return _Fetched(request, limit, objects, answer.body["has_more"], answer.date, deleted)

    def _sent(self, request: Request, limit: int) -> dict[str, Any]:
        params: dict[str, Any] = {**self.params, "limit": limit}
        if self.listing.created is not None:
            if request.window.since is not None:
                params["created[gte]"] = request.window.since
            if request.window.until is not None:
                params["created[lt]"] = request.window.until
        if request.after is not None:
            params["starting_after"] = request.after
        if self.listing.expand:
            params["expand"] = list(self.listing.expand)
        return params

    def _named(self, request: Request) -> str:
        return request_name(self.listing.path, self._sent(request, PAGE_ROWS))

    async def cancel(self) -> None:
        """Cancels the requests in flight."""
        tasks, self._in_flight = self._in_flight, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def is_hidden(listing: Listing, one: StripeObject) -> bool:
    """Whether the unfiltered list omits the object although it exists."""
    return bool(listing.hides and one.get(listing.hides))


def list_page(body: Mapping[str, Any], path: str) -> tuple[list[StripeObject], bool]:
    """`data` and `has_more` of a list; StripeUnavailable if the response is not a list of objects."""
    objects, has_more = body.get("data"), body.get("has_more")
    if not isinstance(objects, list) or not isinstance(has_more, bool) or not all(type(o) is dict for o in objects):
        raise StripeUnavailable("the response is not a list of Stripe objects", path=path, hint="Try again later.")
    return objects, has_more
