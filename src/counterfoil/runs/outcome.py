"""Ends a dataset's run: as succeeded, canceled, waiting for another attempt, or failed; and updates the dataset."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from counterfoil.errors import CounterfoilError, KeyRejected, PermissionMissing, RunError, TransientError
from counterfoil.logging import get_logger, redacted
from counterfoil.runs import notifications
from counterfoil.runs.cancellation import Canceled
from counterfoil.runs.loads.rollback import only_into
from counterfoil.runs.retry import is_retried
from counterfoil.runs.run_context import RunContext
from counterfoil.state.datasets import Dataset, Target
from counterfoil.state.run import LoadRecord, LostOwnership, Run
from counterfoil.state.tables import ACTIVE

#: The number of failed runs in a row after which a dataset is paused.
MOST_FAILURES = 10

#: Errors of the file system: no space, a quota, a limit on the size of files.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_log = get_logger("counterfoil.runs")


class Outcomes:
    """Ends runs in the state."""

    def __init__(self, records: RunContext) -> None:
        self._accounts = records.accounts
        self._alerts = records.alerts
        self._datasets = records.datasets
        self._runs = records.runs
        self._now = records.now

    def succeeded(self, run: Run, owner: str, bookmark: Mapping[str, Any] | None, *, goes_on: bool = True) -> None:
        """Ends a run as succeeded. The dataset gets the bookmark if `goes_on`, and otherwise keeps its own."""
        rows = run.counts.read or sum(load.rows for load in self._runs.loads(run.id)[:1])
        self._runs.log(run.id, "info", f"Succeeded: {rows:,} rows.")
        late = "The cancellation came after all rows were loaded." if run.cancel_requested else None
        with self._alerts.together():
            before = self._datasets.get(run.dataset)
            self._runs.finish(run.id, "succeeded", owner=owner, bookmark=bookmark, goes_on=goes_on, reason=late)
            notifications.recovered(self._alerts, before, run)
            self._tell_behind(before, run)
        _log.info("run succeeded", run=run.id, dataset=run.dataset, rows=rows)

    def report_behind(
        self, run: Run, attempt: int, failed: Mapping[Target, CounterfoilError], *, owner: str | None = None
    ) -> None:
        """Reports tables that could not be loaded while others were; raises a transient error if the run is retried.

        A later run loads the missing rows from the archive.
        """
        for target, error in failed.items():
            self._runs.log(run.id, "error", f"{table_name_of(target)} was not loaded: {error}", hint=error.hint)
        dataset = self._datasets.get(run.dataset)
        transient = next((error for error in failed.values() if isinstance(error, TransientError)), None)
        if transient is not None and is_retried(dataset, run, attempt, transient, now=self._now()):
            raise transient
        warnings = [
            f"{table_name_of(target)} is not up to date; the next run loads the missing rows: {error.message}"
            for target, error in failed.items()
        ]
        self._runs.update(run.id, owner=owner, warnings=tuple(dict.fromkeys((*run.warnings, *warnings))))

    def failed(self, run: str, attempt: int, error: Exception, *, owner: str | None = None) -> float | None:
        """Stores the error. Returns the seconds until the next attempt; None if there is none.

        `owner` is the attempt's token. Does nothing if another attempt has taken over the run.
        """
        found = self._runs.get(run)
        if isinstance(error, LostOwnership) or found.status not in ACTIVE:
            return None
        try:
            return self._end(found, attempt, error, owner)
        except LostOwnership:
            return None

    def _end(self, found: Run, attempt: int, error: Exception, owner: str | None) -> float | None:
        run = found.id
        if isinstance(error, Canceled):
            self._runs.finish(run, "canceled", owner=owner)
            left = self._left(run)
            self._runs.log(run, "info", f"Canceled; {left}", left=left)
            _log.info("run canceled", run=run, dataset=found.dataset)
            return None
        dataset, failure = self._datasets.get(found.dataset), _told(error)
        if isinstance(failure, KeyRejected):
            failure.hint = f"Give the account a valid key: {_key_command(dataset)}"
        facts = {"run": run, "dataset": dataset.id, "attempt": attempt, "error": str(failure)}
        if is_retried(dataset, found, attempt, failure, now=self._now()):
            self._runs.wait(run, failure, owner=owner)
            self._runs.log(run, "error", str(failure), hint=failure.hint, attempt=attempt)
            self._runs.log(run, "info", f"Next attempt in {dataset.retry.every_minutes} minutes.")
            _log.info("run waits for its next attempt", **facts)
            return dataset.retry.every_minutes * 60.0
        with self._alerts.together():
            ended = self._runs.finish(run, "failed", error=failure, owner=owner)
            self._runs.log(run, "error", str(failure), hint=failure.hint, attempt=attempt)
            self._pause(self._datasets.get(dataset.id), failure)
            notifications.failed(self._alerts, self._datasets.get(dataset.id), ended, failure)
        _log.info("run failed", **facts)
        return None

    def _tell_behind(self, dataset: Dataset, run: Run) -> None:
        """Notifies of tables that lack the run; once, until they have it."""
        if only_into(run) is not None or len(dataset.targets) == 1:
            return
        before = next((one for one in self._runs.list(dataset.id, "succeeded", 2) if one.id != run.id), None)
        lacked = () if before is None else self._lack(dataset, before)
        lacks = [target for target in self._lack(dataset, run) if target not in lacked]
        notifications.behind(self._alerts, dataset, run, [table_name_of(target) for target in lacks])

    def _lack(self, dataset: Dataset, run: Run) -> tuple[Target, ...]:
        loaded = {(load.url, load.table) for load in self._runs.loads(run.id)}
        return tuple(target for target in dataset.targets if (target.url, target.table) not in loaded)

    def _left(self, run: str) -> str:
        """The result of a canceled run: the tables that it loaded."""
        loaded = [table_name_of(load) for load in self._runs.loads(run)]
        return f"{' and '.join(loaded)} had been loaded." if loaded else "the table is unchanged."

    def _pause(self, dataset: Dataset, error: CounterfoilError) -> None:
        """Pauses the dataset, or all datasets of its account, if another run can't succeed."""
        if isinstance(error, KeyRejected):
            reason = f"Stripe rejected the key: {error.message}"
            self._accounts.reject(dataset.account, error.message)
            self._datasets.pause_account(dataset.account, reason, _key_command(dataset))
        elif isinstance(error, PermissionMissing):
            self._datasets.pause(dataset.id, error.message, error.hint, code="permission_missing")
        elif dataset.failures >= MOST_FAILURES:
            reason = f"{dataset.failures} runs in a row failed; the last error: {error.message}"
            self._datasets.pause(dataset.id, reason, f"counterfoil datasets resume {dataset.name}", code="failures")


def table_name_of(target: Target | LoadRecord) -> str:
    """A table and its destination, without passwords."""
    return f"{target.table} of {redacted(target.url)}"


def _key_command(dataset: Dataset) -> str:
    return f"counterfoil accounts key {dataset.account}"


def _told(error: Exception) -> CounterfoilError:
    if isinstance(error, CounterfoilError):
        return error
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        where = f" of {error.filename}" if error.filename else ""
        return RunError(
            f"the disk{where} is full: {error.strerror}", hint="Free some space, then run the dataset again."
        )
    _log.error("unexpected error in a run", exc_info=error)
    return RunError(
        f"unexpected error: {type(error).__name__}: {error}",
        hint="Report it, with the traceback from the service's log.",
    )
