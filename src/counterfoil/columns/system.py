"""The columns that every table has beside what Stripe sends."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from counterfoil.columns.column import Column
from counterfoil.columns.schema import arrow_schema, arrow_types

if TYPE_CHECKING:
    import pyarrow as pa

EXTRA = Column(
    name="_extra",
    type="json",
    description="What Stripe sent beside the declared columns, or what did not fit their types, under its path",
)

SYSTEM_COLUMNS = (
    Column(name="_account", type="string", description="The Stripe account that the row was read from"),
    Column(name="_run", type="string", description="The run that brought the row"),
    Column(name="_synced_at", type="timestamp", description="When Stripe's data was read, by Stripe's clock, in UTC"),
    Column(name="_api_version", type="string", description="The version of Stripe's API that rendered the row"),
    Column(name="_deleted", type="boolean", description="Whether Stripe says that the object is gone"),
    Column(name="_deleted_at", type="timestamp", description="When that was noticed, in UTC"),
    EXTRA,
)


def with_system(
    batch: pa.RecordBatch, *, account: str, run: str, synced_at: datetime, api_version: str
) -> pa.RecordBatch:
    """A flattened batch with the system columns between the declared ones and `_extra`; no row is deleted yet."""
    import pyarrow as pa

    types = arrow_types()
    values: dict[str, Any] = {
        "_account": account,
        "_run": run,
        "_synced_at": synced_at,
        "_api_version": api_version,
        "_deleted": False,
        "_deleted_at": None,
    }
    added = [
        pa.repeat(pa.scalar(values[column.name], types[column.type]), batch.num_rows) for column in SYSTEM_COLUMNS[:-1]
    ]
    fields = [*list(batch.schema)[:-1], *arrow_schema(SYSTEM_COLUMNS)]
    return pa.RecordBatch.from_arrays([*batch.columns[:-1], *added, batch.columns[-1]], schema=pa.schema(fields))
