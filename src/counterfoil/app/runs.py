"""Operations on runs: start, cancel, roll back, inspect, and read their rows."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from counterfoil.app.node import OneRun, node_of, open_queue
from counterfoil.archive import read_ledger, read_parts, verify
from counterfoil.engine.queue import Queue
from counterfoil.engine.state_wait import patiently
from counterfoil.errors import RunError, SettingsError
from counterfoil.logging import redacted
from counterfoil.runs.cancellation import Canceled
from counterfoil.runs.loads.rollback import ARCHIVE_REMOVED, check_rollback, plan_rollback, rollback_target
from counterfoil.runs.loads.size_check import TABLE_WOULD_SHRINK
from counterfoil.runs.loads.table_load import schema_of
from counterfoil.runs.outcome import Outcomes, table_name_of
from counterfoil.runs.plans.dataset_plan import allowing_shrink, from_json
from counterfoil.runs.run_context import RunContext, archive_of
from counterfoil.state import State
from counterfoil.state.check import StoredCheck
from counterfoil.state.dataset import Dataset, Target
from counterfoil.state.run import Attempt as Tried
from counterfoil.state.run import Line, LoadRecord, Run, Status

#: Poll interval while waiting for a run, in seconds.
_LOOK_SECONDS = 0.2
_LOOKS_A_TURN = 5
#: Maximum number of polls for a run that follows another run.
_FOLLOWER_LOOKS = 50
#: After a run with one of these statuses, earlier runs cannot resume.
_DECIDES: tuple[Status, ...] = ("queued", "running", "waiting", "succeeded", "failed")
_OVER = frozenset({"succeeded", "failed", "canceled", "skipped"})

Look = Callable[[Run], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """All details of a run."""

    run: Run
    dataset: str
    attempts: tuple[Tried, ...]
    loads: tuple[LoadRecord, ...]
    #: Whether its archive is still stored.
    kept: bool
    #: The time of the next attempt of a waiting run.
    next_attempt_at: datetime | None
    #: The latest result of each check.
    checks: tuple[StoredCheck, ...] = ()


class RunService:
    """Operations on the runs of datasets, by the dataset's name or id."""

    def __init__(self, state: State, records: RunContext) -> None:
        self._state = state
        self._records = records
        #: False if an attempt of this process did not end in time: the process must exit by `os._exit`.
        self.ended = True

    def start(self, dataset: str, *, wait: bool = True, look: Look | None = None, allow_shrink: bool = False) -> Run:
        """Runs a dataset now; RunError names a run of the dataset that is already active.

        If a service is running, it executes the run, and this method returns immediately unless `wait` is set.
        Otherwise this process executes the run and the runs after it, and resumes a run of a dead process; it returns
        when they end and, without `wait`, also when a run waits for its next attempt. `look` is called with the runs
        while they are in progress.
        With `allow_shrink`, the run may delete more than half of the table; a run that failed for this resumes from its
        archive, without API requests.
        """
        found = self._records.datasets.get(dataset)

        def begin(one: OneRun) -> str:
            left = self._left(found.id) if one.works and one.alone() else None
            if allow_shrink:
                return self._start_allowing(one, found, left)
            if left is None:
                return one.dispatch.start(found.id).id
            one.dispatch.mend()
            self._records.runs.log(left.id, "info", "Resumed after the end of its process.")
            return left.id

        return self._work(begin, wait=wait, look=look)

    def stopped(self, dataset: Dataset) -> Run | None:
        """The dataset's newest run, if it failed because its table would shrink and can resume from its archive."""
        newest = next(iter(self._records.runs.list(dataset.id, _DECIDES, 1)), None)
        if newest is None or newest.status != "failed" or (newest.error or {}).get("code") != TABLE_WOULD_SHRINK:
            return None
        plan, ledger = from_json(newest.plan), read_ledger(archive_of(self._records.settings, newest.id))
        method = "replace" if dataset.method == "partition" else dataset.method
        same = (plan.choice, plan.method, plan.credential) == (dataset.choice, method, dataset.account)
        return newest if same and ledger is not None and ledger.is_there else None

    def _start_allowing(self, one: OneRun, dataset: Dataset, left: Run | None) -> str:
        stopped, runs = self.stopped(dataset), self._records.runs
        if stopped is not None:
            run = runs.reopen(stopped.id, allowing_shrink(stopped.plan))
            runs.log(run.id, "info", "Resumed from its archive; the table may shrink.")
            one.dispatch.resume(run)
            return run.id
        if left is not None:
            runs.update(left.id, plan=allowing_shrink(left.plan))
            one.dispatch.mend()
            return left.id
        with self._state.begin():
            made = runs.create(dataset.id, "manual")
            runs.update(made.id, plan=allowing_shrink({}))
        one.dispatch.enqueue(made, dataset)
        return made.id

    def revert(self, run: str, *, wait: bool = True, look: Look | None = None) -> Run:
        """Rolls back the tables of a run's dataset to this run, from archives; returns the run of the rollback."""
        other = self._records.runs.get(run)
        check_rollback(self._records.runs, self._records.settings, other)
        return self._back_to(other, f"Rollback to run {other.id}", None, wait=wait, look=look)

    def fill(self, dataset: str, to: str, *, wait: bool = True, look: Look | None = None) -> Run:
        """Rebuilds the dataset's table in one destination from archives, without API requests."""
        found, run = self._records.datasets.get(dataset), self.kept(dataset)
        into = next((one for one in found.targets if one.url == to), None)
        if into is None:
            known = ", ".join(redacted(one.url) for one in found.targets)
            raise SettingsError(f"{redacted(to)} is not a destination of {found.name!r}", hint=f"Use one of {known}.")
        return self._back_to(run, f"Backfill of {table_name_of(into)} from archives", into, wait=wait, look=look)

    def kept(self, dataset: str) -> Run:
        """The last run of a dataset, if archives can rebuild its table; RunError if they cannot."""
        found = self._records.datasets.get(dataset)
        last = (found.bookmark or {}).get("run")
        if last is None:
            raise RunError(
                f"no archive of {found.name!r} to fill a table from: no run has succeeded",
                hint=f"Run it first: counterfoil run {shlex.quote(found.name)}",
            )
        run = self._records.runs.get(last)
        check_rollback(self._records.runs, self._records.settings, run)
        return run

    def _back_to(self, run: Run, why: str, into: Target | None, *, wait: bool, look: Look | None) -> Run:
        dataset = self._records.datasets.get(run.dataset)

        def begin(one: OneRun) -> str:
            with self._state.begin():
                made = self._records.runs.create(dataset.id, "manual", reason=why)
                self._records.runs.update(made.id, plan=plan_rollback(run, into))
            one.dispatch.enqueue(made, dataset)
            return made.id

        return self._work(begin, wait=wait, look=look)

    def cancel(self, run: str) -> Run:
        """Cancels a run: a waiting run at once, a running one within about two seconds. Its tables remain unchanged.

        RunError if the run has ended. The returned run may still be running.
        """
        before = self._records.runs.get(run)
        self._records.runs.request_cancel(run)
        with self._queue() as queue:
            one = OneRun(self._state, self._records, queue)
            if not one.dispatch.withdraw(before) and one.alone():
                # No process would see the request.
                endings = Outcomes(self._records)
                endings.failed(run, before.attempt, Canceled(f"run {run} was canceled"))
        return self._records.runs.get(run)

    def served(self) -> bool:
        """Whether a service is running, which executes queued runs."""
        return node_of(self._state, "run").others("serve") > 0

    def next_attempt_at(self, run: Run) -> datetime | None:
        """The time of the next attempt of a waiting run."""
        if run.status != "waiting":
            return None
        ended_at = self._records.runs.attempts(run.id)[-1].finished_at or run.created_at
        if run.error is None:  # a user resumed it
            return ended_at
        return ended_at + timedelta(minutes=self._records.datasets.get(run.dataset).retry.every_minutes)

    def dataset_names(self) -> dict[str, str]:
        """The names of all datasets by their ids."""
        return {dataset.id: dataset.name for dataset in self._records.datasets.list()}

    def list(
        self,
        dataset: str | None = None,
        status: Status | Sequence[Status] | None = None,
        limit: int = 50,
        *,
        before: str | None = None,
    ) -> tuple[Run, ...]:
        """Runs, newest first; with `before` (a run's id), only runs older than that run."""
        known = None if dataset is None else self._records.datasets.get(dataset).id
        behind = None if before is None else self._records.runs.get(before)
        return self._records.runs.list(known, status, limit, before=behind)

    def get(self, run: str) -> Run:
        """The run with this id; SettingsError suggests the closest id."""
        return self._records.runs.get(run)

    def show(self, run: str) -> RunDetail:
        """All details of a run except its log and its rows."""
        found = self._records.runs.get(run)
        return RunDetail(
            run=found,
            dataset=self._records.datasets.get(found.dataset).name,
            attempts=self._records.runs.attempts(run),
            loads=self._records.runs.loads(run),
            kept=read_ledger(archive_of(self._records.settings, run)) is not None,
            next_attempt_at=self.next_attempt_at(found),
            checks=self._records.checks.of_run(run),
        )

    def lines(self, run: str, *, after: int = 0) -> tuple[Line, ...]:
        """The log of the run, after line number `after`."""
        self._records.runs.get(run)
        return self._records.runs.lines(run, after=after)

    def rows(self, run: str) -> pa.RecordBatchReader:
        """The rows that a run read, as they were loaded; RunError if its archive is deleted."""
        found = self._records.runs.get(run)
        other = rollback_target(found)
        if other is not None:
            raise RunError(f"run {run} is a rollback to {other} and has no rows", hint=f"Use the rows of run {other}.")
        ledger = read_ledger(archive_of(self._records.settings, run))
        if ledger is None:
            if found.status != "succeeded":
                raise RunError(f"run {run} has no rows: it is {found.status}")
            raise RunError(
                f"the archive of run {run} was removed",
                hint="Set COUNTERFOIL_ARCHIVE_DAYS to keep archives of later runs longer.",
                code=ARCHIVE_REMOVED,
            )
        for part in ledger.parts:
            verify(part)
        return read_parts(ledger.parts, schema_of(from_json(found.plan)))

    def _left(self, dataset: str) -> Run | None:
        """The active run of a dataset, unless it waits for a later attempt."""
        for run in self._records.runs.list(dataset, ("queued", "running", "waiting"), 1):
            next_at = self.next_attempt_at(run)
            return run if next_at is None or next_at <= self._records.now() else None
        return None

    def _work(self, begin: Callable[[OneRun], str], *, wait: bool, look: Look | None) -> Run:
        with self._queue() as queue:
            one = OneRun(self._state, self._records, queue)
            try:
                with one:
                    one.keep_up()
                    run = self._awaited(begin(one), one, look, wait=wait)
                    self._await_followers(run, one, look)
                    return run
            finally:
                self.ended = one.ended

    def _awaited(self, run: str, one: OneRun, look: Look | None, *, wait: bool) -> Run:
        pause, turn = threading.Event(), 0

        def turned() -> Run | None:
            nonlocal turn
            found = self._records.runs.get(run)
            if look is not None:
                look(found)
            if found.status in _OVER or (not wait and self._leaves(found, one)):
                return found
            one.check(run)
            turn += 1
            if turn % _LOOKS_A_TURN == 0:
                one.keep_up()
                if found.status == "queued":
                    one.check_queue()
            return None

        while (found := patiently(turned, self._state.settings.state_wait_seconds, pause.wait)) is None:
            pause.wait(_LOOK_SECONDS)
        return found

    def _await_followers(self, run: Run, one: OneRun, look: Look | None) -> None:
        """Executes the runs after it in this process too: no service would."""
        if not one.works or run.status != "succeeded":
            return
        for dataset in self._records.datasets.followers(run.dataset):
            follower = self._follower(run, dataset.id) if dataset.pause is None else None
            if follower is not None:
                self._await_followers(self._awaited(follower, one, look, wait=False), one, look)

    def _follower(self, run: Run, dataset: str) -> str | None:
        """The run created after this one succeeded, which happens with a short delay."""
        pause = threading.Event()
        for _ in range(_FOLLOWER_LOOKS):
            for newest in self._records.runs.list(dataset, limit=1):
                if newest.trigger == "after" and newest.created_at >= (run.finished_at or run.created_at):
                    return newest.id
            pause.wait(_LOOK_SECONDS)
        return None

    def _leaves(self, run: Run, one: OneRun) -> bool:
        """Whether to stop waiting, because a service executes the run or the next attempt is later."""
        next_at = self.next_attempt_at(run)
        return not one.works or (next_at is not None and next_at > self._records.now())

    @contextmanager
    def _queue(self) -> Iterator[Queue]:
        queue = open_queue(self._state)
        try:
            yield queue
        finally:
            queue.close()
