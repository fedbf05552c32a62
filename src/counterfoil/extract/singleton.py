"""Reads a report that consists of one object: one row, or one row for each entry of its buckets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Any

from counterfoil.errors import StripeUnavailable
from counterfoil.extract.embedded import complete
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.validation import Deviation, ask_strictly, check_object
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.report import Bucket, Singleton
from counterfoil.stripe.client import Client
from counterfoil.stripe.responses import Answer
from counterfoil.values import Page, StripeObject, Window


async def read_singleton(
    client: Client, source: Singleton, *, notices: Warnings, earlier: ResumeState
) -> AsyncGenerator[Page, None]:
    """One page with the rows."""
    if earlier.reached(source.path):
        return
    answer = await read_object(client, source)
    if source.lists:
        await complete(client, [answer.body], source.lists, expand=(), notices=notices)
    rows = rows_of(answer.body, source.buckets) if source.buckets else [answer.body]
    yield Page(source.path, Window(), None, rows, last=True, date=answer.date)


async def read_object(client: Client, source: Singleton) -> Answer:
    """The object; StripeUnavailable if the responses are other objects."""

    async def get() -> Answer:
        return await client.get(source.path)

    def check(body: Mapping[str, Any]) -> Deviation | None:
        found = check_object(body, object=source.object)
        if found is None and not source.buckets and body.get("id") is None:
            return Deviation("no_identifier", "it has no identifier")
        return found

    return await ask_strictly(get, check, request=source.path)


def rows_of(body: StripeObject, buckets: tuple[Bucket, ...]) -> list[StripeObject]:
    """The entries of each bucket, with the bucket's name and state and the object's other fields.

    StripeUnavailable if a bucket is not a list of objects.
    """
    others = _without(body, {bucket.path for bucket in buckets})
    rows = []
    for bucket in buckets:
        entries: Any = body
        for key in bucket.path:
            entries = entries.get(key) if isinstance(entries, Mapping) else None
        if entries is None:
            continue
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise StripeUnavailable(f"{'.'.join(bucket.path)} is not a list of amounts")
        rows += [{**others, **entry, "_bucket": bucket.bucket, "_state": bucket.state} for entry in entries]
    return rows


def _without(body: StripeObject, paths: Collection[tuple[str, ...]]) -> StripeObject:
    """The object without the values at the paths, and without objects that become empty by that."""
    left: StripeObject = {}
    for name, value in body.items():
        below = {path[1:] for path in paths if path[0] == name}
        if () in below:
            continue
        rest = _without(value, below) if below and isinstance(value, dict) else value
        if rest or not below:
            left[name] = rest
    return left
