"""Runs: started, watched, canceled, gone back to, and the rows that they brought."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from counterfoil.app.node import OneRun, dispatch_of, open_queue
from counterfoil.archive import read_ledger, read_parts, verify
from counterfoil.engine.queue import Queue
from counterfoil.errors import RunError
from counterfoil.runs.attempt import Attempt, Records, archive_of, schema_of
from counterfoil.runs.dataset_plan import from_json
from counterfoil.runs.reverting import back_to, check_revert, plan_back_to
from counterfoil.state import State
from counterfoil.state.run import Attempt as Tried
from counterfoil.state.run import Line, LoadRecord, Run, Status

#: How often a run that is waited for is looked at, in seconds.
_LOOK_SECONDS = 0.2
_OVER = frozenset({"succeeded", "failed", "canceled", "skipped"})

Look = Callable[[Run], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A run with all that is known of it."""

    run: Run
    dataset: str
    attempts: tuple[Tried, ...]
    loads: tuple[LoadRecord, ...]
    #: Whether the rows that it brought are still kept.
    kept: bool


class RunCalls:
    """What can be done with the runs of datasets. Datasets are given by name or id."""

    def __init__(self, state: State, records: Records) -> None:
        self._state = state
        self._records = records

    def start(self, dataset: str, *, wait: bool = True, look: Look | None = None) -> Run:
        """Runs a dataset now; RunError names the run of it that is not over.

        Where no service is alive, this process does the work and comes back when the run is over, or waits for another
        attempt. Else it comes back at once, or with `wait` at the same end. `look` is shown the run meanwhile.
        """
        found = self._records.datasets.get(dataset)
        return self._work(lambda one: one.dispatch.start(found.id).id, wait=wait, look=look)

    def revert(self, run: str, *, wait: bool = True, look: Look | None = None) -> Run:
        """Makes the tables of a run's dataset what they were after it, from what is kept; as a run of its own."""
        other = self._records.runs.get(run)
        check_revert(self._records.runs, self._records.settings, other)
        dataset = self._records.datasets.get(other.dataset)

        def begin(one: OneRun) -> str:
            with self._state.begin():
                made = self._records.runs.create(dataset.id, "manual", reason=f"Goes back to the run {other.id}.")
                self._records.runs.update(made.id, plan=plan_back_to(other))
            one.dispatch.enqueue(made, dataset)
            return made.id

        return self._work(begin, wait=wait, look=look)

    def cancel(self, run: str) -> Run:
        """Ends a run: one that waits at once, one that runs within about two seconds; its tables stay as they are."""
        found = self._records.runs.request_cancel(run)
        with self._queue() as queue:
            attempt = Attempt(self._records)
            dispatch_of(self._state, self._records, queue, attempt).withdraw(found)
        return self._records.runs.get(run)

    def list(
        self, dataset: str | None = None, status: Status | Sequence[Status] | None = None, limit: int = 50
    ) -> tuple[Run, ...]:
        """The newest runs first."""
        known = None if dataset is None else self._records.datasets.get(dataset).id
        return self._records.runs.list(known, status, limit)

    def show(self, run: str) -> Told:
        """Everything about a run but its log and its rows."""
        found = self._records.runs.get(run)
        return Told(
            run=found,
            dataset=self._records.datasets.get(found.dataset).name,
            attempts=self._records.runs.attempts(run),
            loads=self._records.runs.loads(run),
            kept=read_ledger(archive_of(self._records.settings, run)) is not None,
        )

    def lines(self, run: str, *, after: int = 0) -> tuple[Line, ...]:
        """The run's log from behind a line on."""
        self._records.runs.get(run)
        return self._records.runs.lines(run, after=after)

    def rows(self, run: str) -> pa.RecordBatchReader:
        """The rows that a run brought, as they were loaded; RunError when they are kept no longer."""
        found = self._records.runs.get(run)
        other = back_to(found)
        if other is not None:
            raise RunError(f"The run {run} read nothing: it went back to {other}", hint=f"Ask for the rows of {other}.")
        ledger = read_ledger(archive_of(self._records.settings, run))
        if ledger is None:
            raise RunError(
                f"The rows of the run {run} are not there: it {found.status}, or they are kept no longer",
                hint="COUNTERFOIL_ARCHIVE_DAYS says for how long rows of runs are kept.",
            )
        for part in ledger.parts:
            verify(part)
        return read_parts(ledger.parts, schema_of(from_json(found.plan)))

    def _work(self, begin: Callable[[OneRun], str], *, wait: bool, look: Look | None) -> Run:
        with self._queue() as queue:
            one = OneRun(self._state, self._records, queue)
            if one.others():
                run = begin(one)
                return self._awaited(run, look) if wait else self._records.runs.get(run)
            with one:
                return self._awaited(begin(one), look)

    def _awaited(self, run: str, look: Look | None) -> Run:
        pause = threading.Event()
        while True:
            found = self._records.runs.get(run)
            if look is not None:
                look(found)
            if found.status in _OVER or found.status == "waiting":
                return found
            pause.wait(_LOOK_SECONDS)

    @contextmanager
    def _queue(self) -> Iterator[Queue]:
        queue = open_queue(self._state)
        try:
            yield queue
        finally:
            queue.close()
