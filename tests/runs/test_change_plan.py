"""Plans of incremental runs."""

from __future__ import annotations

import pytest

from counterfoil.extract import CreatedHistogram
from counterfoil.reports.catalogue import report
from counterfoil.runs.plans.change_plan import DAY, plan_changes
from counterfoil.runs.plans.sync_state import SyncState
from counterfoil.values import Window

NOW = 1_800_000_000


@pytest.mark.parametrize("seconds", [1, 50, 3_000, 400 * DAY])
def test_gradual_reread_reaches_the_oldest_row_at_any_density(seconds: int) -> None:
    """A million rows created within `seconds`, a run each minute, and a reread of all rows within a day."""
    created = [NOW - 10 * DAY - seconds * (1_000 - n) // 1_000 for n in range(1_000)]
    histogram = CreatedHistogram(1_000_000, CreatedHistogram.of(created).instants)
    sync_state = SyncState(whole_at=NOW, whole_requests=20_000, histogram=histogram)
    before, upto = NOW, None
    for _ in range(1_600):
        found = plan_changes(
            sync_state,
            report("charges"),
            Window(),
            before=before,
            as_of=before + 60,
            now=before + 120,
            narrowed=False,
            days=1,
            most_requests=500,
        )
        (one,) = found.covers
        assert one.until == (upto if upto is not None else before)
        if one.since is None:
            return
        assert one in found.changes.again
        before, upto = before + 60, one.since
        sync_state = SyncState(whole_at=NOW, whole_requests=20_000, histogram=histogram, swept_to=found.swept_to)
    raise AssertionError(f"the reread is at {upto}, but the oldest row is of {created[0]}")
