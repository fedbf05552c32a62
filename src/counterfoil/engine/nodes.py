"""Determines which processes are alive. On one machine, each process holds a file lock while it lives.

The lock is released when the process ends, however it ends, and no other process can get the same name. Unlike a
process id, it can't mistake one process for another. If machines share a state, processes also send heartbeats to it.
"""

from __future__ import annotations

import os
import platform
import secrets
import threading
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal, Protocol

from filelock import FileLock

from counterfoil.errors import CounterfoilError
from counterfoil.file_locks import try_lock
from counterfoil.logging import get_logger

#: `serve` lives until the service stops; `run` ends with its run.
Role = Literal["serve", "run"]

_log = get_logger("engine")


class Registry(Protocol):
    """The registry of the processes of several machines: `state.nodes.Nodes`."""

    def beat(self, node: str, role: str) -> bool: ...

    def leave(self, node: str) -> None: ...

    def alive(self, role: str | None = None) -> set[str]: ...

    def dead(self, known: Collection[str] = ()) -> AbstractContextManager[set[str]]: ...


def this_host() -> str:
    """The name of this machine, as it appears in the ids of its processes."""
    return "".join(c if c.isalnum() else "-" for c in platform.node()) or "host"


def host_of(node: str) -> str:
    """The machine of a process."""
    return node.split("-", 1)[-1].rsplit("-", 2)[0]


class Node:
    """This process, among those that use the same folder."""

    def __init__(self, folder: Path, *, role: Role = "serve") -> None:
        #: Unique for each process, to distinguish the attempts of a dead process from this one's.
        self.id = f"{role}-{this_host()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._folder = folder
        self._lock: FileLock | None = None

    def join(self) -> None:
        """Marks this process as alive."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(self.id)
        while not path.exists():  # another process may have removed it as dead before it was locked
            if self._lock is not None:
                self._lock.release()
            self._lock = FileLock(path, thread_local=False)
            self._lock.acquire()

    def leave(self) -> None:
        """Marks this process as ended. Its file stays, because another process may have to resume its attempts."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def others(self, role: Role | None = None) -> int:
        """The number of other processes that are alive, of one role or of both."""
        start = "" if role is None else f"{role}-"
        return sum(1 for name in self._files() if name.startswith(start) and self._take(name) is None)

    @contextmanager
    def dead(self, executors: Collection[str], *, unknown: bool) -> Iterator[set[str]]:
        """The dead processes, which no other process gets from this method within the block.

        With `unknown`, processes of `executors` without a file here count as dead. The files of dead processes are
        removed after the block.
        """
        files = self._files()
        held = {name: lock for name in files if (lock := self._take(name, keep=True))}
        try:
            yield set(held) | (set(executors) - files - {self.id} if unknown else set())
            for name in held:
                self._path(name).unlink(missing_ok=True)
        finally:
            for lock in held.values():
                lock.release()

    def _files(self) -> set[str]:
        return {path.stem for path in self._folder.glob("*.lock")} - {self.id}

    def _take(self, name: str, *, keep: bool = False) -> FileLock | None:
        lock = try_lock(self._path(name))
        if lock is not None and not keep:
            lock.release()
        return lock

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


class SharedNode(Node):
    """A node of several machines that share a state: processes of other machines count as dead after a minute."""

    def __init__(self, folder: Path, registry: Registry, *, role: Role = "serve", beat_seconds: float) -> None:
        super().__init__(folder, role=role)
        self._role = role
        self._registry = registry
        self._beat_seconds = beat_seconds
        self._leaving = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def join(self) -> None:
        super().join()
        self._registry.beat(self.id, self._role)
        if not self._heart.is_alive():
            self._heart.start()

    def leave(self) -> None:
        self._leaving.set()
        if self._heart.is_alive():
            self._heart.join(self._beat_seconds)
        self._registry.leave(self.id)
        super().leave()

    def others(self, role: Role | None = None) -> int:
        return len(self._registry.alive(role) - {self.id})

    @contextmanager
    def dead(self, executors: Collection[str], *, unknown: bool) -> Iterator[set[str]]:
        with super().dead(executors, unknown=unknown) as here, self._registry.dead(here) as found:
            yield found - {self.id}

    def _beat(self) -> None:
        while not self._leaving.wait(self._beat_seconds):
            try:
                if not self._registry.beat(self.id, self._role):
                    _log.warning("this process was considered dead and its runs were reassigned", node=self.id)
            except CounterfoilError as error:
                _log.warning("heartbeat of this process failed", node=self.id, error=str(error))
