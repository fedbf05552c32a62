"""The one mapping from what the operating system says of the archive's disk to our errors."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from counterfoil.errors import RunError

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


def sync_folder(folder: Path) -> None:
    """Makes the names in the folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
