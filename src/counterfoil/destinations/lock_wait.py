"""Waiting for a lock of another process: with growing pauses, up to a limit, and with one report of the holder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from counterfoil.destinations.cancellation import check_stop
from counterfoil.destinations.protocol import Progress, Stop
from counterfoil.errors import DestinationBusy
from counterfoil.file_locks import try_lock
from counterfoil.logging import get_logger

_log = get_logger(__name__)
_Taken = TypeVar("_Taken")


class Locked(Exception):  # noqa: N818 - never leaves this package
    """Raised by an attempt while another process has the lock; the text names that process."""


def wait_for(
    attempt: Callable[[], _Taken],
    place: str,
    busy_seconds: float,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> _Taken:
    """Repeats `attempt` until it does not raise Locked. DestinationBusy names the holder when the time is up."""
    until = time.monotonic() + busy_seconds
    pause = 0.05
    reported = False
    while True:
        check_stop(stop)
        try:
            return attempt()
        except Locked as held:
            left = until - time.monotonic()
            if left <= 0:
                raise DestinationBusy(
                    f"{place} is held by {held}",
                    waited_seconds=busy_seconds,
                    hint="Close that program, or try again later.",
                ) from held
            if not reported:
                reported = True
                _log.info("waiting for the destination", place=place, holder=str(held))
                if progress:
                    progress(f"waiting for {place}, which is held by {held}")
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 1)


@contextmanager
def file_locked(
    path: Path, place: str, busy_seconds: float, progress: Progress | None = None, stop: Stop | None = None
) -> Iterator[None]:
    """Locks a file against other threads and processes of this machine; creates the file if it is missing.

    The file holds the id of the process that locked it last, for messages that name the holder.
    """

    def attempt() -> FileLock:
        if lock := try_lock(path):
            return lock
        holder = path.read_bytes()
        raise Locked(program_of(int(holder)) if holder.isdigit() else "another process")

    lock = wait_for(attempt, place, busy_seconds, progress, stop)
    try:
        path.write_bytes(str(os.getpid()).encode())
        yield
    finally:
        lock.release()


def program_of(pid: int, otherwise: str = "another process") -> str:
    """`name (PID n)`, with the name from /proc if available."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        command = []
    # The first two arguments are the program and its script; later ones may contain anything.
    words = [Path(word.decode(errors="replace")).name for word in command[:2] if word and not word.startswith(b"-")]
    return f"{' '.join(words) or otherwise} (PID {pid})"
