"""Ends a run early: after a cancellation, at its deadline, or when the service shuts down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from counterfoil.errors import CounterfoilError, RunError
from counterfoil.state.runs import Runs

#: Minimum interval between queries of the state.
_ASK_SECONDS = 0.5


class Canceled(CounterfoilError):  # noqa: N818 - the names say what happened
    """A user canceled the run."""


class DeadlinePassed(RunError):  # noqa: N818
    """The run exceeded its deadline."""


class ServiceStops(CounterfoilError):  # noqa: N818
    """The service is shutting down; the run resumes after the next start."""


class Cancellation:
    """Checked between pages and parts; raises the error that ends the run."""

    def __init__(
        self,
        runs: Runs,
        run: str,
        *,
        stopping: threading.Event,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runs = runs
        self._run = run
        self._stopping = stopping
        self._now = now
        self._monotonic = monotonic
        self._asked_at = -_ASK_SECONDS

    def check(self, *, at_once: bool = False) -> None:
        """Raises Canceled, DeadlinePassed or ServiceStops. Queries the state at intervals, or `at_once`."""
        if self._stopping.is_set():
            raise ServiceStops("the service is shutting down; the run resumes after the next start")
        asked_at = self._monotonic()
        if not at_once and asked_at - self._asked_at < _ASK_SECONDS:
            return
        self._asked_at = asked_at
        found = self._runs.get(self._run)
        if found.cancel_requested:
            raise Canceled(f"run {self._run} was canceled")
        if found.deadline_at is not None and self._now() > found.deadline_at:
            raise DeadlinePassed(
                f"run {self._run} exceeded its deadline",
                hint="Extend the deadline or narrow the dataset: counterfoil datasets edit --deadline-minutes",
            )

    def stop(self) -> bool:
        """Callback for loads: calls `check` and returns False."""
        self.check()
        return False
