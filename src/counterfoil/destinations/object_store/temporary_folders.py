"""Temporary folders. Creating one removes those of killed processes."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from counterfoil.file_locks import remove_unless_locked, try_lock


@contextmanager
def scratch(below: Path) -> Iterator[Path]:
    """A new folder, removed with its contents when the block ends, or later if the process is killed."""
    below.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in below.glob("*.lock"):
        remove_unless_locked(left.with_suffix(""))
    # Another process may remove the lock file before it is locked.
    while (lock := try_lock(mark := below / f"{uuid.uuid4().hex}.lock")) is None:
        pass
    folder = mark.with_suffix("")
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        mark.unlink(missing_ok=True)
        lock.release()


class SharedScratch:
    """One such folder, shared by all concurrent users."""

    def __init__(self, below: Path) -> None:
        self._below = below
        self._guard = threading.Lock()
        self._users = 0
        self._folder = Path()
        self._made = ExitStack()

    @contextmanager
    def held(self) -> Iterator[Path]:
        """The folder, which is removed after its last user."""
        with self._guard:
            if not self._users:
                self._folder = self._made.enter_context(scratch(self._below))
            self._users += 1
        try:
            yield self._folder
        finally:
            with self._guard:
                self._users -= 1
                if not self._users:
                    self._made.close()
