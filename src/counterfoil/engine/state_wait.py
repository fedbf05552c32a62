"""Waits for the state's database while it is unavailable, instead of failing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from counterfoil.errors import StateUnavailable
from counterfoil.logging import get_logger

T = TypeVar("T")

#: The pause between two tries.
_PAUSE_SECONDS = 1.0
#: Longer than connecting takes: a call that failed after that time had reached the state before.
_WORKED_SECONDS = 45.0

_log = get_logger("engine")


def patiently(call: Callable[[], T], seconds: float, wait: Callable[[float], bool]) -> T:
    """The result of an idempotent call, which is repeated for up to `seconds` while it raises StateUnavailable.

    `wait` pauses, and returns true to end the waiting. Then, or after `seconds`, the error is raised.
    """
    away_since: float | None = None
    while True:
        began = time.monotonic()
        try:
            return call()
        except StateUnavailable as error:
            now = time.monotonic()
            if away_since is None or now - began > _WORKED_SECONDS:
                away_since = now
                _log.warning("the state is unavailable; waiting for it", seconds=seconds, error=error.message)
            if now - away_since >= seconds or wait(_PAUSE_SECONDS):
                raise
