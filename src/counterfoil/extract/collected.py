"""Reads objects that have no list of their own, from the objects in which Stripe embeds them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from counterfoil.extract.listing import Params, is_hidden, read_listing
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.streams import merge_streams
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.report import Collected
from counterfoil.stripe.client import Client
from counterfoil.values import Page, StripeObject, Window


async def read_collected(
    client: Client, source: Collected, *, notices: Warnings, earlier: ResumeState, params: Params | None = None
) -> AsyncGenerator[Page, None]:
    """Each embedded object once, by the report's key. Only the keys stay in memory."""
    seen = set(earlier.keys)
    only_ids: set[str] = set()
    places = {place.listing.path: place for place in source.places}
    streams = [
        read_listing(client, place.listing, Window(), notices=notices, params=params, resumed=earlier.resumed(path))
        for path, place in places.items()
    ]
    async with aclosing(merge_streams(streams)) as pages:
        async for page in pages:
            new: list[StripeObject] = []
            place = places[page.source]
            # A list that is filtered by customer includes objects that the unfiltered list hides.
            shown = [one for one in page.objects if not is_hidden(place.listing, one)]
            for path in place.at:
                for found in found_at(shown, ("*", *path)):
                    if isinstance(found, str):
                        only_ids.add(found)
                    elif isinstance(found, dict) and (key := earlier.key(found)) not in seen:
                        seen.add(key)
                        new.append(found)
            yield replace(page, objects=new)
    if missing := {identifier for identifier in only_ids if (identifier,) not in seen}:
        notices.add(
            f"Stripe returned only the ids of {len(missing)} objects, without expanding them, e.g. {min(missing)}"
        )


def found_at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """The values at the path; `*` is every entry of a list."""
    if not path:
        if value is not None:
            yield value
    elif path[0] == "*":
        for entry in value if isinstance(value, list) else ():
            yield from found_at(entry, path[1:])
    elif isinstance(value, dict):
        yield from found_at(value.get(path[0]), path[1:])
