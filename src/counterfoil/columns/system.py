"""The system columns, which every table has in addition to Stripe's fields."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from counterfoil.columns.column import Column
from counterfoil.columns.schema import arrow_schema, arrow_types

if TYPE_CHECKING:
    import pyarrow as pa

EXTRA = Column(
    name="_extra",
    type="json",
    description="Fields from Stripe that have no column or do not match the type of their column, by path",
)

#: Stripe marks deleted objects that it still returns with `deleted: true`.
DELETED = Column(
    name="_deleted", type="boolean", path=("deleted",), description="Whether the object was deleted at Stripe"
)

SYSTEM_COLUMNS = (
    Column(name="_account", type="string", description="The Stripe account that the row was read from"),
    Column(name="_run", type="string", description="The run that loaded the row"),
    Column(name="_synced_at", type="timestamp", description="When the data was read, by Stripe's clock, in UTC"),
    Column(name="_api_version", type="string", description="The version of the Stripe API that rendered the row"),
    DELETED,
    Column(name="_deleted_at", type="timestamp", description="When the deletion was detected, in UTC"),
    EXTRA,
)


def with_system(
    batch: pa.RecordBatch, *, account: str, run: str, synced_at: datetime, api_version: str
) -> pa.RecordBatch:
    """A flattened batch with all system columns. The last columns of the input are DELETED and EXTRA."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types = arrow_types()
    *declared, deleted, extra = batch.columns
    deleted = pc.fill_null(deleted, False)
    same = {"_account": account, "_run": run, "_synced_at": synced_at, "_api_version": api_version}
    repeated = [
        pa.repeat(pa.scalar(same[column.name], types[column.type]), batch.num_rows)
        for column in SYSTEM_COLUMNS
        if column.name in same
    ]
    instant = pa.scalar(synced_at, types["timestamp"])
    deleted_at = pc.if_else(deleted, instant, pa.scalar(None, types["timestamp"]))
    fields = [*list(batch.schema)[:-2], *arrow_schema(SYSTEM_COLUMNS)]
    return pa.RecordBatch.from_arrays([*declared, *repeated, deleted, deleted_at, extra], schema=pa.schema(fields))
