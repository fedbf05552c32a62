"""The DuckDB destination: a load is one transaction on a file that is held only meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from counterfoil.destinations import duckdb_tables as tables
from counterfoil.destinations.destination import Guarantee, Progress, check_load, check_rows, files_of
from counterfoil.destinations.duckdb_errors import mapped
from counterfoil.destinations.duckdb_file import database_file, transaction
from counterfoil.destinations.duckdb_query import batches_of, select
from counterfoil.destinations.sql import quoted
from counterfoil.errors import DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load, Method, Part


class DuckDBDestination:
    """Tables in the schema `main` of one file."""

    methods: frozenset[Method] = frozenset({"replace", "append"})
    guarantees: frozenset[Guarantee] = frozenset({"atomic", "idempotent", "query"})

    def __init__(self, path: Path, settings: Settings) -> None:
        self._file = database_file(path)
        self._archive = settings.archive.resolve()
        self._busy_seconds = settings.busy_seconds
        self._place = str(self._file.path)
        self.name = f"duckdb:///{self._place}"

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], *, progress: Progress | None = None) -> int:
        check_load(load, schema, self.methods)
        files = files_of(parts, self._archive)
        with (
            self._file.loading,
            self._file.held([self._archive], self._busy_seconds, progress) as cursor,
            transaction(cursor, self._place),
        ):
            tables.make_loads(cursor)
            done = tables.loaded_rows(cursor, load)
            if done is not None:
                return done
            tables.prepare(cursor, load, schema, self._place)
            tables.comment(cursor, load, schema)
            rows = tables.insert(cursor, load, schema, files)
            check_rows(load, parts, rows)
            tables.record(cursor, load, rows)
            return rows

    def has_load(self, load: Load) -> bool:
        with self._reading() as cursor:
            return cursor is not None and tables.loaded_rows(cursor, load) is not None

    def columns(self, table: str) -> tuple[tuple[str, str], ...] | None:
        with self._reading() as cursor:
            return None if cursor is None or not tables.kind_of(cursor, table) else tables.columns_of(cursor, table)

    def rows(self, table: str) -> int | None:
        with self._reading() as cursor:
            if cursor is None or not tables.kind_of(cursor, table):
                return None
            ((rows,),) = cursor.execute(f"SELECT count(*) FROM main.{quoted(table)}").fetchall()  # noqa: S608 - quoted
            return int(rows)

    def scopes(self, table: str) -> tuple[Mapping[str, Any], ...] | None:
        with self._reading() as cursor:
            return None if cursor is None else tables.scopes_of(cursor, table)

    def query(self, sql: str) -> pa.RecordBatchReader:
        if not self._file.path.exists():
            raise DestinationRejected(f"there is no file {self._place} yet", hint="Load a report into it first.")
        with ExitStack() as stack:
            cursor = stack.enter_context(self._file.held([self._archive], self._busy_seconds))
            reader = select(cursor, sql)
            # From here on the file is held by the reader's batches.
            return pa.RecordBatchReader.from_batches(reader.schema, batches_of(reader, stack.pop_all()))

    def close(self) -> None:
        """Nothing is held between calls."""

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """A cursor, or None while there is no file: looking never makes one."""
        if not self._file.path.exists():
            yield None
            return
        with self._file.held([self._archive], self._busy_seconds) as cursor, mapped(self._place):
            yield cursor
