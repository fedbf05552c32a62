"""Parquet files in an object store: a folder for each table, with a manifest that lists the table's files."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Unpack
from urllib.parse import unquote

import duckdb
import pyarrow as pa

from counterfoil.destinations.cancellation import stoppable
from counterfoil.destinations.files.columns import Columns
from counterfoil.destinations.files.table_record import Record, loaded, next_record
from counterfoil.destinations.lock_wait import Locked, wait_for
from counterfoil.destinations.object_store.kind import OBJECT_STORE
from counterfoil.destinations.object_store.manifest import Entry, Manifest
from counterfoil.destinations.object_store.store import Store
from counterfoil.destinations.object_store.tables import ObjectTable
from counterfoil.destinations.object_store.temporary_folders import SharedScratch, scratch
from counterfoil.destinations.object_store.url import store_address
from counterfoil.destinations.parquet.methods import apply
from counterfoil.destinations.parquet.rebuild import rebuild
from counterfoil.destinations.parquet.reused_files import ReusedFile, rows_of
from counterfoil.destinations.protocol import (
    REPLAY,
    Guard,
    LoadHooks,
    Progress,
    Stop,
    check_load,
    not_ours,
    rebuilt,
    same_name,
)
from counterfoil.destinations.query_check import adds_up
from counterfoil.destinations.sql.database import in_memory
from counterfoil.destinations.sql.errors import mapped
from counterfoil.destinations.sql.query import batches_of, described, querying, select
from counterfoil.destinations.sql.text import parts_source, quoted
from counterfoil.errors import DestinationRejected, RunError
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Part

#: The result of building a version: its columns, its counts, and the paths of files that stay.
_Made = tuple[list[tuple[str, str]], Loaded, set[str]]


class ObjectParquetDestination:
    """Tables as Parquet files in S3, Google Cloud Storage or Azure. Versions are built in a local folder."""

    kind = OBJECT_STORE

    def __init__(self, url: str, settings: Settings) -> None:
        place = store_address(url)
        self.name = place.name
        self._monthly = place.monthly
        self._store = Store(place)
        self._archive = settings.archive.resolve()
        self._scratch = settings.home.resolve() / "scratch"
        self._busy_seconds = settings.busy_seconds
        self._megabytes = settings.duckdb_megabytes
        self._fetched_files = SharedScratch(self._scratch)

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], **hooks: Unpack[LoadHooks]) -> Loaded:
        check_load(load, schema, self.kind)

        def make(cursor: duckdb.DuckDBPyConnection, kept: list[ReusedFile], present: Columns, folder: Path) -> _Made:
            into = _made(folder / "next")
            applied = apply(
                cursor,
                load,
                schema,
                parts,
                self._archive,
                kept,
                present,
                into,
                monthly=self._monthly,
                stop=hooks.get("stop"),
            )
            return applied.columns, applied.loaded, {file.name for file in applied.carried}

        return self._next_version(load, load.method, make, **hooks)

    def replay(
        self, loads: Sequence[tuple[Load, Sequence[Part]]], schema: pa.Schema, *, run: str, **hooks: Unpack[LoadHooks]
    ) -> Loaded:
        whole = rebuilt(loads, run)

        def make(cursor: duckdb.DuckDBPyConnection, kept: list[ReusedFile], _: Columns, folder: Path) -> _Made:
            into, steps = _made(folder / "next"), _made(folder / "steps")
            columns = rebuild(
                cursor,
                loads,
                whole,
                schema,
                self._archive,
                self.kind,
                steps,
                into,
                monthly=self._monthly,
                stop=hooks.get("stop"),
            )
            rows = rows_of(into.rglob("*.parquet"))
            return columns, Loaded(rows=rows, added=rows, deleted=sum(file.rows for file in kept)), set()

        return self._next_version(whole, REPLAY, make, **hooks)

    def check(self) -> None:
        self._store.folders()

    def drop(self, table: str) -> bool:
        found = ObjectTable(self._store, table)
        with self._alone(found, None, None):
            current = found.latest()
            if current is None and found.theirs():
                raise not_ours(table, self.name)
            if current is None or current.dropped:
                return False
            found.drop(current)
            return True

    def has_load(self, load: Load) -> bool:
        return loaded(self._record(load.table), load.run) is not None

    def columns(self, table: str) -> tuple[tuple[str, str], ...] | None:
        record = self._record(table)
        if record is not None:
            return tuple(record.columns)
        with self._fetched(table) as files:
            if not files:
                return None
            with mapped(self.name), in_memory([self._scratch], self._scratch / "spill", self._megabytes) as cursor:
                return described(cursor, files)

    def rows(self, table: str) -> int | None:
        record = self._record(table)
        if record is not None:
            return record.rows
        with self._fetched(table) as files:
            return rows_of(files) if files else None

    def scopes(self, table: str) -> tuple[Mapping[str, Any], ...] | None:
        record = self._record(table)
        return record.scopes() if record else None

    def query(self, sql: str, *, seconds: float | None = None) -> pa.RecordBatchReader:
        late = None if seconds is None else time.monotonic() + seconds
        with ExitStack() as stack:
            folder = stack.enter_context(self._fetched_files.held())
            spill = folder / f"spill-{uuid.uuid4().hex}"
            cursor = stack.enter_context(in_memory([folder], spill, self._megabytes))
            stack.enter_context(querying(cursor, seconds))
            for name in self._asked(cursor, sql):
                table = ObjectTable(self._store, name)
                files = self._copies(table, folder, lambda: late is not None and time.monotonic() > late)
                if files:
                    with mapped(self.name):
                        cursor.execute(f"CREATE VIEW {quoted(name)} AS SELECT * FROM {parts_source(files)}")  # noqa: S608
            reader = select(cursor, sql)
            return pa.RecordBatchReader.from_batches(reader.schema, batches_of(reader, stack.pop_all()))

    def adds_up(self, sql: str) -> frozenset[str]:
        return adds_up(sql)

    def holding(self, *_: object) -> AbstractContextManager[object]:
        """Keeps fetched files for later calls."""
        return self._fetched_files.held()

    def close(self) -> None:
        """Nothing is held between calls."""

    def _next_version(
        self,
        load: Load,
        method: str,
        make: Callable[[duckdb.DuckDBPyConnection, list[ReusedFile], Columns, Path], _Made],
        progress: Progress | None = None,
        guard: Guard | None = None,
        stop: Stop | None = None,
    ) -> Loaded:
        """Builds the files locally, uploads them, and then publishes the manifest that makes them the table."""
        table = ObjectTable(self._store, load.table)
        with self._alone(table, progress, stop), scratch(self._scratch) as folder, mapped(str(self._scratch)):
            latest = table.latest()
            current = None if latest is None or latest.dropped else latest
            record = current.record if current else None
            before = loaded(record, load.run)
            if before is not None:
                return before
            theirs = [] if current else self._overwritable(table, load)
            number = latest.number + 1 if latest else 1
            with (
                in_memory([self._archive, folder], folder / "spill", self._megabytes) as cursor,
                stoppable(cursor.interrupt, stop),
            ):
                kept = self._kept(table, current, theirs, folder, stop)
                present: Columns = record.columns if record else ()
                if theirs:
                    present = described(cursor, [file.fetch() for file in kept])
                columns, done, names = make(cursor, kept, present, folder)
                fresh = table.upload(folder / "next", number, load.created, stop)
            before_it = current.files if current else [_entry(file) for file in kept]
            stay = [entry for entry in before_it if entry.path in names]
            entries = sorted([*stay, *fresh], key=lambda entry: entry.path)
            rows = sum(entry.rows for entry in entries)
            made = next_record(record, load, columns, rows, done, method)
            manifest = Manifest(number, made, entries, after=latest.id if latest else "")
            with ExitStack() as undo:
                undo.callback(table.discard, fresh)
                if guard is not None:
                    guard()
                undo.pop_all()
            table.publish(manifest)
            table.sweep(manifest, current)
            if theirs:
                table.remove(sorted(set(theirs) - manifest.paths))
        return done

    def _overwritable(self, table: ObjectTable, load: Load) -> list[str]:
        """Existing files with the table's name that the load may overwrite; rejects any others."""
        theirs = table.theirs()
        if theirs and not load.overwrite:
            raise not_ours(load.table, self.name)
        if not all(path.endswith(".parquet") for path in theirs):
            raise DestinationRejected(
                f"{table.place} contains more than Parquet files and was not overwritten",
                hint="Choose another table, or remove this one manually.",
                code="table_not_overwritten",
            )
        return theirs

    def _kept(
        self, table: ObjectTable, current: Manifest | None, theirs: list[str], folder: Path, stop: Stop | None
    ) -> list[ReusedFile]:
        def fetch(path: str) -> Path:
            to = folder / "kept" / path
            return to if to.exists() else table.fetch(path, to, stop)

        if current is None:
            return [ReusedFile(path, rows_of([fetch(path)]), partial(fetch, path)) for path in theirs]
        return [ReusedFile(entry.path, entry.rows, partial(fetch, entry.path), entry.span) for entry in current.files]

    def _asked(self, cursor: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
        """The tables of the destination that a query names."""
        try:
            # DuckDB omits names that it has itself, such as sqlite_master.
            named = {same_name(name) for name in cursor.get_table_names(sql)}
        except duckdb.Error:
            # An invalid query raises its error later, when it runs.
            return []
        there = map(unquote, self._store.folders())
        return [
            name
            for name in there
            if same_name(name) in named or (same_name(name).startswith("sqlite_") and name in sql)
        ]

    def _copies(self, table: ObjectTable, folder: Path, stop: Stop) -> list[Path]:
        """Local copies of the table's files; none if there is no table."""
        current = table.current()
        paths = [entry.path for entry in current.files] if current else table.theirs()
        files = []
        for path in paths:
            if path.endswith(".parquet"):
                to = folder / table.folder / path
                try:
                    files.append(to if to.exists() else table.fetch(path, to, stop))
                except RunError as error:
                    if stop():
                        raise RunError(
                            "the query took too long", hint="Select fewer rows.", code="query_timeout"
                        ) from error
                    raise
        return files

    @contextmanager
    def _fetched(self, table: str) -> Iterator[list[Path]]:
        with self._fetched_files.held() as folder:
            yield self._copies(ObjectTable(self._store, table), folder, lambda: False)

    @contextmanager
    def _alone(self, table: ObjectTable, progress: Progress | None, stop: Stop | None) -> Iterator[None]:
        """Serializes the loads of this process into one table."""
        with _locks_guard:
            lock = _locks.setdefault(table.place, threading.Lock())

        def take() -> None:
            if not lock.acquire(blocking=False):
                raise Locked("another load of this process")

        wait_for(take, table.place, self._busy_seconds, progress, stop)
        try:
            yield
        finally:
            lock.release()

    def _record(self, table: str) -> Record | None:
        current = ObjectTable(self._store, table).current()
        return current.record if current else None


def _entry(file: ReusedFile) -> Entry:
    return Entry(file.name, file.rows, file.fetch().stat().st_size, file.span)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


_locks: dict[str, threading.Lock] = {}
_locks_guard = threading.Lock()


def open_url(url: str, _relative_to: Path, settings: Settings) -> ObjectParquetDestination:
    """The destination of a URL `s3://…`, `gs://…`, `az://…`, or of another scheme of these stores."""
    return ObjectParquetDestination(url, settings)
