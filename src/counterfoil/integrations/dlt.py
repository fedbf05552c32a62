"""dlt resources: reports as Arrow batches, with their keys, types and column descriptions.

Reports with rows that can change are read completely each time. Only reports with immutable rows are read
incrementally, from the newest row on. Incremental updates by Stripe's events require a Counterfoil dataset with its
state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import counterfoil
from counterfoil.integrations import engine

if TYPE_CHECKING:
    import pyarrow as pa

with engine("dlt", extra="dlt"):
    import dlt
    from dlt.extract import DltResource

__all__ = ["counterfoil_resource", "counterfoil_source"]

#: Overlap before the newest row, because Stripe can list an object slightly after its creation.
OVERLAP_SECONDS = 600


def counterfoil_resource(
    report: str,
    *,
    key: str = "env:STRIPE_API_KEY",
    account: str | None = None,
    api_base: str | None = None,
    write_disposition: str | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    options: Mapping[str, str] | None = None,
) -> DltResource:
    """A table with the report's key as its name; SettingsError if the report does not exist.

    `key` is resolved when rows are read. By default, reports with immutable rows (`events`) are merged incrementally,
    with dlt's pipeline state, and every other report replaces its table. With `write_disposition="merge"`, the whole
    range is read, and rows that are no longer in it remain in the table.
    """
    described = counterfoil.describe(report)

    def read(first: str | datetime | None) -> Iterator[pa.RecordBatch | pa.Table]:
        with counterfoil.connect(key, api_base=api_base, stripe_account=account) as stripe:
            yield from stripe.read(described.key, since=first, until=until, options=options)
            # Without rows, this still creates the table, and a replace empties it.
            yield described.schema.empty_table()

    def whole() -> Iterator[pa.RecordBatch | pa.Table]:
        yield from read(since)

    def onwards(
        created: Any = dlt.sources.incremental(described.created or "", lag=OVERLAP_SECONDS),  # noqa: B008 - required by dlt
    ) -> Iterator[pa.RecordBatch | pa.Table]:
        yield from read(created.last_value or since)

    hints = {name: {"name": name, "description": comment} for name, comment in described.comments.items()}
    for name in described.json_columns:
        hints[name]["data_type"] = "json"
    on_from_newest = write_disposition is None and described.immutable
    return dlt.resource(
        onwards if on_from_newest else whole,
        name=described.key,
        write_disposition=write_disposition or ("merge" if described.immutable else "replace"),
        primary_key=described.primary_key,
        columns=hints,
    )()


@dlt.source(name="stripe")
def counterfoil_source(reports: Sequence[str], **of_all: Any) -> list[DltResource]:
    """Several reports as one source; `of_all` contains arguments of `counterfoil_resource` for all of them."""
    return [counterfoil_resource(report, **of_all) for report in reports]
