"""What a dataset will do: when it runs next, and how many requests that makes a month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from math import ceil
from typing import Any

from counterfoil.schedules import Schedule, fires_per_month, upcoming
from counterfoil.state.dataset import Dataset
from counterfoil.state.run import Run

#: What Stripe allots to every account, however few its transactions:
#: https://docs.stripe.com/rate-limits#api-read-request-allocations
READS_A_MONTH = 10_000
_MUCH = 0.5
_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageForecast:
    """Of the thirty days to come."""

    #: The next five times of its schedule; none while it is paused, or has no schedule.
    next_times: tuple[datetime, ...]
    #: Runs in thirty days, those after another dataset's included.
    runs: int
    #: Reads (GET) of its last full run; None before there was one.
    reads_each: int | None
    #: Reads of its last run that read changes, and how often in thirty days everything is read all the same.
    changes_each: int | None = None
    full_runs: int = 0

    @property
    def reads(self) -> int | None:
        """Reads in thirty days; None when nothing tells how many a run takes."""
        if self.reads_each is None:
            return None
        if self.changes_each is None:
            return self.runs * self.reads_each
        full = min(self.runs, self.full_runs)
        return full * self.reads_each + (self.runs - full) * self.changes_each

    @property
    def share(self) -> float | None:
        """Of the reads that every account may make in a month."""
        return None if self.reads is None else self.reads / READS_A_MONTH

    @property
    def warning(self) -> str | None:
        """What to say when it takes more than half of them."""
        if self.reads is None:
            return _warning("The schedule takes at least", self.runs)
        return _warning("The schedule takes", self.reads)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "next_times": [at.isoformat() for at in self.next_times],
            "runs_a_month": self.runs,
            "reads_of_the_last_full_run": self.reads_each,
            "reads_of_the_last_run_of_changes": self.changes_each,
            "reads_a_month": self.reads,
            "share_of_allocation": self.share,
            "warning": self.warning,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountForecast:
    """Of the thirty days to come, for all datasets of an account."""

    #: Datasets that will run.
    datasets: int
    #: Those of them of which nothing tells how many reads a run takes; each run counts as one.
    unknown: int
    reads: int

    @property
    def share(self) -> float:
        """Of the reads that every account may make in a month."""
        return self.reads / READS_A_MONTH

    @property
    def warning(self) -> str | None:
        """What to say when they take more than half of them."""
        return _warning(f"The {self.datasets} datasets of the account take", self.reads)


def account_forecast(outlooks: Iterable[UsageForecast]) -> AccountForecast:
    """What datasets take that share an account."""
    running = [one for one in outlooks if one.runs]
    return AccountForecast(
        datasets=len(running),
        unknown=sum(one.reads is None for one in running),
        reads=sum(one.runs if one.reads is None else one.reads for one in running),
    )


def _warning(said: str, reads: int) -> str | None:
    if reads <= READS_A_MONTH * _MUCH:
        return None
    return (
        f"{said} {reads:,} reads a month, {reads / READS_A_MONTH:.0%} of the {READS_A_MONTH:,} "
        "that Stripe allots to every account; accounts with more than 20 transactions a month have 500 for each"
    )


def usage_forecast(
    dataset: Dataset, *, others: Mapping[str, Dataset], ended: Iterable[Run], now: datetime
) -> UsageForecast:
    """`others` are all datasets by id, `ended` the dataset's runs that succeeded, the newest first."""
    full, changes = _reads(dataset, ended)
    if dataset.pause is not None:
        return UsageForecast(next_times=(), runs=0, reads_each=full)
    before = others.get(dataset.after) if dataset.after is not None else None
    found = schedule_forecast(dataset.schedule, before, others=others, reads_each=full, now=now)
    if changes is None or dataset.merge is None:
        return found
    return replace(found, changes_each=changes, full_runs=ceil(_DAYS / dataset.merge.reread_days))


def schedule_forecast(
    schedule: Schedule, before: Dataset | None, *, others: Mapping[str, Dataset], reads_each: int | None, now: datetime
) -> UsageForecast:
    """Of a schedule, whether or not there is a dataset with it, that also runs after `before`."""
    return UsageForecast(
        next_times=upcoming(schedule, now),
        runs=_fires(schedule, _hour(now)) + (0 if before is None else _runs(before, others, now)),
        reads_each=reads_each,
    )


def _runs(dataset: Dataset, others: Mapping[str, Dataset], now: datetime) -> int:
    if dataset.pause is not None:
        return 0
    before = others.get(dataset.after) if dataset.after is not None else None
    # A run of the one before is taken to succeed.
    return _fires(dataset.schedule, _hour(now)) + (0 if before is None else _runs(before, others, now))


#: To count the times of a month takes up to a tenth of a second, and many datasets are asked for at once.
_fires = lru_cache(maxsize=512)(fires_per_month)


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _reads(dataset: Dataset, ended: Iterable[Run]) -> tuple[int | None, int | None]:
    """Of the last run that read everything, and of the last that read changes; None where there was none."""
    reading = [run for run in ended if run.requests]
    full = next((_gets(run) for run in reading if run.plan.get("whole", True)), None)
    changes = next((_gets(run) for run in reading if run.plan.get("changes")), None)
    if full is None:
        # Long ago: the bookmark still knows.
        full = ((dataset.bookmark or {}).get("standing") or {}).get("whole_requests")
    return full, changes


def _gets(run: Run) -> int:
    """Stripe allots reads; requests that write have no allotment."""
    return sum(count for endpoint, count in run.requests.items() if endpoint.startswith("GET "))
