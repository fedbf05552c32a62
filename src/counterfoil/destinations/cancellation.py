"""Giving up: a long statement, or a wait for a lock, ends soon after somebody asked for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from counterfoil.destinations.protocol import Stop
from counterfoil.errors import RunError

_ASKED_SECONDS = 0.25
#: An interrupt between two statements is lost, so that it is repeated.
_REPEATED_SECONDS = 0.05


def check_stop(stop: Stop | None) -> None:
    """Raises when it is time to give up."""
    if stop is not None and stop():
        raise RunError("the load was stopped", hint="The table is as it was.")


@contextmanager
def stoppable(interrupt: Callable[[], None], stop: Stop | None) -> Iterator[None]:
    """Interrupts the block when `stop` says so, which is then what it raises, whatever else it raised.

    A `stop` that raises ends the block too, with what it raised.
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
                raise RunError("the load was stopped", hint="The table is as it was.")


def _watch(interrupt: Callable[[], None], stop: Stop, ended: threading.Event) -> bool:
    """Whether the block was told to stop before it ended."""
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
    """Holds the lock, unless it is time to give up before it is free."""
    while not lock.acquire(timeout=_ASKED_SECONDS):
        check_stop(stop)
    try:
        yield
    finally:
        lock.release()
