"""Reads objects that Stripe lists nowhere, from the objects of other lists in which they are embedded."""

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
    """Each embedded object once, by the report's key; memory grows with their number only by their keys."""
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
            # Narrowed to a customer, Stripe lists more than without that.
            there = [one for one in page.objects if not is_hidden(place.listing, one)]
            for path in place.at:
                for found in found_at(there, ("*", *path)):
                    if isinstance(found, str):
                        only_ids.add(found)
                    elif isinstance(found, dict) and (key := earlier.key(found)) not in seen:
                        seen.add(key)
                        new.append(found)
            yield replace(page, objects=new)
    if missing := {identifier for identifier in only_ids if (identifier,) not in seen}:
        notices.add(
            f"{len(missing)} objects are known by their id only, e.g. {min(missing)}: Stripe did not expand them"
        )


def found_at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """What is found at the path; `*` is every entry of a list."""
    if not path:
        if value is not None:
            yield value
    elif path[0] == "*":
        for entry in value if isinstance(value, list) else ():
            yield from found_at(entry, path[1:])
    elif isinstance(value, dict):
        yield from found_at(value.get(path[0]), path[1:])
