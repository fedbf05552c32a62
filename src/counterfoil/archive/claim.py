"""The folder of a run's archive: one process at a time, gone when the run has succeeded, kept for a while if not."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path

from filelock import FileLock

from counterfoil.archive.spool import has_pages
from counterfoil.errors import SettingsError
from counterfoil.file_locks import remove_unless_locked, try_lock

#: What a failed pull left is swept up after a week.
KEPT_SECONDS = 7 * 86_400


@contextmanager
def claim(root: Path, name: str, *, keep: bool = False) -> Iterator[Path]:
    """A folder `root/name` that no other process uses; it is removed when the block ends well, or without a page.

    What an earlier run left there is removed first, unless it is to be kept. While another process works there, the
    folder gets a name of its own, and nobody will look for what is in it. SettingsError when it can't be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock, shared = _lock(root, name)
        folder = Path(lock.lock_file).with_suffix("")
        try:
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)
            if not shared:
                _sweep_beside(root, name)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            lock.release()
            raise
    except OSError as error:
        raise SettingsError(
            f"The archive folder {root} can't be used: {error.strerror or error}",
            hint="Choose another with COUNTERFOIL_HOME or COUNTERFOIL_ARCHIVE_PATH.",
        ) from error
    ended_well = False
    try:
        yield folder
        ended_well = True
    finally:
        if ended_well or shared or not has_pages(folder / "pages.spool"):
            shutil.rmtree(folder, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def sweep(root: Path, *, now: float) -> None:
    """Removes the folders of pulls that failed or were killed long ago; those that a process holds stay."""
    for folder in {left.with_suffix("") for left in root.glob("pull-*")}:
        if now - _touched_at(folder) > KEPT_SECONDS:
            remove_unless_locked(folder)


def _touched_at(folder: Path) -> float:
    try:
        looked_at = (Path(f"{folder}.lock"), folder, *folder.glob("*"))
        return max(path.stat().st_mtime for path in looked_at if path.exists())
    except (OSError, ValueError):
        return inf  # it went away meanwhile


def _sweep_beside(root: Path, name: str) -> None:
    """Removes what processes left that were killed beside another one: nobody will look for it."""
    for left in root.glob(f"{name}-*.lock"):
        remove_unless_locked(left.with_suffix(""))


def _lock(root: Path, name: str) -> tuple[FileLock, bool]:
    """The lock of the folder to use, and whether its own name is in use by another process."""
    shared, path = False, root / f"{name}.lock"
    while (lock := try_lock(path)) is None:
        shared, path = True, root / f"{name}-{secrets.token_hex(4)}.lock"
    return lock, shared
