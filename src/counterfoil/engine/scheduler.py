"""The due loop of a process: claims the datasets that are due, and sleeps until the next due time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from counterfoil.logging import get_logger

#: The longest sleep, which delays the effect of another process's change to a schedule.
POLL_SECONDS = 15.0
#: Datasets claimed in one transaction.
BATCH = 100

_log = get_logger("engine")


class Claims(Protocol):
    """The part of `Dispatch` that the loop uses."""

    def claim(self, now: datetime, limit: int) -> int: ...


class DueLoop:
    """Claims due datasets, turn by turn, until it is stopped.

    `upkeep` is called in each turn, after the claims. An error of either is logged, and the next turn retries.
    """

    def __init__(
        self,
        claims: Claims,
        *,
        next_due_at: Callable[[], datetime | None],
        clock: Callable[[], datetime],
        upkeep: Callable[[], None] = lambda: None,
    ) -> None:
        self._claims = claims
        self._next_due_at = next_due_at
        self._clock = clock
        self._upkeep = upkeep
        self._awake = threading.Event()
        self._stopped = False
        #: Whether the previous turn ended with an error.
        self.failed = False
        #: When the last turn without an error ended; None before the first.
        self.last_turn_at: datetime | None = None

    def run(self) -> None:
        """Takes turns until `stop`."""
        while not self._stopped:
            self._awake.wait(self.turn())
            self._awake.clear()

    def wake(self) -> None:
        """Ends the sleep, such as after a change of a schedule."""
        self._awake.set()

    def stop(self) -> None:
        """Ends the loop after the claims in progress."""
        self._stopped = True
        self._awake.set()

    def turn(self) -> float:
        """Claims everything that is due now; returns the seconds until the next turn, at most 15."""
        try:
            while not self._stopped and self._claims.claim(self._clock(), BATCH) >= BATCH:
                pass
            if self._stopped:
                return 0
            self._upkeep()
            now = self._clock()
            next_due_at = self._next_due_at()
        except Exception:  # noqa: BLE001 - a locked or unavailable state must not end the loop
            _log.exception("due loop failed and will retry", seconds=POLL_SECONDS)
            self.failed = True
            return POLL_SECONDS
        self.failed = False
        self.last_turn_at = now
        if next_due_at is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.0, (next_due_at - now).total_seconds()))
