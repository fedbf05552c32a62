"""A report as a stream of Arrow batches, without an archive and without a destination."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa

from counterfoil.columns.flatten import Flattener
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import DELETED, SYSTEM_COLUMNS
from counterfoil.extract import Notices
from counterfoil.extract import read as read_pages
from counterfoil.log import get_logger
from counterfoil.runs.extract import batches, stamp_of, warnings_of
from counterfoil.runs.plan import Plan
from counterfoil.runs.pull import new_run_id
from counterfoil.settings import Settings
from counterfoil.stripe.client import Client
from counterfoil.stripe.loop import run as wait_for

_log = get_logger("counterfoil.runs")


def read(client: Client, plan: Plan, *, settings: Settings) -> pa.RecordBatchReader:
    """The plan's rows; asking Stripe begins with the first batch."""
    return pa.RecordBatchReader.from_batches(
        arrow_schema((*plan.report.columns, *SYSTEM_COLUMNS)), _batches(client, plan, settings)
    )


def _batches(client: Client, plan: Plan, settings: Settings) -> Iterator[pa.RecordBatch]:
    identity = wait_for(client.account())
    stamp = stamp_of(plan.report, run=new_run_id(), account=identity.id)
    flattener = Flattener((*plan.report.columns, DELETED), digits=settings.currency_digits)
    notices = Notices()
    pages = read_pages(client, plan.report, plan.window, notices=notices, params=plan.params, limit=plan.limit)
    with closing(pages):
        yield from batches(pages, flattener, stamp)
    for sentence in warnings_of(notices, flattener):
        _log.warning(sentence, report=plan.report.key)
