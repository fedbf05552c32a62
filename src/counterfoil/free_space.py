"""Free space of the disk that a folder is on, as far as its file system says."""

from __future__ import annotations

import shutil
from pathlib import Path


def lacks_space(folder: Path, megabytes: int) -> int | None:
    """Megabytes that are free where the folder is, or would be, if they are fewer; None if enough, or if unknown.

    File systems that cannot be asked, or say that they have no size at all, as some network mounts do, are unknown.
    """
    there = next((place for place in (folder, *folder.absolute().parents) if place.exists()), folder)
    try:
        usage = shutil.disk_usage(there)
    except OSError:
        return None
    free = usage.free // 2**20
    return free if usage.total > 0 and free < megabytes else None
