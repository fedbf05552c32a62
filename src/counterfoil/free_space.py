"""Free space on the disk of a folder, where the file system reports it."""

from __future__ import annotations

import shutil
from pathlib import Path


def lacks_space(folder: Path, megabytes: int) -> int | None:
    """Free megabytes on the disk of the folder, if they are fewer than `megabytes`; otherwise None.

    The folder need not exist. None also if the file system does not report its free space, or reports a size of zero,
    as some network mounts do.
    """
    existing = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    try:
        usage = shutil.disk_usage(existing)
    except OSError:
        return None
    free = usage.free // 2**20
    return free if usage.total > 0 and free < megabytes else None
