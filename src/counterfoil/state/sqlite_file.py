"""Creates SQLite files that only their user can access, without opening existing ones."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def make_file(path: Path) -> None:
    """Creates the file if it does not exist; OSError if it can't be created or written.

    SQLite gives the files that it creates next to this one the same mode. An existing file is not opened: closing it
    would release all locks of this process on it, including those of SQLite's connections, and another process could
    then delete the log that these write to (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None
