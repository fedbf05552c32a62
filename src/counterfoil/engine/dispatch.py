"""How runs get into the queue: those that are due, those that follow another, and those that a crash left out."""

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
    """What the engine reads of a dataset."""

    @property
    def id(self) -> str: ...
    @property
    def account(self) -> str: ...


class Run(Protocol):
    """What the engine reads of a run."""

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
        """At most so many that are due, each with its due time; the next call does not find them again."""
        ...

    def next_due_at(self) -> datetime | None:
        """The earliest due time of all; None when nothing has a schedule."""
        ...

    def followers(self, dataset: str, /) -> Sequence[Dataset]:
        """The datasets that run after this one has succeeded, those that are paused left out."""
        ...

    def get(self, dataset: str, /) -> Dataset: ...


class Runs(Protocol):
    """The state's runs."""

    def create(self, dataset: str, trigger: Trigger, due_at: datetime | None, /) -> Run:
        """A run with the status `queued`, or one that ended at once, such as `skipped`."""
        ...

    def get(self, run: str, /) -> Run: ...

    def unfinished(self) -> Iterable[Run]:
        """Those with the status `queued`, `running` or `waiting`."""
        ...


class Attempts(Protocol):
    """What is asked of the queue."""

    def enqueue(self, job: Job, *, delay_seconds: float = 0) -> None: ...
    def cancel(self, workflow: str) -> bool: ...
    def statuses(self, workflows: list[str]) -> dict[str, Status]: ...


class Dispatch:
    """Makes runs of datasets and puts them into the queue, in the partition of their Stripe account.

    `transaction` opens one that `datasets` and `runs` take part in; `partition` names the Stripe account of one of our
    accounts; `failed` ends a run that the queue has lost.
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
        """Makes runs of at most so many datasets that are due, and enqueues them; how many were due.

        A due time and its run are one transaction, so that a crash loses neither; a crash before the run is in the
        queue leaves it to `mend`.
        """
        with self._transaction():
            claimed = self._datasets.claim_due(now, limit)
            due = [(dataset, self._runs.create(dataset.id, "schedule", due_at)) for dataset, due_at in claimed]
        for dataset, run in due:
            self.enqueue(run, dataset)
        return len(due)

    def start(self, dataset: str) -> Run:
        """Runs the dataset because somebody asked for it; raises what `create` says to that."""
        run = self._runs.create(dataset, "manual", None)
        self.enqueue(run, self._datasets.get(dataset))
        return run

    def follow(self, run: str) -> None:
        """Runs the datasets that were waiting for this run's to succeed."""
        for dataset in self._datasets.followers(self._runs.get(run).dataset):
            self.enqueue(self._runs.create(dataset.id, "after", None), dataset)

    def enqueue(self, run: Run, dataset: Dataset) -> None:
        """Puts the run's first attempt into the queue, unless the run is over or was put there before."""
        if run.status == "queued":
            partition = self._partition(dataset.account)
            self._queue.enqueue(first_job(run.id, partition, dataset=dataset.id, due_at=run.due_at))

    def resume(self, run: Run) -> None:
        """Puts the next attempt of a run that waits into the queue; it begins at once."""
        partition = self._partition(self._datasets.get(run.dataset).account)
        self._queue.enqueue(job(run.id, run.attempt + 1, partition))

    def withdraw(self, run: Run) -> bool:
        """Takes the run's attempt out of the queue; False when it runs, and the run has to be asked to stop."""
        return self._queue.cancel(self._places(run)[-1].workflow)

    def mend(self) -> int:
        """Looks after runs that are not over and that the queue does not have; how many there were.

        A run that never began, and one between two attempts, goes into the queue again. One whose attempt ended
        without a word to it, which takes a database that was away, a full disk or a queue from a backup, is tried again
        where the dataset says so, and else fails.
        """
        places = {run.id: (run, self._places(run)) for run in self._runs.unfinished()}
        known = self._queue.statuses([place.workflow for _, jobs in places.values() for place in jobs])
        lost = 0
        for run, jobs in places.values():
            found = [known[place.workflow] for place in jobs if place.workflow in known]
            # The state is asked again after the queue was: what ended in between is not lost.
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
        """Where the run can be in the queue, the place that it belongs to last."""
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
        f"Attempt {attempt} ended without saying how", hint="The log may say more. Run the dataset again."
    )
