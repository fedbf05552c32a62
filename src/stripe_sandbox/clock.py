"""The sandbox's clock."""

from __future__ import annotations

import time
from email.utils import formatdate

#: 2026-11-01T12:00:00Z, when the company's two years of history end.
FIXED_NOW = 1793534400


class Clock:
    """A clock that moves only when advanced; a live clock also runs with real time."""

    def __init__(self, *, live: bool = False) -> None:
        self.live = live
        self._start = int(time.time()) if live else FIXED_NOW
        self._advanced = 0
        self._looking_back: int | None = None

    @property
    def start(self) -> int:
        """The time at which the company's generated history ends."""
        return self._start

    def look_back(self, at: int | None) -> None:
        """Sets the clock to a time in the history, where lists then end. None returns to the present."""
        self._looking_back = at

    def now(self) -> int:
        if self._looking_back is not None:
            return self._looking_back
        running = int(time.time()) - self._start if self.live else 0
        return self._start + running + self._advanced

    def advance(self, seconds: int) -> int:
        if seconds < 0:
            raise ValueError("time cannot run backwards")
        self._advanced += seconds
        return self.now()

    def date(self) -> str:
        """The current time in the format of the `Date` header."""
        return formatdate(self.now(), usegmt=True)
