"""The folder of a run's archive: used by one process at a time, removed on success, kept for some time on failure."""

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

#: The archive of a failed pull is removed after a week.
KEPT_SECONDS = 7 * 86_400


@contextmanager
def claim(root: Path, name: str, *, keep: bool = False) -> Iterator[Path]:
    """A folder `root/name` that no other process uses; removed if the block succeeds or leaves no pages.

    Unless `keep` is set, files of an earlier run are removed first. If another process uses that folder, this one gets
    a different name and is always removed at the end. SettingsError if the folder can't be created.
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
            f"the archive folder {root} can't be used: {error.strerror or error}",
            hint="Set COUNTERFOIL_HOME or COUNTERFOIL_ARCHIVE_PATH to another folder.",
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
    """Removes the old folders of failed or killed pulls, except folders that a process uses."""
    for folder in {left.with_suffix("") for left in root.glob("pull-*")}:
        if now - _touched_at(folder) > KEPT_SECONDS:
            remove_unless_locked(folder)


def _touched_at(folder: Path) -> float:
    try:
        looked_at = (Path(f"{folder}.lock"), folder, *folder.glob("*"))
        return max(path.stat().st_mtime for path in looked_at if path.exists())
    except (OSError, ValueError):
        return inf  # removed in the meantime


def _sweep_beside(root: Path, name: str) -> None:
    """Removes the folders of killed processes that ran next to another one; they are never resumed."""
    for left in root.glob(f"{name}-*.lock"):
        remove_unless_locked(left.with_suffix(""))


def _lock(root: Path, name: str) -> tuple[FileLock, bool]:
    """The lock of the folder to use, and whether another process uses the folder with the original name."""
    shared, path = False, root / f"{name}.lock"
    while (lock := try_lock(path)) is None:
        shared, path = True, root / f"{name}-{secrets.token_hex(4)}.lock"
    return lock, shared
