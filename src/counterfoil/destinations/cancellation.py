"""Cancellation: a long statement, or a wait for a lock, ends soon after a stop is requested."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from counterfoil.destinations.protocol import Stop
from counterfoil.errors import RunError

_ASKED_SECONDS = 0.25
#: An interrupt between two statements has no effect, so it is repeated.
_REPEATED_SECONDS = 0.05


def check_stop(stop: Stop | None) -> None:
    """Raises RunError if a stop is requested."""
    if stop is not None and stop():
        raise RunError("the load was canceled", hint="The table is unchanged.", code="load_canceled")


@contextmanager
def stoppable(interrupt: Callable[[], None], stop: Stop | None) -> Iterator[None]:
    """Interrupts the block when `stop` returns True, and then raises RunError in place of any other error.

    An error that `stop` raises also ends the block, and is raised.
    """
    if stop is None:
        yield
        return
    check_stop(stop)
    ended = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="stopping") as threads:
        watch = threads.submit(_watch, interrupt, stop, ended)
        try:
            yield
        finally:
            ended.set()
            if watch.result():
                raise RunError("the load was canceled", hint="The table is unchanged.", code="load_canceled")


def _watch(interrupt: Callable[[], None], stop: Stop, ended: threading.Event) -> bool:
    """Whether a stop was requested before the block ended."""
    try:
        while not ended.wait(_ASKED_SECONDS):
            if stop():
                return True
        return False
    finally:
        while not ended.wait(_REPEATED_SECONDS):
            interrupt()


@contextmanager
def taken(lock: threading.Lock, stop: Stop | None) -> Iterator[None]:
    """Holds the lock. Raises RunError if a stop is requested before the lock is free."""
    while not lock.acquire(timeout=_ASKED_SECONDS):
        check_stop(stop)
    try:
        yield
    finally:
        lock.release()
