"""How a dataset's run ends: well, canceled, with another attempt to come, or for good; and what that means for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from counterfoil.errors import CounterfoilError, KeyRejected, PermissionMissing, RunError, TransientError
from counterfoil.log import get_logger
from counterfoil.runs.signals import Canceled
from counterfoil.state.database import Clock
from counterfoil.state.datasets import Dataset, Datasets
from counterfoil.state.run import Run, TakenOver
from counterfoil.state.runs import Runs

#: Failed runs in a row after which a dataset pauses.
MOST_FAILURES = 10

_log = get_logger("counterfoil.runs")


class Endings:
    """Ends runs in the state."""

    def __init__(self, datasets: Datasets, runs: Runs, now: Clock) -> None:
        self._datasets = datasets
        self._runs = runs
        self._now = now

    def succeeded(self, run: Run, owner: str, bookmark: Mapping[str, Any] | None) -> None:
        """The dataset goes on from the bookmark."""
        self._runs.log(run.id, "info", f"Succeeded: {run.counts.read:,} rows read.")
        self._runs.finish(run.id, "succeeded", owner=owner, bookmark=bookmark)

    def failed(self, run: str, attempt: int, error: Exception) -> float | None:
        """Keeps the error; the seconds until the next attempt, None when there is none."""
        if isinstance(error, TakenOver):
            return None
        found = self._runs.get(run)
        dataset = self._datasets.get(found.dataset)
        told = _told(error)
        if isinstance(error, Canceled):
            self._runs.log(run, "info", "Canceled; the table is as it was before.")
            self._runs.finish(run, "canceled")
            return None
        self._runs.log(run, "error", str(told), hint=told.hint, attempt=attempt)
        wait = timedelta(minutes=dataset.retry.every_minutes)
        if self._tries_again(dataset, found, attempt, told, wait):
            self._runs.log(run, "info", f"Tried again in {dataset.retry.every_minutes} minutes.")
            self._runs.wait(run, told)
            return wait.total_seconds()
        self._runs.finish(run, "failed", error=told)
        self._pause(self._datasets.get(dataset.id), told)
        return None

    def _tries_again(self, dataset: Dataset, run: Run, attempt: int, error: CounterfoilError, wait: timedelta) -> bool:
        retry = dataset.retry
        if not isinstance(error, TransientError) or not retry.on or (run.trigger == "manual" and not retry.manual):
            return False
        in_time = run.deadline_at is None or self._now() + wait < run.deadline_at
        return attempt < retry.attempts and in_time and not run.cancel_requested

    def _pause(self, dataset: Dataset, error: CounterfoilError) -> None:
        """What will not work by itself is not tried again and again."""
        if isinstance(error, KeyRejected):
            reason, action = f"Stripe refused the key: {error.message}", f"counterfoil accounts key {dataset.account}"
            self._datasets.pause_account(dataset.account, reason, action)
        elif isinstance(error, PermissionMissing):
            self._datasets.pause(dataset.id, error.message, error.hint)
        elif dataset.failures >= MOST_FAILURES:
            reason = f"{dataset.failures} runs in a row failed, the last one with: {error.message}"
            self._datasets.pause(dataset.id, reason, f"counterfoil datasets resume {dataset.name}")


def _told(error: Exception) -> CounterfoilError:
    if isinstance(error, CounterfoilError):
        return error
    _log.error("unexpected error in a run", exc_info=error)
    return RunError(
        f"Something unexpected went wrong: {type(error).__name__}: {error}",
        hint="The service's log says where. Please report it.",
    )
