"""The ids of a report's objects, or of their parents, in Stripe's events."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from counterfoil.errors import StripeUnavailable
from counterfoil.extract.listing import read_listing
from counterfoil.extract.streams import chunked
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.report import EventType, Listing, Report
from counterfoil.stripe.client import Client
from counterfoil.values import StripeObject, Window, is_escaped

EVENTS = Listing(path="/v1/events", object="event")
#: Maximum number of `types[]` in a request (https://docs.stripe.com/api/events/list).
_MOST_TYPES = 20
#: Stripe keeps events for 30 days (https://docs.stripe.com/api/events/list).
EVENTS_KEPT_SECONDS = 30 * 86_400

#: Ids with their creation time, which is known only if the event's object is the object itself.
Named = dict[str, int | None]


async def named_since(
    client: Client, report: Report, created: Mapping[str, str | None], since: int, *, notices: Warnings
) -> dict[str, Named] | None:
    """Ids of the objects named by events since `since`, by listing; `created` is each listing's field for that time.

    Events without the id are ignored, such as those about an upcoming invoice. None if an event does not identify the
    change (it has no type or no object); only a full refresh shows such a change.
    """
    known = {event.type: event for event in report.events}
    found: dict[str, Named] = {kind: {} for kind in created}
    for types in chunked(known, _MOST_TYPES):
        pages = read_listing(client, EVENTS, Window(since), notices=notices, params={"types": list(types)})
        async with aclosing(pages):
            async for page in pages:
                for event in page.objects:
                    kind, data = known.get(str(event.get("type"))), event.get("data")
                    one = data.get("object") if isinstance(data, dict) else None
                    if kind is None or not isinstance(one, dict):
                        notices.add("These events do not identify what changed: full refresh", of=str(event["id"]))
                        return None
                    _note(found, kind, one, created)
    return found


def _note(found: dict[str, Named], kind: EventType, one: StripeObject, created: Mapping[str, str | None]) -> None:
    id_ = _id_at(one, kind.path)
    if id_ is None:
        return
    field = created[kind.kind]
    instant = one.get(field) if kind.path == ("id",) and field is not None else None
    known = found[kind.kind]
    known[id_] = instant if isinstance(instant, int) else known.get(id_)


def _id_at(one: Any, path: tuple[str, ...]) -> str | None:
    for name in path:
        one = one.get(name) if isinstance(one, dict) else None
    if isinstance(one, dict):
        if is_escaped(one):
            raise StripeUnavailable(f"the identifier at {'.'.join(path)} of an event is not valid UTF-8")
        one = one.get("id")  # older API versions expand the object
    return one if isinstance(one, str) and one else None
