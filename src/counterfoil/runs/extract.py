"""Reads a plan: pages of Stripe's objects become batches with the report's declared and system columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from counterfoil.columns.flatten import Flattener
from counterfoil.columns.system import with_system
from counterfoil.reports.report import Listing, Report
from counterfoil.stripe.client import API_VERSION
from counterfoil.values import Page

#: Rows of a batch: enough that the cost of a column is shared, few enough that some tens of megabytes hold them.
BATCH_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the system columns say of each row of a run."""

    run: str
    account: str
    #: Unix seconds by Stripe's clock.
    synced_at: int
    api_version: str


def stamp_of(report: Report, *, run: str, account: str, synced_at: int) -> Stamp:
    """The stamp of a run; a report can be read under another version than the one that the client pins."""
    source = report.source
    version = source.api_version if isinstance(source, Listing) else None
    return Stamp(run, account, synced_at, version or API_VERSION)


def batches(pages: Iterable[Page], flattener: Flattener, stamp: Stamp) -> Iterator[pa.RecordBatch]:
    """The pages' objects in batches of about BATCH_ROWS rows; no row, no batch."""
    for page in pages:
        flattener.add(page.objects)
        if flattener.rows >= BATCH_ROWS:
            yield _batch(flattener, stamp)
    if flattener.rows:
        yield _batch(flattener, stamp)


def _batch(flattener: Flattener, stamp: Stamp) -> pa.RecordBatch:
    return with_system(
        flattener.flush(),
        account=stamp.account,
        run=stamp.run,
        synced_at=datetime.fromtimestamp(stamp.synced_at, UTC),
        api_version=stamp.api_version,
    )
