"""Throttles guessing: after some failures each attempt has to wait, with doubling delays."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """The number of failures without a delay, and the maximum delay."""

    free: int
    most_seconds: float


@dataclass(slots=True)
class _Failures:
    count: int
    last_at: float


#: One address, or one browser with an earlier session.
ONE = Pace(free=5, most_seconds=60)
#: All unknown clients together. The delay stays short: the owner must be able to log in while others guess.
ALL = Pace(free=20, most_seconds=2)
#: Failures expire after this time without a new one.
_FORGOTTEN_SECONDS = 900
_MOST_KEYS = 10_000


class Throttle:
    """Delays by key and over all keys. Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all = _Failures(0, 0)
        self._by_key: dict[str, _Failures] = {}

    def wait_seconds(self, key: str, *, alone: bool = False) -> float:
        """Seconds until the next attempt of the key. `alone`: ignores failures of other keys."""
        now = self._clock()
        waits = [_wait(self._by_key.get(key), ONE, now)]
        if not alone:
            waits.append(_wait(self._all, ALL, now))
        return max(waits)

    def failed(self, key: str) -> None:
        """Counts a failed attempt. Do not call it for attempts that were rejected because of a delay."""
        now = self._clock()
        self._all = _more(self._all, now)
        self._by_key[key] = _more(self._by_key.pop(key, None), now)  # moved to the end: the first key is the oldest
        while len(self._by_key) > _MOST_KEYS:
            del self._by_key[next(iter(self._by_key))]

    def succeeded(self, key: str) -> None:
        """Resets the failures of the key."""
        self._by_key.pop(key, None)


def _more(failures: _Failures | None, now: float) -> _Failures:
    if failures is None or now - failures.last_at > _FORGOTTEN_SECONDS:
        return _Failures(1, now)
    return _Failures(failures.count + 1, now)


def _wait(failures: _Failures | None, pace: Pace, now: float) -> float:
    if failures is None or failures.count <= pace.free or now - failures.last_at > _FORGOTTEN_SECONDS:
        return 0
    # 2 ** 20 seconds exceed every maximum.
    wait = min(pace.most_seconds, 2.0 ** min(failures.count - pace.free - 1, 20))
    return max(0, failures.last_at + wait - now)
