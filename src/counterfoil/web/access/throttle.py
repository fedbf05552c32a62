"""Guessing is made slow: after some failures each next try has to wait, longer each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How many failures are free, and the longest wait that the doubling after them comes to."""

    free: int
    most_seconds: float


@dataclass(slots=True)
class _Failures:
    count: int
    last_at: float


#: One address, or one browser that was signed in before.
ONE = Pace(free=5, most_seconds=60)
#: All strangers together. The wait stays short: whoever owns the page has to get in while others guess.
ALL = Pace(free=20, most_seconds=2)
#: Failures are forgotten when none came for so long.
_FORGOTTEN_SECONDS = 900
_MOST_KEYS = 10_000


class Throttle:
    """Waits by key, and over all keys. For one caller at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all = _Failures(0, 0)
        self._by_key: dict[str, _Failures] = {}

    def wait_seconds(self, key: str, *, alone: bool = False) -> float:
        """How long the key has to wait before its next try. `alone`: what others do does not count."""
        now = self._clock()
        waits = [_wait(self._by_key.get(key), ONE, now)]
        if not alone:
            waits.append(_wait(self._all, ALL, now))
        return max(waits)

    def failed(self, key: str) -> None:
        """Counts a wrong try. A try that was not allowed is none."""
        now = self._clock()
        self._all = _more(self._all, now)
        self._by_key[key] = _more(self._by_key.pop(key, None), now)  # the newest are last
        while len(self._by_key) > _MOST_KEYS:
            del self._by_key[next(iter(self._by_key))]

    def succeeded(self, key: str) -> None:
        """Forgets the failures of the key."""
        self._by_key.pop(key, None)


def _more(failures: _Failures | None, now: float) -> _Failures:
    if failures is None or now - failures.last_at > _FORGOTTEN_SECONDS:
        return _Failures(1, now)
    return _Failures(failures.count + 1, now)


def _wait(failures: _Failures | None, pace: Pace, now: float) -> float:
    if failures is None or failures.count <= pace.free or now - failures.last_at > _FORGOTTEN_SECONDS:
        return 0
    # 2 ** 20 seconds are longer than any pace allows.
    wait = min(pace.most_seconds, 2.0 ** min(failures.count - pace.free - 1, 20))
    return max(0, failures.last_at + wait - now)
