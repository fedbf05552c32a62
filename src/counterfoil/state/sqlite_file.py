"""A SQLite file of ours: made for its user alone, and never opened beside SQLite."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def make_file(path: Path) -> None:
    """Makes the file if it is not there; OSError when it can't be made or written.

    SQLite gives the files that it makes beside this one the same mode. A file that is there is not opened: whoever
    closes a file loses all locks that the process has on it, those of SQLite's connections too, and another process
    would take away the log that these write into (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None
