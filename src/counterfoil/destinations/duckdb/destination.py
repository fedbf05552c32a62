"""The DuckDB destination: a load is one transaction on a file, which is open only during the load."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import duckdb
import pyarrow as pa

from counterfoil.destinations.cancellation import taken
from counterfoil.destinations.duckdb import tables
from counterfoil.destinations.duckdb.history import check_history, drop_history, keep_history
from counterfoil.destinations.duckdb.kind import DUCKDB, URL
from counterfoil.destinations.duckdb.latest import check_latest, drop_latest, keep_latest
from counterfoil.destinations.duckdb.methods import apply
from counterfoil.destinations.duckdb.publish import check_publish, publish
from counterfoil.destinations.protocol import REPLAY, Guard, LoadHooks, Progress, Stop, check_load, files_of, rebuilt
from counterfoil.destinations.query_check import adds_up
from counterfoil.destinations.sql.database import database_file, transaction
from counterfoil.destinations.sql.errors import mapped
from counterfoil.destinations.sql.merge import read_at
from counterfoil.destinations.sql.query import batches_of, querying, schema_of, select
from counterfoil.errors import DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Part


class DuckDBDestination:
    """Tables in the schema `main` of one file."""

    kind = DUCKDB

    def __init__(self, path: Path, settings: Settings, *, publish: Path | None = None) -> None:
        self._file = database_file(path, settings.duckdb_megabytes)
        self._archive = settings.archive.resolve()
        self._busy_seconds = settings.busy_seconds
        self._place = str(self._file.path)
        self._copy = publish and Path(os.path.abspath(publish))  # noqa: PTH100 - a link to the copy is replaced itself
        self.name = f"duckdb:///{self._place}"

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], **hooks: Unpack[LoadHooks]) -> Loaded:
        check_load(load, schema, self.kind)
        files = files_of(parts, self._archive)
        with self._writing(**hooks) as cursor:
            tables.make_loads(cursor)
            before = tables.loaded(cursor, load)
            if before is not None:
                return before
            there = self._check_ours(cursor, load)
            check_latest(cursor, load, schema.names, self._place)
            done = apply(cursor, load, schema, parts, files, there=there, stop=hooks.get("stop"))
            if load.history:
                touched = there and load.method == "merge"
                keep_history(cursor, load, schema, read_at(load, schema, files), touched=touched)
            keep_latest(cursor, load, schema.names, done)
            tables.record(cursor, load, done)
            return done

    def replay(
        self, loads: Sequence[tuple[Load, Sequence[Part]]], schema: pa.Schema, *, run: str, **hooks: Unpack[LoadHooks]
    ) -> Loaded:
        whole = rebuilt(loads, run)
        with self._writing(**hooks) as cursor:
            tables.make_loads(cursor)
            before = tables.loaded(cursor, whole)
            if before is not None:
                return before
            deleted_count = tables.count(cursor, whole.table) if self._check_ours(cursor, whole) else 0
            check_latest(cursor, loads[-1][0], schema.names, self._place)
            for number, (load, parts) in enumerate(loads):
                files = files_of(parts, self._archive)
                own = schema_of(files[0]) if files else schema
                check_load(load, own, self.kind)
                # The table is invisible to others until the commit, so it is its own staging table. Its intermediate
                # states are not part of its history.
                apply(cursor, replace(load, history=False), own, parts, files, there=number > 0, stop=hooks.get("stop"))
            tables.widen(cursor, whole.table, schema)
            tables.comment(cursor, whole, schema)
            if whole.history:
                # A rollback is a change at the current time, whenever the rows were read.
                keep_history(cursor, whole, schema, "now()", touched=False, when_read=False)
            rows = tables.count(cursor, whole.table)
            done = Loaded(rows=rows, added=rows, deleted=deleted_count)
            keep_latest(cursor, loads[-1][0], schema.names, done)
            tables.record(cursor, whole, done, method=REPLAY)
            return done

    def adds_up(self, sql: str) -> frozenset[str]:
        return adds_up(sql)

    def holding(self, progress: Progress | None = None, stop: Stop | None = None, /) -> AbstractContextManager[object]:
        if not self._file.path.exists():
            return nullcontext()
        return self._file.held([self._archive], self._busy_seconds, progress, stop)

    def check(self) -> None:
        with mapped(self._place):
            self._file.check()
        if self._copy is not None:
            check_publish(self._file.path, self._copy)

    def drop(self, table: str) -> bool:
        if not self._file.path.exists():
            return False
        with self._writing(None, None, None) as cursor:
            dropped = tables.drop(cursor, table, self._place)
            drop_latest(cursor, table)
            drop_history(cursor, table, self._place)
            return dropped

    def has_load(self, load: Load) -> bool:
        with self._reading() as cursor:
            return cursor is not None and tables.has_load(cursor, load)

    def columns(self, table: str) -> tuple[tuple[str, str], ...] | None:
        with self._reading() as cursor:
            return None if cursor is None or not tables.kind_of(cursor, table) else tables.columns_of(cursor, table)

    def rows(self, table: str) -> int | None:
        with self._reading() as cursor:
            if cursor is None or not tables.kind_of(cursor, table):
                return None
            return tables.count(cursor, table)

    def scopes(self, table: str) -> tuple[Mapping[str, Any], ...] | None:
        with self._reading() as cursor:
            return None if cursor is None else tables.scopes_of(cursor, table)

    def query(self, sql: str, *, seconds: float | None = None) -> pa.RecordBatchReader:
        if not self._file.path.exists():
            raise DestinationRejected(
                f"file {self._place} not found", hint="Load a report into it first.", code="file_missing"
            )
        with ExitStack() as stack:
            cursor = stack.enter_context(self._file.held([self._archive], self._busy_seconds))
            stack.enter_context(querying(cursor, seconds))
            reader = select(cursor, sql)
            # From here on, the reader's batches hold the file.
            return pa.RecordBatchReader.from_batches(reader.schema, batches_of(reader, stack.pop_all()))

    def close(self) -> None:
        """Nothing is held between calls."""

    def _check_ours(self, cursor: duckdb.DuckDBPyConnection, load: Load) -> bool:
        """Whether the table exists. Rejects a table or history that Counterfoil did not create."""
        there = tables.check_ours(cursor, load, self._place)
        if load.history:
            check_history(cursor, load, self._place)
        return there

    @contextmanager
    def _writing(
        self, progress: Progress | None = None, guard: Guard | None = None, stop: Stop | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor in a transaction, exclusive among loads into the file. Then updates the copy, if there is one."""
        with (
            taken(self._file.loading, stop),
            self._file.held([self._archive], self._busy_seconds, progress, stop) as cursor,
        ):
            with transaction(cursor, self._place, guard, stop):
                yield cursor
            if self._copy is not None:
                if progress is not None:
                    progress(f"copying {self._place} to {self._copy}")
                publish(self._file.path, self._copy)

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """A cursor, or None if there is no file: reading never creates one."""
        if not self._file.path.exists():
            yield None
            return
        with self._file.held([self._archive], self._busy_seconds) as cursor, mapped(self._place):
            yield cursor


def open_url(url: str, relative_to: Path, settings: Settings) -> DuckDBDestination:
    """The destination of a URL `duckdb:///…`."""
    file, parameters = URL.parsed(url, relative_to)
    copy = parameters.get("publish")
    publish = None if copy is None else Path(relative_to, Path(copy).expanduser())
    return DuckDBDestination(file, settings, publish=publish)
