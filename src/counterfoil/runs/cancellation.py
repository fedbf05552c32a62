"""What ends a run before its time: a person who cancels it, its deadline, or the service that goes down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from counterfoil.errors import CounterfoilError, RunError
from counterfoil.state.runs import Runs

#: The state is asked at most this often.
_ASK_SECONDS = 0.5


class Canceled(CounterfoilError):  # noqa: N818 - the names say what happened
    """A person canceled the run."""


class DeadlinePassed(RunError):  # noqa: N818
    """The run took longer than it may."""


class ServiceStops(CounterfoilError):  # noqa: N818
    """The service goes down; the run goes on after its next start."""


class Cancellation:
    """Looked at between pages and parts; raises what ends the run."""

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
        """Raises Canceled, DeadlinePassed or ServiceStops. The state is asked now and then, or `at_once`."""
        if self._stopping.is_set():
            raise ServiceStops("The service goes down; the run goes on after its next start")
        asked_at = self._monotonic()
        if not at_once and asked_at - self._asked_at < _ASK_SECONDS:
            return
        self._asked_at = asked_at
        found = self._runs.get(self._run)
        if found.cancel_requested:
            raise Canceled(f"The run {self._run} was canceled")
        if found.deadline_at is not None and self._now() > found.deadline_at:
            raise DeadlinePassed(
                f"The run {self._run} was not done by its deadline",
                hint="Give the dataset more time, or less to read: counterfoil datasets edit --deadline-minutes",
            )

    def stop(self) -> bool:
        """For a load that asks while it works; raises too."""
        self.check()
        return False
