"""Plans incremental runs of a merge: whether one is possible, and which changes it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from counterfoil.extract import Changes
from counterfoil.extract.windows import PAGE_ROWS
from counterfoil.reports.report import Report
from counterfoil.runs.plans.sync_state import SyncState
from counterfoil.values import Window

#: How far an incremental run reaches back before the last run, for objects and events that Stripe listed late.
OVERLAP_SECONDS = 600
#: Stripe keeps events for 30 days (https://docs.stripe.com/api/events/list); one day is reserved for the run itself.
EVENT_DAYS = 29
DAY = 86_400

#: The values of `Report.changes` that allow incremental runs.
CHANGING = frozenset({"events", "pending", "parents", "immutable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlan:
    """The plan of an incremental run."""

    changes: Changes
    #: Ranges of `created` that are listed completely: rows missing from them were deleted at Stripe.
    covers: tuple[Window, ...]
    #: For the next run: how far back the gradual reread has come.
    swept_to: int | None


def needs_full_refresh(
    sync_state: SyncState, as_of: int, *, dataset: str, report: Report, days: int, most_requests: int
) -> bool:
    """Whether a full refresh is due, for changes without an event.

    Datasets of the same age become due at different times: each in the last fifth of its interval.
    """
    if report.changes == "immutable":
        return False
    if sync_state.whole_requests > most_requests and sync_state.histogram is not None and sync_state.histogram.rows:
        return False  # reread gradually instead
    share = int.from_bytes(hashlib.sha256(dataset.encode()).digest()[:4]) / 2**32
    return as_of - sync_state.whole_at >= days * DAY * (0.8 + 0.2 * share)


def plan_changes(
    sync_state: SyncState,
    report: Report,
    window: Window,
    *,
    before: int,
    as_of: int,
    now: int,
    narrowed: bool,
    days: int,
    most_requests: int,
) -> ChangePlan:
    """The plan after a run at `before`: changes until `now`, and a part of the older rows; all in Stripe's time."""
    due = [Window(group.oldest, group.newest + 1) for group in sync_state.pending if group.due <= now]
    swept: tuple[Window, ...] = ()
    swept_to = sync_state.swept_to
    if report.changes != "immutable" and sync_state.whole_requests > most_requests and sync_state.histogram is not None:
        slice_, swept_to = _sweep(sync_state, before=before, as_of=as_of, days=days, most_requests=most_requests)
        swept = () if slice_ is None else (slice_,)
    covers = tuple(_within(one, window) for one in swept)
    changes = Changes(
        since=before - OVERLAP_SECONDS,
        again=(*due, *swept),
        histogram=sync_state.histogram,
        whole_requests=sync_state.whole_requests,
        narrowed=narrowed,
    )
    return ChangePlan(changes=changes, covers=tuple(one for one in covers if one is not None), swept_to=swept_to)


def _sweep(
    sync_state: SyncState, *, before: int, as_of: int, days: int, most_requests: int
) -> tuple[Window | None, int | None]:
    """The next older rows of the gradual reread, as many as are due since the last run, and how far back it comes."""
    histogram = sync_state.histogram
    if histogram is None or not histogram.rows:
        return None, sync_state.swept_to
    upto = before if sync_state.swept_to is None else sync_state.swept_to
    rows = min(histogram.rows * (as_of - before) / (days * DAY), most_requests * PAGE_ROWS)
    left = histogram.before(upto) - rows
    if left <= 0:
        return Window(None, upto), None
    # At least a second, however many rows it has; otherwise the reread could not get past it.
    since = min(histogram.instant(left), upto - 1)
    return Window(since, upto), since


def _within(one: Window, window: Window) -> Window | None:
    """The part of the range that is in the dataset's window."""
    since = max((bound for bound in (one.since, window.since) if bound is not None), default=None)
    until = min((bound for bound in (one.until, window.until) if bound is not None), default=None)
    return None if since is not None and until is not None and since >= until else Window(since, until)


def changes_json(changes: Changes | None) -> dict[str, Any] | None:
    """The changes as JSON for the run's plan; the histogram is stored with the sync state."""
    if changes is None:
        return None
    return {
        "since": changes.since,
        "again": [[one.since, one.until] for one in changes.again],
        "whole_requests": changes.whole_requests,
        "narrowed": changes.narrowed,
    }


def changes_of(kept: Mapping[str, Any] | None, sync_state: SyncState | None) -> Changes | None:
    """The changes from the JSON of the run's plan."""
    if kept is None:
        return None
    again = tuple(Window(*bounds) for bounds in kept["again"])
    return Changes(**{**kept, "again": again}, histogram=sync_state.histogram if sync_state else None)
