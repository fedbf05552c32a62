"""File locks: one holder at a time, named in errors, and released when its process ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from counterfoil.destinations.lock_wait import file_locked
from counterfoil.destinations.object_store.temporary_folders import scratch
from counterfoil.errors import DestinationBusy
from counterfoil.file_locks import remove_unless_locked, try_lock

_HOLD = """
import sys
from pathlib import Path
from counterfoil.destinations.lock_wait import file_locked
from counterfoil.destinations.object_store.temporary_folders import scratch

path = Path(sys.argv[2])
with file_locked(path, "it", 0) if sys.argv[1] == "lock" else scratch(path) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def _holding(what: str, path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that holds the lock, or a temporary folder below the path, until it is killed."""
    command = [sys.executable, "-c", _HOLD, what, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        try:
            yield holder, holder.stdout.readline().strip()
        finally:
            holder.kill()


def test_lock_has_one_holder_across_threads(tmp_path: Path) -> None:
    lock = try_lock(tmp_path / "lock")
    assert lock
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(try_lock(tmp_path / "lock"))) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    assert found == [None, None]
    lock.release()
    assert try_lock(tmp_path / "lock")


def test_error_names_holder_and_killing_it_releases_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with _holding("lock", path) as (holder, _):
        with pytest.raises(DestinationBusy, match=rf"python.* \(PID {holder.pid}\)"), _locked(path):
            pytest.fail("two processes hold one lock")
        holder.kill()
        holder.wait()
        with _locked(path):
            assert try_lock(path) is None


def _locked(path: Path) -> AbstractContextManager[None]:
    return file_locked(path, "it", 0)


def test_error_releases_lock(tmp_path: Path) -> None:
    with pytest.raises(LookupError), _locked(tmp_path / "lock"):
        raise LookupError
    assert try_lock(tmp_path / "lock")


def test_locked_folder_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    lock = try_lock(tmp_path / "folder.lock")
    assert lock
    remove_unless_locked(folder)
    assert folder.exists()
    lock.release()
    remove_unless_locked(folder)
    assert not list(tmp_path.iterdir())


def test_scratch_folder_is_removed_only_after_its_process_ended(tmp_path: Path) -> None:
    with _holding("scratch", tmp_path) as (holder, name):
        folder = Path(name)
        (folder / "part").touch()
        with scratch(tmp_path):
            assert folder.exists()
        holder.kill()
        holder.wait()
        with scratch(tmp_path) as own:
            assert not folder.exists()
            assert own.exists()
    assert not list(tmp_path.iterdir())
