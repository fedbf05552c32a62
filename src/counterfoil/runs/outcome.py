"""How a dataset's run ends: well, canceled, with another attempt to come, or for good; and what that means for it."""

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

#: Failed runs in a row after which a dataset pauses.
MOST_FAILURES = 10

#: Of the file system: no space, a quota, a limit on the size of files.
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
        """The dataset goes on from the bookmark, or else stays where it was put meanwhile."""
        brought = run.counts.read or sum(load.rows for load in self._runs.loads(run.id)[:1])
        self._runs.log(run.id, "info", f"Succeeded: {brought:,} rows.")
        late = "Asked to stop when everything was loaded." if run.cancel_requested else None
        with self._alerts.together():
            before = self._datasets.get(run.dataset)
            self._runs.finish(run.id, "succeeded", owner=owner, bookmark=bookmark, goes_on=goes_on, reason=late)
            notifications.recovered(self._alerts, before, run)
            self._tell_behind(before, run)
        _log.info("run succeeded", run=run.id, dataset=run.dataset, rows=brought)

    def report_behind(
        self, run: Run, attempt: int, failed: Mapping[Target, CounterfoilError], *, owner: str | None = None
    ) -> None:
        """Some of the run's tables were loaded and these were not: the run is tried again, or goes on without them.

        What they lack is kept, and a later run gives it to them.
        """
        for target, error in failed.items():
            self._runs.log(run.id, "error", f"{table_name_of(target)} was not loaded: {error}", hint=error.hint)
        dataset = self._datasets.get(run.dataset)
        passing = next((error for error in failed.values() if isinstance(error, TransientError)), None)
        if passing is not None and is_retried(dataset, run, attempt, passing, now=self._now()):
            raise passing
        warnings = [
            f"{table_name_of(target)} is not up to date: {error.sentence} The next run brings it what it lacks."
            for target, error in failed.items()
        ]
        self._runs.update(run.id, owner=owner, warnings=tuple(dict.fromkeys((*run.warnings, *warnings))))

    def failed(self, run: str, attempt: int, error: Exception, *, owner: str | None = None) -> float | None:
        """Keeps the error; the seconds until the next attempt, None when there is none.

        With the token of the attempt: nothing happens once another one has taken over.
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
        dataset, told = self._datasets.get(found.dataset), _told(error)
        if isinstance(told, KeyRejected):
            told.hint = f"Give the account a key that Stripe takes: {_key_command(dataset)}"
        told_of = {"run": run, "dataset": dataset.id, "attempt": attempt, "error": str(told)}
        if is_retried(dataset, found, attempt, told, now=self._now()):
            self._runs.wait(run, told, owner=owner)
            self._runs.log(run, "error", str(told), hint=told.hint, attempt=attempt)
            self._runs.log(run, "info", f"Tried again in {dataset.retry.every_minutes} minutes.")
            _log.info("run waits for its next attempt", **told_of)
            return dataset.retry.every_minutes * 60.0
        with self._alerts.together():
            ended = self._runs.finish(run, "failed", error=told, owner=owner)
            self._runs.log(run, "error", str(told), hint=told.hint, attempt=attempt)
            self._pause(self._datasets.get(dataset.id), told)
            notifications.failed(self._alerts, self._datasets.get(dataset.id), ended, told)
        _log.info("run failed", **told_of)
        return None

    def _tell_behind(self, dataset: Dataset, run: Run) -> None:
        """Of tables that lack the run; once, until they have it."""
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
        """What a run that did not come to its end left behind."""
        loaded = [table_name_of(load) for load in self._runs.loads(run)]
        return f"{' and '.join(loaded)} had been loaded." if loaded else "the table is as it was before."

    def _pause(self, dataset: Dataset, error: CounterfoilError) -> None:
        """What will not work by itself is not tried again and again."""
        if isinstance(error, KeyRejected):
            reason = f"Stripe refused the key: {error.message}"
            self._accounts.reject(dataset.account, error.message)
            self._datasets.pause_account(dataset.account, reason, _key_command(dataset))
        elif isinstance(error, PermissionMissing):
            self._datasets.pause(dataset.id, error.message, error.hint, code="permission_missing")
        elif dataset.failures >= MOST_FAILURES:
            reason = f"{dataset.failures} runs in a row failed, the last one with: {error.message}"
            self._datasets.pause(dataset.id, reason, f"counterfoil datasets resume {dataset.name}", code="failures")


def table_name_of(target: Target | LoadRecord) -> str:
    """A table and where it is; never a password."""
    return f"{target.table} of {redacted(target.url)}"


def _key_command(dataset: Dataset) -> str:
    return f"counterfoil accounts key {dataset.account}"


def _told(error: Exception) -> CounterfoilError:
    if isinstance(error, CounterfoilError):
        return error
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        where = f" of {error.filename}" if error.filename else ""
        return RunError(
            f"The disk{where} is full: {error.strerror}", hint="Free some space, then run the dataset again."
        )
    _log.error("unexpected error in a run", exc_info=error)
    return RunError(
        f"Something unexpected went wrong: {type(error).__name__}: {error}",
        hint="The service's log says where. Please report it.",
    )
