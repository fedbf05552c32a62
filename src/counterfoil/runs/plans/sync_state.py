"""The sync state in a merge's bookmark, which makes incremental runs possible, and its updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from counterfoil.extract import CreatedHistogram
from counterfoil.reports.report import Report
from counterfoil.values import Part

#: The maximum number of groups of pending rows; beyond it, neighboring groups are joined.
_MOST_GROUPS = 256


@dataclass(frozen=True, slots=True)
class Group:
    """Pending rows: the time from which one of them may have changed, and the range of their creation times."""

    due: int
    oldest: int
    newest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """The sync state of a table with the update method merge."""

    #: The time of the last full refresh, in Unix seconds of Stripe's clock, and the number of its requests.
    whole_at: int
    whole_requests: int
    #: None if the table has no creation times.
    histogram: CreatedHistogram | None = None
    pending: tuple[Group, ...] = ()
    #: Rows created from this time on have been reread since `whole_at`; None if there are none.
    swept_to: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The state as JSON for the bookmark."""
        return {
            "whole_at": self.whole_at,
            "whole_requests": self.whole_requests,
            "spread": self.histogram and [self.histogram.rows, *self.histogram.instants],
            "pending": [[group.due, group.oldest, group.newest] for group in self.pending],
            "swept_to": self.swept_to,
        }


def sync_state_of(kept: Mapping[str, Any]) -> SyncState:
    """The state from the bookmark's JSON."""
    histogram = kept["spread"]
    return SyncState(
        whole_at=kept["whole_at"],
        whole_requests=kept["whole_requests"],
        histogram=histogram and CreatedHistogram(histogram[0], tuple(histogram[1:])),
        pending=tuple(Group(*bounds) for bounds in kept["pending"]),
        swept_to=kept["swept_to"],
    )


def state_after_full_refresh(report: Report, parts: Sequence[Part], *, as_of: int, requests: int) -> SyncState:
    """The state after a full refresh."""
    created = None if report.created is None else _instants(parts, report.created)
    return SyncState(
        whole_at=as_of,
        whole_requests=requests,
        histogram=None if created is None else CreatedHistogram.of(created),
        pending=_pending(report, parts),
    )


def state_after_changes(
    before: SyncState, report: Report, parts: Sequence[Part], *, as_of: int, added: int, swept_to: int | None
) -> SyncState:
    """The state after an incremental run that also read the rows due by `as_of`."""
    left = tuple(group for group in before.pending if group.due > as_of)
    return replace(
        before,
        histogram=before.histogram and before.histogram.grown(added, as_of),
        pending=_joined((*left, *_pending(report, parts))),
        swept_to=swept_to,
    )


def _pending(report: Report, parts: Sequence[Part]) -> tuple[Group, ...]:
    rule, created = report.pending, report.created
    if rule is None or created is None:
        return ()
    names = {rule.column, rule.due, created}
    tables = [pq.read_table(part.path, columns=sorted(names)) for part in parts]
    # A column that is left out or hashed has no usable values; such a table gets full refreshes.
    if not tables or names - set(tables[0].column_names) or pa.types.is_string(tables[0].schema.field(rule.due).type):
        return ()
    rows = pa.concat_tables(tables)
    rows = rows.filter(pc.equal(rows[rule.column], rule.value))
    seconds = [_seconds(rows[name]).to_pylist() for name in (rule.due, created)]
    found: dict[int, Group] = {}
    for due, at in zip(*seconds, strict=True):
        known = found.get(due, Group(due, at, at))
        found[due] = Group(due, min(known.oldest, at), max(known.newest, at))
    return _joined(tuple(found.values()))


def _joined(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The groups by due time; if there are too many, neighbors form one group that is due with its first."""
    ordered = sorted(groups, key=lambda group: group.due)
    size = -(-len(ordered) // _MOST_GROUPS) or 1
    together = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    return tuple(
        Group(some[0].due, min(one.oldest for one in some), max(one.newest for one in some)) for some in together
    )


def _instants(parts: Sequence[Part], column: str) -> Sequence[int] | None:
    """The column's values in Unix seconds, ascending; None if the table lacks it."""
    if any(column not in pq.read_schema(part.path).names for part in parts):
        return None
    chunks = [_seconds(pq.read_table(part.path, columns=[column])[column]) for part in parts]
    seconds = pa.chunked_array([chunk for one in chunks for chunk in one.chunks], pa.int64()).drop_null()
    ordered = seconds.take(pc.sort_indices(seconds)).combine_chunks()
    # Arrow's buffer: a Python list would take five times as much memory.
    return memoryview(ordered.buffers()[1]).cast("q")[: len(ordered)] if len(ordered) else ()


def _seconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(pc.cast(column, pa.timestamp("s", tz="UTC")), pa.int64())
