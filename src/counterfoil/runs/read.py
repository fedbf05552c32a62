"""A report as a stream of Arrow batches, without an archive and without a destination."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from counterfoil.columns.flatten import Flattener
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import SYSTEM_COLUMNS
from counterfoil.extract import Notices
from counterfoil.extract import read as read_pages
from counterfoil.runs.extract import batches, stamp_of
from counterfoil.runs.plan import Plan
from counterfoil.runs.pull import new_run_id
from counterfoil.settings import Settings
from counterfoil.stripe.client import Client
from counterfoil.stripe.loop import run as wait_for


def read(client: Client, plan: Plan, *, settings: Settings) -> pa.RecordBatchReader:
    """The plan's rows; asking Stripe begins with the first batch."""
    return pa.RecordBatchReader.from_batches(
        arrow_schema((*plan.report.columns, *SYSTEM_COLUMNS)), _batches(client, plan, settings)
    )


def _batches(client: Client, plan: Plan, settings: Settings) -> Iterator[pa.RecordBatch]:
    identity = wait_for(client.account())
    stamp = stamp_of(plan.report, run=new_run_id(), account=identity.id, synced_at=client.date)
    flattener = Flattener(plan.report.columns, digits=settings.currency_digits)
    pages = read_pages(client, plan.report, plan.window, notices=Notices(), params=plan.params, limit=plan.limit)
    try:
        yield from batches(pages, flattener, stamp)
    finally:
        pages.close()
