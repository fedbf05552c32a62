"""Reads known objects again: by windows of their list if that is cheaper, otherwise one by one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from counterfoil.extract.embedded import complete, read_parent
from counterfoil.extract.estimates.created_histogram import CreatedHistogram
from counterfoil.extract.event_ids import Named
from counterfoil.extract.fetch_plan import FetchPlan, plan_fetch
from counterfoil.extract.listing import Params, is_hidden, read_listing
from counterfoil.extract.streams import chunked, gather, merge_streams
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.report import Listing
from counterfoil.stripe.client import Client
from counterfoil.values import StripeObject, Window

#: Maximum number of requests that wait for the limiter.
_AT_A_TIME = 100


@dataclass(frozen=True, slots=True)
class Refetched:
    """Some of the objects, and the ids of deleted ones."""

    objects: Sequence[StripeObject]
    gone: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refetch:
    """Reads objects of one report again."""

    client: Client
    notices: Warnings
    #: The parameters of the options.
    params: Params
    #: Whether the list excludes existing objects: then only the list shows which objects belong to the report.
    narrowed: bool
    #: Objects created outside this window do not belong to the report either.
    window: Window
    histogram: CreatedHistogram | None

    def cover(self, wanted: Named) -> FetchPlan:
        """The plan for reading the objects."""
        return plan_fetch(self._within(wanted), self.histogram, singly=not self.narrowed)

    async def read(self, listing: Listing, wanted: Named) -> AsyncGenerator[Refetched, None]:
        """The current state of all objects. Pages of a window also contain other objects created in it."""
        chosen, missing = self.cover(wanted), self._within(wanted)
        for windows in chunked(chosen.windows, _AT_A_TIME):
            streams = [
                read_listing(self.client, listing, window, notices=self.notices, params=self.params)
                for window in windows
            ]
            async with aclosing(merge_streams(streams)) as pages:
                async for page in pages:
                    for one in page.objects:
                        missing.pop(str(one["id"]), None)
                    yield Refetched(page.objects)
        # The objects missing from their window, and the objects to read one by one.
        for ids in chunked(missing, _AT_A_TIME):
            answers = await gather([self._read_one(listing, id_) for id_ in ids])
            existing = [one for one in answers if one is not None]
            gone = [id_ for id_, one in zip(ids, answers, strict=True) if one is None]
            if not self.narrowed:
                yield Refetched([one for one in existing if self._is_within(listing, one)], gone)
                continue
            # Objects missing from the window of their second are now excluded. For the others, the list is read now.
            left = [str(one["id"]) for one in existing if wanted[str(one["id"])] is not None]
            yield Refetched((), [*gone, *left])
            if left:
                self.notices.tell("These objects exist at Stripe but no longer match the options", len(left))
            unasked: Named = {str(one["id"]): one[listing.created or ""] for one in existing if one["id"] not in left}
            if unasked:
                async with aclosing(self.read(listing, unasked)) as more:
                    async for found in more:
                        yield found

    def _within(self, wanted: Named) -> Named:
        return {id_: created for id_, created in wanted.items() if created is None or created in self.window}

    def _is_within(self, listing: Listing, one: StripeObject) -> bool:
        return not is_hidden(listing, one) and (listing.created is None or one[listing.created] in self.window)

    async def _read_one(self, listing: Listing, id_: str) -> StripeObject | None:
        return await read_one(self.client, listing, id_, notices=self.notices)


async def read_one(client: Client, listing: Listing, id_: str, *, notices: Warnings) -> StripeObject | None:
    """The object as its list returns it; None if it was deleted."""
    one = await read_parent(client, listing, id_)
    if one is None or not listing.lists:
        return one
    deleted = await complete(
        client,
        [one],
        listing.lists,
        expand=listing.expand,
        notices=notices,
        read_again=lambda again: read_parent(client, listing, again),
    )
    return None if deleted else one


def by_id(objects: Sequence[StripeObject]) -> Mapping[str, StripeObject]:
    """Each object once, in its latest state."""
    return {str(one["id"]): one for one in objects}
