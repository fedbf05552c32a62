"""The one mapping from what the operating system says of the archive's disk to our errors."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from counterfoil.errors import RunError
from counterfoil.free_space import lacks_space

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns an OSError into RunError that names the folder and what to do."""
    try:
        yield
    except OSError as error:
        # pyarrow's OSError may carry no errno, only the system's words.
        if error.errno in _FULL or os.strerror(errno.ENOSPC) in str(error):
            raise RunError(
                f"the disk of the archive {folder} is full",
                hint="Free some space there, or set COUNTERFOIL_ARCHIVE_PATH to a folder on a larger disk.",
            ) from error
        raise RunError(
            f"the archive {folder} cannot be written: {error.strerror or error}",
            hint="Check that the folder exists and may be written, or set COUNTERFOIL_ARCHIVE_PATH to another one.",
        ) from error


def check_place(folder: Path, free_megabytes: int) -> None:
    """Raises what writing an archive below the folder would, as far as that shows; makes nothing."""
    there = next((place for place in (folder, *folder.absolute().parents) if place.exists()), folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise RunError(
            f"the archive {folder} cannot be written: {there} is {'not writable' if there.is_dir() else 'no folder'}",
            hint="Check the rights of the folder, or set COUNTERFOIL_ARCHIVE_PATH to another one.",
        )
    if (free := lacks_space(folder, free_megabytes)) is not None:
        raise RunError(
            f"the disk of the archive {folder} has {free} MB of free space; at least {free_megabytes} MB are needed",
            hint="Free some space there, or set COUNTERFOIL_ARCHIVE_PATH to a folder on a larger disk.",
        )


def sync_folder(folder: Path) -> None:
    """Makes the names in the folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
