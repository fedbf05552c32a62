"""The steps of an attempt that the engine executes, and the jobs of the queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

#: The steps of one attempt, in order. Increase `queue.APPLICATION_VERSION` after a change of the steps or of their
#: results.
ORDER = ("plan", "extract", "load", "prove", "finish")


class Steps(Protocol):
    """The steps of one attempt of one run.

    Each returns a reference (a short text), never data, and can be repeated: after a crash in a step, that step is
    repeated, and no earlier one. While the service shuts down, a step may raise any error at the end of a page or part:
    the error is ignored, and the step is repeated after the restart.
    """

    def plan(self, run: str, attempt: int) -> str: ...
    def extract(self, run: str, attempt: int) -> str: ...
    def load(self, run: str, attempt: int) -> str: ...
    def prove(self, run: str, attempt: int) -> str: ...
    def finish(self, run: str, attempt: int) -> str: ...

    def failed(self, run: str, attempt: int, error: Exception) -> float | None:
        """Records the error of the attempt; returns the seconds until the next one, None if there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt of one run, as the queue stores it."""

    run: str
    #: From 1.
    attempt: int
    #: The Stripe account, which limits concurrent attempts.
    partition: str
    #: The unique id: a second job with the same workflow id does not run.
    workflow: str


def first_job(run: str, partition: str, *, dataset: str, due_at: datetime | None = None) -> Job:
    """The first attempt of a run; all runs of one due time share the same job."""
    if due_at is None:
        return job(run, 1, partition)
    instant = due_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Job(run=run, attempt=1, partition=partition, workflow=f"run-{dataset}-{instant}")


def job(run: str, attempt: int, partition: str) -> Job:
    """A later attempt, or the first one of a run without a due time."""
    return Job(run=run, attempt=attempt, partition=partition, workflow=f"{run}-{attempt}")
