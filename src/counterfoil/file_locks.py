"""File locks between processes. The operating system releases a lock when its process ends, even after a crash."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout


def try_lock(path: Path) -> FileLock | None:
    """The acquired lock; None if another process or thread holds it. Creates the file."""
    # No fallback to marker files on file systems without locks: a marker outlives its process.
    lock = FileLock(path, blocking=False, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def remove_unless_locked(folder: Path) -> None:
    """Removes a folder and its lock `<folder>.lock`, unless a process holds that lock."""
    path = Path(f"{folder}.lock")
    with suppress(OSError):
        if lock := try_lock(path):
            try:
                shutil.rmtree(folder, ignore_errors=True)
                path.unlink(missing_ok=True)
            finally:
                lock.release()
