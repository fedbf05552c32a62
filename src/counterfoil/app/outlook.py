"""What a dataset will do: when it runs next, and how many requests that makes a month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from counterfoil.state.dataset import Dataset
from counterfoil.state.run import Run
from counterfoil.state.schedules import Schedule, fires_per_month, upcoming

#: What Stripe allots to every account, however few its transactions:
#: https://docs.stripe.com/rate-limits#api-read-request-allocations
READS_A_MONTH = 10_000
_MUCH = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Of the thirty days to come."""

    #: The next five times of its schedule; none while it is paused, or has no schedule.
    next_times: tuple[datetime, ...]
    #: Runs in thirty days, those after another dataset's included.
    runs: int
    #: Reads (GET) of its last full run; None before there was one.
    reads_each: int | None

    @property
    def reads(self) -> int | None:
        """Reads in thirty days; None when nothing tells how many a run takes."""
        return None if self.reads_each is None else self.runs * self.reads_each

    @property
    def share(self) -> float | None:
        """Of the reads that every account may make in a month."""
        return None if self.reads is None else self.reads / READS_A_MONTH

    @property
    def warning(self) -> str | None:
        """What to say when it takes more than half of them."""
        reads = self.runs if self.reads is None else self.reads
        if reads <= READS_A_MONTH * _MUCH:
            return None
        least = "at least " if self.reads is None else ""
        return (
            f"The schedule takes {least}{reads:,} reads a month, {reads / READS_A_MONTH:.0%} of the {READS_A_MONTH:,} "
            "that Stripe allots to every account; accounts with more than 20 transactions a month have 500 for each"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "next_times": [at.isoformat() for at in self.next_times],
            "runs_a_month": self.runs,
            "reads_of_the_last_full_run": self.reads_each,
            "reads_a_month": self.reads,
            "share_of_allocation": self.share,
            "warning": self.warning,
        }


def outlook(dataset: Dataset, *, others: Mapping[str, Dataset], ended: Iterable[Run], now: datetime) -> Outlook:
    """`others` are all datasets by id, `ended` the dataset's runs that succeeded, the newest first."""
    if dataset.pause is not None:
        return Outlook(next_times=(), runs=0, reads_each=_reads(ended))
    before = others.get(dataset.after) if dataset.after is not None else None
    return foreseen(dataset.schedule, before, others=others, reads_each=_reads(ended), now=now)


def foreseen(
    schedule: Schedule, before: Dataset | None, *, others: Mapping[str, Dataset], reads_each: int | None, now: datetime
) -> Outlook:
    """Of a schedule, whether or not there is a dataset with it, that also runs after `before`."""
    return Outlook(
        next_times=upcoming(schedule, now),
        runs=fires_per_month(schedule, now) + (0 if before is None else _runs(before, others, now)),
        reads_each=reads_each,
    )


def _runs(dataset: Dataset, others: Mapping[str, Dataset], now: datetime) -> int:
    if dataset.pause is not None:
        return 0
    before = others.get(dataset.after) if dataset.after is not None else None
    # A run of the one before is taken to succeed.
    return fires_per_month(dataset.schedule, now) + (0 if before is None else _runs(before, others, now))


def _reads(ended: Iterable[Run]) -> int | None:
    reading = [run for run in ended if run.requests]
    full = next((run for run in reading if run.plan.get("whole", True)), None)
    if full is None:
        return None
    # Stripe allots reads; requests that write have no allotment.
    return sum(count for endpoint, count in full.requests.items() if endpoint.startswith("GET "))
