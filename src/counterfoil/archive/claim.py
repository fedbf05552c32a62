"""The folder of a run's archive: one process at a time, and gone when the run has ended."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from counterfoil.errors import SettingsError


@contextmanager
def claim(root: Path, name: str) -> Iterator[Path]:
    """An empty folder `root/name` that no other process uses, removed at the end.

    What a killed process left there is removed first. When a living one works there, the folder gets a name of its own.
    SettingsError when the folder can't be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _lock(root, name)
    except OSError as error:
        raise SettingsError(
            f"The archive folder {root} can't be used: {error.strerror or error}",
            hint="Choose another with COUNTERFOIL_HOME or COUNTERFOIL_ARCHIVE_PATH.",
        ) from error
    folder = Path(lock.lock_file).with_suffix("")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _lock(root: Path, name: str) -> FileLock:
    lock = FileLock(root / f"{name}.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        lock = FileLock(root / f"{name}-{secrets.token_hex(4)}.lock", blocking=False)
        lock.acquire()
    return lock
