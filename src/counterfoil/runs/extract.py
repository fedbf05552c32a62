"""Reads a plan: pages of Stripe's objects become batches with the report's declared and system columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from counterfoil.columns.flatten import Flattener
from counterfoil.columns.system import with_system
from counterfoil.stripe.client import API_VERSION
from counterfoil.values import Page, StripeObject

#: Rows of a batch: enough that the cost of a column is shared, few enough that a hundred megabytes hold them.
BATCH_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the system columns say of each row of a run."""

    run: str
    account: str
    #: Unix seconds by Stripe's clock.
    synced_at: int
    api_version: str = API_VERSION


def batches(pages: Iterable[Page], flattener: Flattener, stamp: Stamp) -> Iterator[pa.RecordBatch]:
    """The pages' objects in batches of about BATCH_ROWS rows; no row, no batch."""
    rows: list[StripeObject] = []
    for page in pages:
        rows += page.objects
        if len(rows) >= BATCH_ROWS:
            yield _batch(rows, flattener, stamp)
            rows = []
    if rows:
        yield _batch(rows, flattener, stamp)


def _batch(rows: list[StripeObject], flattener: Flattener, stamp: Stamp) -> pa.RecordBatch:
    return with_system(
        flattener.batch(rows),
        account=stamp.account,
        run=stamp.run,
        synced_at=datetime.fromtimestamp(stamp.synced_at, UTC),
        api_version=stamp.api_version,
    )


def spent(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """Requests between two readings of a client's counts."""
    return sum(after.values()) - sum(before.values())
