"""Folders for as long as they are used: a later one takes away what a process left that was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def scratch(below: Path) -> Iterator[Path]:
    """A new folder, which goes with all that is in it when the block or the process ends."""
    below.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    mark, folder = below / f"{name}.lock", below / name
    with (below / "lock").open("a") as making:
        # Nobody takes away a folder whose maker has not locked its mark yet.
        fcntl.flock(making, fcntl.LOCK_EX)
        _sweep(below)
        held = os.open(mark, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        mark.unlink(missing_ok=True)
        os.close(held)


class SharedScratch:
    """One such folder for all who hold it at the same time."""

    def __init__(self, below: Path) -> None:
        self._below = below
        self._guard = threading.Lock()
        self._users = 0
        self._folder = Path()
        self._made = ExitStack()

    @contextmanager
    def held(self) -> Iterator[Path]:
        """The folder, which goes with the last of its users."""
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


def _sweep(below: Path) -> None:
    for mark in below.glob("*.lock"):
        with mark.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(below / mark.stem, ignore_errors=True)
            mark.unlink(missing_ok=True)
