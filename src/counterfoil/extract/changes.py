"""Reads changes: new objects from their list, and the objects that Stripe's events name.

Events only identify changed objects; their data is not used. Stripe renders an event in the API version of its
creation, with truncated embedded lists (https://docs.stripe.com/api/events).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from math import inf

from counterfoil.extract.by_parent import requests_of_parent, rows_of_parents
from counterfoil.extract.collected import found_at
from counterfoil.extract.estimates.created_histogram import CreatedHistogram
from counterfoil.extract.event_ids import EVENTS_KEPT_SECONDS, Named, named_since
from counterfoil.extract.listing import Params, read_listing
from counterfoil.extract.refetch import Refetch
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.source import read_source
from counterfoil.extract.streams import merge_streams
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.report import Collected, Listing, Report, Union
from counterfoil.stripe.client import Client
from counterfoil.values import Page, StripeObject, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What an incremental run reads."""

    #: New objects and events are read from this time on, in Unix seconds.
    since: int
    #: All objects created in these windows are read again.
    again: tuple[Window, ...] = ()
    #: The distribution of the table's rows over time, if known.
    histogram: CreatedHistogram | None = None
    #: Requests of the last full refresh; an update that needs more becomes a full refresh. None if unknown.
    whole_requests: int | None = None
    #: Whether the options exclude objects.
    narrowed: bool = False


async def read_changes(
    client: Client, report: Report, changes: Changes, window: Window, *, notices: Warnings, params: Mapping[str, str]
) -> AsyncGenerator[Page, None]:
    """Rows that are new or may have changed. Objects that Stripe deleted are rows `{id, deleted: true}`.

    For a report that changes with its parents: all rows of each changed parent, with the parents' ids. If a full
    refresh takes fewer requests, or the events are too old, all rows, followed by a page with `whole`.
    """
    listings = listings_of(report)
    fields = {kind: listing.created for kind, listing in listings.items()}
    named = await named_since(client, report, fields, changes.since, notices=notices) if report.events else {}
    again = Refetch(
        client=client,
        notices=notices,
        params=params,
        narrowed=changes.narrowed,
        window=window,
        histogram=changes.histogram,
    )
    by_filter = report.parents is not None and report.parents.param is not None
    if named is None:
        requests: float = inf
    elif by_filter:
        requests = len(named[""]) * requests_of_parent(report)
    else:
        requests = sum(again.cover(wanted).cost for wanted in named.values())
    # When a run is retried long after it was planned, Stripe may have dropped the events.
    late = bool(report.events) and client.date - changes.since > EVENTS_KEPT_SECONDS
    if named is None or late or (changes.whole_requests is not None and requests > changes.whole_requests):
        pages = _everything(client, report, window, notices, params)
    elif by_filter:
        pages = rows_of_parents(
            client,
            report,
            list(named[""]),
            window,
            again=_windows(changes.again, window),
            notices=notices,
            params=params,
        )
    else:
        pages = _objects(client, report, listings, windows_of(changes, window), named, again)
    async with aclosing(pages):
        async for page in pages:
            yield page


async def _everything(
    client: Client, report: Report, window: Window, notices: Warnings, params: Params
) -> AsyncGenerator[Page, None]:
    pages = read_source(client, report, window, notices=notices, params=params, limit=None, earlier=ResumeState(report))
    async with aclosing(pages):
        async for page in pages:
            yield page
    yield Page("", Window(), None, (), last=True, whole=True)


async def _objects(
    client: Client,
    report: Report,
    listings: Mapping[str, Listing],
    windows: Sequence[Window],
    named: Mapping[str, Named],
    again: Refetch,
) -> AsyncGenerator[Page, None]:
    """The windows of each listing, then the objects that events named and the windows did not contain."""
    left = {kind: dict(wanted) for kind, wanted in named.items()}
    for kind, listing in listings.items():
        streams = [
            read_listing(client, listing, window, notices=again.notices, params=again.params) for window in windows
        ]
        async with aclosing(merge_streams(streams)) as pages:
            async for page in pages:
                for one in page.objects:
                    left.get(kind, {}).pop(str(one["id"]), None)
                made = _page(report, kind, page.window, page.objects, (), page.date, last=page.last)
                yield replace(made, cursor=page.cursor, position=page.position)
        async with aclosing(again.read(listing, left.get(kind, {}))) as more:
            async for found in more:
                yield _page(report, kind, Window(), found.objects, found.gone, client.date, last=False)


def _page(
    report: Report,
    kind: str,
    window: Window,
    objects: Sequence[StripeObject],
    gone: Sequence[str],
    date: int,
    *,
    last: bool,
) -> Page:
    """The rows of the objects: the objects and a stub for each deleted one, or the objects embedded in them."""
    parents: tuple[str, ...] = ()
    if isinstance(report.source, Collected):
        (place,) = report.source.places
        parents = (*(str(one["id"]) for one in objects), *gone)
        rows = [row for path in place.at for row in found_at(objects, ("*", *path)) if isinstance(row, dict)]
    else:
        rows = [*objects, *({"id": id_, "deleted": True} for id_ in gone)]
        if kind:
            rows = [{**row, "_kind": kind} for row in rows]
    return Page(source_of(kind), window, None, rows, last=last, date=date, parents=parents)


def source_of(kind: str) -> str:
    """The `source` of pages with changes; `kind` is empty except in a union."""
    return f"changes {kind}".strip()


def listings_of(report: Report) -> dict[str, Listing]:
    """The lists of the objects that change, by the kind in the report's event types."""
    match report.source:
        case Listing() as listing:
            return {"": listing}
        case Union(listings=listings):
            return dict(listings)
        case Collected(places=places) if report.parents is not None and report.parents.param is None:
            return {"": places[0].listing}
        case _:
            return {"": Listing(path="", created=None)}


def windows_of(changes: Changes, window: Window) -> list[Window]:
    """The windows that an incremental run lists, cut to the dataset's window, with overlapping windows joined."""
    return _windows((*changes.again, Window(changes.since)), window)


def _windows(windows: Sequence[Window], window: Window) -> list[Window]:
    joined: list[Window] = []
    for one in sorted(windows, key=lambda each: each.since or 0):
        since = max(one.since or 0, window.since or 0) or None
        until = min((bound for bound in (one.until, window.until) if bound is not None), default=None)
        if until is not None and until <= (since or 0):
            continue
        before = joined[-1] if joined else None
        if before is not None and (before.until is None or (since or 0) <= before.until):
            longest = None if before.until is None or until is None else max(before.until, until)
            joined[-1] = Window(before.since, longest)
        else:
            joined.append(Window(since, until))
    return joined
