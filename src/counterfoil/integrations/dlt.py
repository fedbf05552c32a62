"""Resources of dlt: reports as Arrow batches, with their keys, types and what is known of their columns.

What changes at Stripe after it was made is read whole each time; only rows that never change are read on from the
newest. What a dataset of Counterfoil does beyond that, reading what changed by Stripe's events, needs its own state.
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

#: Before the newest row: Stripe may list one a little later than it was made.
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
    """A table named as the report; SettingsError where there is no such report. `key` is found when rows are read.

    Without a `write_disposition`, rows that never change (`events`) are merged from the newest on, by dlt's state of
    the pipeline, and every other report replaces its table. A `merge` that is asked for reads the range, and keeps
    rows that are no longer in it.
    """
    described = counterfoil.describe(report)

    def read(first: str | datetime | None) -> Iterator[pa.RecordBatch | pa.Table]:
        with counterfoil.connect(key, api_base=api_base, stripe_account=account) as stripe:
            yield from stripe.read(described.key, since=first, until=until, options=options)
            # Where no rows come, the table is there all the same, and emptied by a replace.
            yield described.schema.empty_table()

    def whole() -> Iterator[pa.RecordBatch | pa.Table]:
        yield from read(since)

    def onwards(
        created: Any = dlt.sources.incremental(described.created or "", lag=OVERLAP_SECONDS),  # noqa: B008 - as dlt has it
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
    """Several reports as one source; `of_all` are words of `counterfoil_resource` for each of them."""
    return [counterfoil_resource(report, **of_all) for report in reports]
