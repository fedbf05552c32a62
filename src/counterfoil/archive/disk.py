"""Converts errors of the operating system about the archive's disk to our exceptions."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from counterfoil.errors import RunError
from counterfoil.free_space import lacks_space

#: The codes of the errors.
DISK_FULL, NOT_WRITABLE = "archive_disk_full", "archive_not_writable"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Converts an OSError to a RunError with the folder and a hint."""
    try:
        yield
    except OSError as error:
        # pyarrow's OSError can have no errno, only the system's message.
        if error.errno in _FULL or os.strerror(errno.ENOSPC) in str(error):
            raise RunError(
                f"the disk of the archive {folder} is full",
                hint="Free some disk space, or set COUNTERFOIL_ARCHIVE_PATH to a folder on a larger disk.",
                code=DISK_FULL,
            ) from error
        raise RunError(
            f"the archive {folder} cannot be written: {error.strerror or error}",
            hint="Check that the folder exists and is writable, or set COUNTERFOIL_ARCHIVE_PATH to another folder.",
            code=NOT_WRITABLE,
        ) from error


def check_place(folder: Path, free_megabytes: int) -> None:
    """Raises RunError if an archive cannot be written in the folder, as far as that can be checked without writing."""
    found = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    if not found.is_dir() or not os.access(found, os.W_OK | os.X_OK):
        raise RunError(
            f"the archive {folder} cannot be written: {found} is not {'writable' if found.is_dir() else 'a folder'}",
            hint="Check the permissions of the folder, or set COUNTERFOIL_ARCHIVE_PATH to another folder.",
            code=NOT_WRITABLE,
        )
    if (free := lacks_space(folder, free_megabytes)) is not None:
        raise RunError(
            f"the disk of the archive {folder} has {free} MB of free space; at least {free_megabytes} MB are required",
            hint="Free some disk space, or set COUNTERFOIL_ARCHIVE_PATH to a folder on a larger disk.",
            code=DISK_FULL,
        )


def sync_folder(folder: Path) -> None:
    """Makes the folder's entries durable across a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
