"""The Delta Lake destination: a Delta table for each table, below a folder or a prefix of a bucket.

Rows are written as new Parquet files, and one commit to the table's log makes them visible, together with the record of
the load. The deltalake library commits; DuckDB reads and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import duckdb
import pyarrow as pa

from counterfoil.destinations.cancellation import stoppable
from counterfoil.destinations.delta.commit import commit
from counterfoil.destinations.delta.errors import mapped
from counterfoil.destinations.delta.files import Change, Version
from counterfoil.destinations.delta.kind import DELTA, URL
from counterfoil.destinations.delta.methods import apply
from counterfoil.destinations.delta.storage import BucketStorage, FolderStorage, Storage
from counterfoil.destinations.delta.tables import TableAt
from counterfoil.destinations.delta.url import bucket_of
from counterfoil.destinations.lock_wait import wait_for
from counterfoil.destinations.protocol import (
    REPLAY,
    Guard,
    LoadHooks,
    Progress,
    Stop,
    check_load,
    files_of,
    not_ours,
    rebuilt,
)
from counterfoil.destinations.query_check import adds_up
from counterfoil.destinations.sql.database import in_memory
from counterfoil.destinations.sql.query import batches_of, querying, schema_of, select
from counterfoil.errors import DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Part

#: Writes the files of a load into a folder, based on the table's current version.
_Build = Callable[[duckdb.DuckDBPyConnection, Version | None, Path], Change]


class DeltaDestination:
    """Tables in a local folder, or in a bucket (`s3://…`) with options for its object store."""

    kind = DELTA

    def __init__(self, storage: Storage, name: str, settings: Settings) -> None:
        self._storage = storage
        self._archive = settings.archive.resolve()
        self._busy_seconds = settings.busy_seconds
        self._megabytes = settings.duckdb_megabytes
        self.name = name

    @classmethod
    def in_folder(cls, folder: Path, settings: Settings) -> DeltaDestination:
        """Tables below a folder, whose parent folder must exist."""
        return cls(FolderStorage(folder.resolve()), f"delta:///{folder.resolve()}", settings)

    @classmethod
    def in_bucket(cls, base: str, options: Mapping[str, str], name: str, settings: Settings) -> DeltaDestination:
        """Tables below `s3://bucket/prefix`. Missing options come from the variables `AWS_…`."""
        return cls(BucketStorage(base, options, settings.home.resolve() / "delta"), name, settings)

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], **hooks: Unpack[LoadHooks]) -> Loaded:
        check_load(load, schema, self.kind)
        files = files_of(parts, self._archive)

        def build(cursor: duckdb.DuckDBPyConnection, present: Version | None, into: Path) -> Change:
            return apply(cursor, load, schema, parts, files, present, into, hooks.get("stop"))

        return self._loaded(load, load.method, build, **hooks)

    def replay(
        self, loads: Sequence[tuple[Load, Sequence[Part]]], schema: pa.Schema, *, run: str, **hooks: Unpack[LoadHooks]
    ) -> Loaded:
        whole = rebuilt(loads, run)

        def build(cursor: duckdb.DuckDBPyConnection, present: Version | None, into: Path) -> Change:
            made: Version | None = None
            for load, parts in loads:
                files = files_of(parts, self._archive)
                own = schema_of(files[0]) if files else schema
                check_load(load, own, self.kind)
                made = apply(cursor, load, own, parts, files, made, into, hooks.get("stop")).made()
            # A final append without rows adds the columns that only the schema has.
            change = apply(
                cursor, replace(whole, method="append"), schema, (), (), made, into, hooks.get("stop")
            ).made()
            done = Loaded(rows=change.rows, added=change.rows, deleted=present.rows if present else 0)
            return Change(change.columns, (), change.files, done)

        return self._loaded(whole, REPLAY, build, **hooks)

    def check(self) -> None:
        with mapped(self._storage.place):
            self._storage.check()

    def drop(self, table: str) -> bool:
        if not self._table(table).exists():
            return False
        with mapped(self._storage.place), self._storage.locked(self._busy_seconds, None, None):
            found = TableAt(self._storage, table)
            if not found.exists():
                return False
            if not found.ours:
                raise not_ours(table, self._storage.place)
            self._storage.remove(table)
            return True

    def has_load(self, load: Load) -> bool:
        return self._table(load.table).loaded(load.run) is not None

    def columns(self, table: str) -> tuple[tuple[str, str], ...] | None:
        return self._table(table).columns()

    def rows(self, table: str) -> int | None:
        return self._table(table).rows()

    def scopes(self, table: str) -> tuple[Mapping[str, Any], ...] | None:
        return self._table(table).scopes()

    def query(self, sql: str, *, seconds: float | None = None) -> pa.RecordBatchReader:
        with ExitStack() as stack:
            cursor = stack.enter_context(self._duckdb(self._storage.spill))
            with mapped(self._storage.place), ThreadPoolExecutor(8) as threads:
                tables = threads.map(lambda name: TableAt(self._storage, name), self._storage.tables())
                for table in tables:
                    table.show(cursor)
            stack.enter_context(querying(cursor, seconds))
            reader = select(cursor, sql)
            return pa.RecordBatchReader.from_batches(reader.schema, batches_of(reader, stack.pop_all()))

    def adds_up(self, sql: str) -> frozenset[str]:
        return adds_up(sql)

    def holding(self, *_: object) -> AbstractContextManager[object]:
        return nullcontext()

    def close(self) -> None:
        """Nothing is held between calls."""

    def _table(self, name: str) -> TableAt:
        with mapped(self._storage.place):
            return TableAt(self._storage, name)

    def _loaded(
        self,
        load: Load,
        method: str,
        build: _Build,
        progress: Progress | None = None,
        guard: Guard | None = None,
        stop: Stop | None = None,
    ) -> Loaded:
        """Loads, and starts over from the newer version if another program commits one first."""

        def attempt() -> Loaded:
            table = TableAt(self._storage, load.table)
            before = table.loaded(load.run)
            if before is not None:
                return before
            self._check_ours(table, load)
            with self._storage.scratch() as scratch:
                with self._duckdb(scratch / "spill", scratch) as cursor, stoppable(cursor.interrupt, stop):
                    change = build(cursor, table.version(scratch, stop), scratch)
                commit(self._storage, table, load, method, change, scratch, guard, stop)
            return change.done

        place = self._storage.place
        with mapped(place), self._storage.locked(self._busy_seconds, progress, stop):
            return wait_for(attempt, place, self._busy_seconds, progress, stop)

    def _check_ours(self, table: TableAt, load: Load) -> None:
        if table.ours or not table.exists():
            return
        if not load.overwrite:
            raise not_ours(load.table, self._storage.place)
        if table.delta is None:
            raise DestinationRejected(
                f"{self._storage.uri(load.table)} is not a Delta table and was not overwritten",
                hint="Choose another table, or remove this one manually.",
                code="table_not_overwritten",
            )

    @contextmanager
    def _duckdb(self, spill: Path, *folders: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        readable = [self._archive, *self._storage.readable, *folders]
        with in_memory(readable, spill, self._megabytes) as connection:
            yield connection


def open_url(url: str, relative_to: Path, settings: Settings) -> DeltaDestination:
    """The destination of a URL `delta:///…` or `delta+s3://…`."""
    scheme, _, rest = url.partition(":")
    if scheme.lower() in DELTA.schemes:
        folder, _ = URL.parsed(url, relative_to)
        return DeltaDestination.in_folder(folder, settings)
    base, options = bucket_of(rest)
    query = f"?endpoint={options['AWS_ENDPOINT_URL']}" if options else ""
    return DeltaDestination.in_bucket(f"s3:{base}", options, f"delta+s3:{base}{query}", settings)
