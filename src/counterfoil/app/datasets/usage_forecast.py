"""Forecasts of a dataset: its next runs and its API requests per month."""

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

#: Stripe's minimum allowance of API requests (GET) per month:
#: https://docs.stripe.com/rate-limits#api-read-request-allocations
READS_A_MONTH = 10_000
_MUCH = 0.5
_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageForecast:
    """The forecast of a dataset for the next 30 days."""

    #: The next five scheduled times; empty for a paused dataset or one without a schedule.
    next_times: tuple[datetime, ...]
    #: Runs in 30 days, including runs after another dataset.
    runs: int
    #: API requests (GET) of the last full refresh; None before the first one.
    reads_each: int | None
    #: API requests of the last incremental run, and the number of full refreshes in 30 days.
    changes_each: int | None = None
    full_runs: int = 0

    @property
    def reads(self) -> int | None:
        """API requests in 30 days; None if the requests of a run are unknown."""
        if self.reads_each is None:
            return None
        if self.changes_each is None:
            return self.runs * self.reads_each
        full = min(self.runs, self.full_runs)
        return full * self.reads_each + (self.runs - full) * self.changes_each

    @property
    def share(self) -> float | None:
        """The share of Stripe's minimum allowance per month."""
        return None if self.reads is None else self.reads / READS_A_MONTH

    @property
    def warning(self) -> str | None:
        """A warning if the dataset needs more than half of the allowance."""
        if self.reads is None:
            return _warning("the schedule needs at least", self.runs)
        return _warning("the schedule needs about", self.reads)

    def as_dict(self) -> dict[str, Any]:
        """The forecast for JSON."""
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
    """The forecast of all datasets of an account for the next 30 days."""

    #: Datasets with at least one run.
    datasets: int
    #: Datasets with an unknown number of API requests per run; each run counts as one request.
    unknown: int
    reads: int

    @property
    def share(self) -> float:
        """The share of Stripe's minimum allowance per month."""
        return self.reads / READS_A_MONTH

    @property
    def warning(self) -> str | None:
        """A warning if the datasets need more than half of the allowance."""
        return _warning(f"the {self.datasets} datasets of the account need about", self.reads)


def account_forecast(outlooks: Iterable[UsageForecast]) -> AccountForecast:
    """The sum of the forecasts of datasets that share an account."""
    running = [one for one in outlooks if one.runs]
    return AccountForecast(
        datasets=len(running),
        unknown=sum(one.reads is None for one in running),
        reads=sum(one.runs if one.reads is None else one.reads for one in running),
    )


def _warning(subject: str, reads: int) -> str | None:
    if reads <= READS_A_MONTH * _MUCH:
        return None
    return (
        f"{subject} {reads:,} API requests a month, {reads / READS_A_MONTH:.0%} of Stripe's minimum allowance of "
        f"{READS_A_MONTH:,}; accounts with more than 20 transactions a month get 500 per transaction"
    )


def usage_forecast(
    dataset: Dataset, *, others: Mapping[str, Dataset], ended: Iterable[Run], now: datetime
) -> UsageForecast:
    """The forecast; `others` are all datasets by id, `ended` the dataset's successful runs, newest first."""
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
    """The forecast of a schedule, also before its dataset is created, with runs after the dataset `before`."""
    return UsageForecast(
        next_times=upcoming(schedule, now),
        runs=_fires(schedule, _hour(now)) + (0 if before is None else _runs(before, others, now)),
        reads_each=reads_each,
    )


def _runs(dataset: Dataset, others: Mapping[str, Dataset], now: datetime) -> int:
    if dataset.pause is not None:
        return 0
    before = others.get(dataset.after) if dataset.after is not None else None
    # Assumes that runs of the dataset before succeed.
    return _fires(dataset.schedule, _hour(now)) + (0 if before is None else _runs(before, others, now))


#: Cached: counting the times of a month takes up to 0.1 s, and a list shows many datasets.
_fires = lru_cache(maxsize=512)(fires_per_month)


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _reads(dataset: Dataset, ended: Iterable[Run]) -> tuple[int | None, int | None]:
    """API requests of the last full refresh and of the last incremental run; None if there was none."""
    reading = [run for run in ended if run.requests]
    full = next((_gets(run) for run in reading if run.plan.get("whole", True)), None)
    changes = next((_gets(run) for run in reading if run.plan.get("changes")), None)
    if full is None:
        # The full refresh is older than these runs; the bookmark has its number.
        full = ((dataset.bookmark or {}).get("standing") or {}).get("whole_requests")
    return full, changes


def _gets(run: Run) -> int:
    """The number of GET requests; Stripe's allowance applies only to these."""
    return sum(count for endpoint, count in run.requests.items() if endpoint.startswith("GET "))
