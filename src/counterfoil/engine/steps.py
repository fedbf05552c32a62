"""What the engine asks of the runs, and what it keeps of one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

#: The steps of one attempt, in their order. A change here, in their number or in what they answer raises
#: `queue.APPLICATION_VERSION`.
ORDER = ("plan", "extract", "load", "prove", "finish")


class Steps(Protocol):
    """The steps of one attempt of one run.

    Each answers a reference (a short text), never data, and bears being done again: a process that is killed in a
    step does that step once more after the restart, and no earlier one. While the service goes down a step may raise
    anything at a page's or part's end: the error is not looked at, and the step is done again after the restart.
    """

    def plan(self, run: str, attempt: int) -> str: ...
    def extract(self, run: str, attempt: int) -> str: ...
    def load(self, run: str, attempt: int) -> str: ...
    def prove(self, run: str, attempt: int) -> str: ...
    def finish(self, run: str, attempt: int) -> str: ...

    def failed(self, run: str, attempt: int, error: Exception) -> float | None:
        """Records why the attempt ended; the seconds until the next one, None when there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt of one run, as the queue keeps it."""

    run: str
    #: From 1.
    attempt: int
    #: What it shares places with: the Stripe account.
    partition: str
    #: What makes it one: a second job of the same workflow id is not run.
    workflow: str


def first_job(run: str, partition: str, *, dataset: str, due_at: datetime | None = None) -> Job:
    """The first attempt; of a due time there is one, however many runs were made of it."""
    if due_at is None:
        return job(run, 1, partition)
    instant = due_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Job(run=run, attempt=1, partition=partition, workflow=f"run-{dataset}-{instant}")


def job(run: str, attempt: int, partition: str) -> Job:
    """A later attempt, or the first one of a run without a due time."""
    return Job(run=run, attempt=attempt, partition=partition, workflow=f"{run}-{attempt}")
