"""DuckDB files: opened on demand, once per process, and waited for while another process holds them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb

from counterfoil.destinations.cancellation import stoppable, taken
from counterfoil.destinations.lock_wait import Locked, wait_for
from counterfoil.destinations.protocol import Guard, Progress, Stop
from counterfoil.destinations.sql.errors import error_of, holder_of, mapped
from counterfoil.destinations.sql.text import literal
from counterfoil.errors import FOLDER_MISSING, DestinationBusy, DestinationRejected
from counterfoil.logging import get_logger

_log = get_logger(__name__)

_CONFIG = {
    "threads": "2",
    # New files can be opened by DuckDB 1.4 and later.
    "storage_compatibility_version": "v1.4.0",
    # Never download extensions, and never read Python variables as tables.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
#: Memory limit of DuckDB, which it can exceed.
MEGABYTES = 160
_OTHERS = ((b"SQLite format 3", "an SQLite database"), (b"PAR1", "a Parquet file"), (b"", "not a DuckDB database"))


class DatabaseFile:
    """One file. Its users share one connection, which the last of them closes."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        self._megabytes = megabytes
        #: Held during a load, so that loads into one file run one after the other.
        self.loading = threading.Lock()
        self._guard = threading.Lock()
        self._users = 0
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._readable: Sequence[Path] | None = None

    @contextmanager
    def held(
        self,
        readable: Sequence[Path],
        busy_seconds: float = 0,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor on the file, which can read other files only below the `readable` folders."""
        with taken(self._guard, stop):
            if self._connection is None:
                place = str(self.path)
                self._connection = wait_for(lambda: self._attempt(readable), place, busy_seconds, progress, stop)
                self._readable = readable
            elif self._readable != readable:
                raise DestinationBusy(f"{self.path} is in use by a load from another archive", hint="Try again later.")
            self._users += 1
            cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()
            self._release()

    def check(self) -> None:
        """Raises what opening the file for a load would raise, as far as is known without opening it.

        The file is not inspected while this process has it open or is opening it. Reading and closing the file would
        release DuckDB's lock on it, and another process could then write to it.
        """
        if self._guard.acquire(blocking=False):
            try:
                if self._connection is None:
                    self._inspect()
            finally:
                self._guard.release()
        for place in (self.path.parent, self.path):
            if place.exists() and not os.access(place, os.W_OK):
                raise DestinationRejected(
                    f"{place} is not writable",
                    hint="Check the permissions: the file and its folder must both be writable.",
                    code="not_writable",
                )

    def _release(self) -> None:
        with self._guard:
            self._users -= 1
            if self._users == 0 and self._connection is not None:
                connection, self._connection = self._connection, None
                connection.close()

    def _attempt(self, readable: Sequence[Path]) -> duckdb.DuckDBPyConnection:
        try:
            self._inspect()
            return _connect(str(self.path), readable, self._megabytes)
        except (duckdb.Error, OSError) as error:
            if (holder := holder_of(error)) is not None:
                raise Locked(holder) from error
            raise error_of(error, str(self.path)) from error

    def _inspect(self) -> None:
        """Rejects paths that DuckDB would misread, or reject with an unhelpful message."""
        path = self.path
        if not path.parent.is_dir():
            raise DestinationRejected(
                f"{path} cannot be created: folder {path.parent} not found",
                hint=f"Create the folder: mkdir -p {path.parent}",
                code=FOLDER_MISSING,
            )
        if path.is_dir():
            raise DestinationRejected(
                f"{path} is a folder, not a file",
                hint="Choose a file in it, such as stripe.duckdb.",
                code="not_a_file",
            )
        if not path.exists():
            return
        with path.open("rb") as file:
            start = file.read(16)
        if not start:
            raise DestinationRejected(
                f"{path} is empty, not a DuckDB database", hint="Remove the file.", code="empty_file"
            )
        if start[8:12] != b"DUCK":
            kind = next(name for magic, name in _OTHERS if start.startswith(magic))
            raise DestinationRejected(f"{path} is {kind}", hint="Choose another file.", code="not_a_database")


def _connect(database: str, readable: Sequence[Path], megabytes: int, **config: str) -> duckdb.DuckDBPyConnection:
    """Opens a database, blocks access to the network and other files, and locks the settings."""
    connection = duckdb.connect(database, config=_CONFIG | {"memory_limit": f"{megabytes}MB"} | config)
    try:
        folders = ", ".join(literal(f"{folder}/") for folder in readable)
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute(f"SET allowed_directories = [{folders}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except duckdb.Error:
        connection.close()
        raise
    return connection


@contextmanager
def in_memory(readable: Sequence[Path], spill: Path, megabytes: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory connection to read and write Parquet. Data that does not fit in memory goes to `spill`."""
    connection = _connect(":memory:", readable, megabytes, temp_directory=str(spill))
    try:
        yield connection
    finally:
        connection.close()


_files: dict[Path, DatabaseFile] = {}
_files_guard = threading.Lock()


def database_file(path: Path, megabytes: int = MEGABYTES) -> DatabaseFile:
    """The one DatabaseFile of this process for the file, whichever path names it."""
    with _files_guard:
        return _files.setdefault(path.resolve(), DatabaseFile(path.resolve(), megabytes))


@contextmanager
def transaction(
    cursor: duckdb.DuckDBPyConnection, name: str, guard: Guard | None = None, stop: Stop | None = None
) -> Iterator[None]:
    """Commits if the block and the guard raise nothing; otherwise rolls everything back."""
    with mapped(name):
        cursor.execute("BEGIN TRANSACTION")
        with ExitStack() as undo:
            undo.callback(_roll_back, cursor)
            # Ends before the commit, which an interrupt must not hit.
            with stoppable(cursor.interrupt, stop):
                yield
            if guard is not None:
                guard()
            cursor.execute("COMMIT")
            undo.pop_all()


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.execute("ROLLBACK")
    except duckdb.Error as error:
        # DuckDB has already rolled back, or the database is gone; in both cases nothing was committed.
        _log.debug("rollback", error=str(error))
