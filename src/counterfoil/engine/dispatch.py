"""Puts runs into the queue: due runs, runs that follow another, and runs that a crash left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Literal, Protocol

from counterfoil.engine.queue import Status
from counterfoil.engine.steps import Job, first_job, job
from counterfoil.errors import TransientError
from counterfoil.logging import get_logger

_log = get_logger("engine")

Trigger = Literal["manual", "schedule", "after"]


class Dataset(Protocol):
    """The fields of a dataset that the engine reads."""

    @property
    def id(self) -> str: ...
    @property
    def account(self) -> str: ...


class Run(Protocol):
    """The fields of a run that the engine reads."""

    @property
    def id(self) -> str: ...
    @property
    def dataset(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def due_at(self) -> datetime | None: ...
    @property
    def attempt(self) -> int:
        """The latest attempt that began; 0 before the first."""
        ...


class Datasets(Protocol):
    """The state's datasets."""

    def claim_due(self, now: datetime, limit: int, /) -> Sequence[tuple[Dataset, datetime]]:
        """At most `limit` due datasets with their due times; the next call does not return them again."""
        ...

    def next_due_at(self) -> datetime | None:
        """The earliest due time; None if no dataset has a schedule."""
        ...

    def followers(self, dataset: str, /) -> Sequence[Dataset]:
        """The datasets that run after this one has succeeded, except paused ones."""
        ...

    def get(self, dataset: str, /) -> Dataset: ...


class Runs(Protocol):
    """The state's runs."""

    def create(self, dataset: str, trigger: Trigger, due_at: datetime | None, /) -> Run:
        """A run with the status `queued`, or one that has ended already, such as `skipped`."""
        ...

    def get(self, run: str, /) -> Run: ...

    def unfinished(self) -> Iterable[Run]:
        """The runs with the status `queued`, `running` or `waiting`."""
        ...


class Attempts(Protocol):
    """The operations of the queue that dispatch uses."""

    def enqueue(self, job: Job, *, delay_seconds: float = 0) -> None: ...
    def cancel(self, workflow: str) -> bool: ...
    def statuses(self, workflows: list[str]) -> dict[str, Status]: ...


class Dispatch:
    """Creates runs of datasets and puts them into the queue, in the partition of their Stripe account.

    `transaction` opens a transaction that includes `datasets` and `runs`; `partition` returns the Stripe account of a
    saved account; `failed` ends a run that the queue has lost.
    """

    def __init__(
        self,
        datasets: Datasets,
        runs: Runs,
        queue: Attempts,
        *,
        partition: Callable[[str], str],
        transaction: Callable[[], AbstractContextManager[object]],
        failed: Callable[[str, int, Exception], float | None],
    ) -> None:
        self._datasets = datasets
        self._runs = runs
        self._queue = queue
        self._partition = partition
        self._transaction = transaction
        self._failed = failed

    def claim(self, now: datetime, limit: int) -> int:
        """Creates and enqueues runs of at most `limit` due datasets; returns how many were due.

        A due time and its run are one transaction, so that a crash loses neither. After a crash before the run is in
        the queue, `mend` enqueues it.
        """
        with self._transaction():
            claimed = self._datasets.claim_due(now, limit)
            due = [(dataset, self._runs.create(dataset.id, "schedule", due_at)) for dataset, due_at in claimed]
        for dataset, run in due:
            self.enqueue(run, dataset)
        return len(due)

    def start(self, dataset: str) -> Run:
        """Runs the dataset on request; raises the errors of `Runs.create`."""
        run = self._runs.create(dataset, "manual", None)
        self.enqueue(run, self._datasets.get(dataset))
        return run

    def follow(self, run: str) -> None:
        """Runs the datasets that follow this run's dataset."""
        for dataset in self._datasets.followers(self._runs.get(run).dataset):
            self.enqueue(self._runs.create(dataset.id, "after", None), dataset)

    def enqueue(self, run: Run, dataset: Dataset) -> None:
        """Puts the run's first attempt into the queue, unless the run has ended or was enqueued before."""
        if run.status == "queued":
            partition = self._partition(dataset.account)
            self._queue.enqueue(first_job(run.id, partition, dataset=dataset.id, due_at=run.due_at))

    def resume(self, run: Run) -> None:
        """Puts the next attempt of a waiting run into the queue, without a delay."""
        partition = self._partition(self._datasets.get(run.dataset).account)
        self._queue.enqueue(job(run.id, run.attempt + 1, partition))

    def withdraw(self, run: Run) -> bool:
        """Removes the run's attempt from the queue; False if it is running, so that the run must be asked to stop."""
        return self._queue.cancel(self._places(run)[-1].workflow)

    def mend(self) -> int:
        """Requeues or ends unfinished runs that the queue does not have; returns their number.

        A run that never began, or one between two attempts, is put into the queue again. An attempt can end without a
        record in its run after an unavailable database, a full disk, or a queue restored from a backup. Such a run is
        retried if its dataset allows it, and otherwise fails.
        """
        places = {run.id: (run, self._places(run)) for run in self._runs.unfinished()}
        known = self._queue.statuses([place.workflow for _, jobs in places.values() for place in jobs])
        lost = 0
        for run, jobs in places.values():
            found = [known[place.workflow] for place in jobs if place.workflow in known]
            # The state is read again after the queue: a run that ended in between is not lost.
            if all(status == "ended" for status in found) and _same(run, self._runs.get(run.id)):
                lost += 1
                self._put_back(run, jobs[-1], ended=jobs[-1].workflow in known)
        return lost

    def _put_back(self, run: Run, place: Job, *, ended: bool) -> None:
        _log.warning("run was not in the queue", run=run.id, status=run.status, attempt=run.attempt, ended=ended)
        if ended:
            again = self._failed(run.id, place.attempt, _lost(place.attempt))
            if again is not None:
                self._queue.enqueue(job(run.id, place.attempt + 1, place.partition), delay_seconds=again)
        else:
            self._queue.enqueue(place)

    def _places(self, run: Run) -> list[Job]:
        """The jobs that the run can have in the queue; the one that it should have is last."""
        partition = self._partition(self._datasets.get(run.dataset).account)
        if run.attempt > 1:
            current = job(run.id, run.attempt, partition)
        else:
            current = first_job(run.id, partition, dataset=run.dataset, due_at=run.due_at)
        return [current, job(run.id, run.attempt + 1, partition)] if run.status == "waiting" else [current]


def _same(before: Run, now: Run) -> bool:
    return (before.status, before.attempt) == (now.status, now.attempt)


def _lost(attempt: int) -> TransientError:
    return TransientError(
        f"attempt {attempt} ended without a recorded result", hint="Check the service's log and run the dataset again."
    )
