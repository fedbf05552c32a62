"""The Parquet destination: a folder for each table, with files that a plain glob can read.

`<folder>/<table>` is a link to a version of the table in `<folder>/.counterfoil`. A load builds the next version next
to the current one, with its record of loads, and moves the link. Readers see one version or the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Unpack

import duckdb
import pyarrow as pa

from counterfoil.destinations.cancellation import stoppable
from counterfoil.destinations.files.table_folder import (
    HIDDEN,
    TableFolder,
    check_folder,
    locked,
    tables_below,
    write_record,
)
from counterfoil.destinations.files.table_record import Record, loaded, next_record
from counterfoil.destinations.parquet.kind import PARQUET, URL
from counterfoil.destinations.parquet.methods import apply
from counterfoil.destinations.parquet.rebuild import rebuild
from counterfoil.destinations.parquet.reused_files import files_below, link, reused_in, rows_of
from counterfoil.destinations.protocol import REPLAY, Guard, LoadHooks, Stop, check_load, not_ours, rebuilt
from counterfoil.destinations.query_check import adds_up
from counterfoil.destinations.sql.database import in_memory
from counterfoil.destinations.sql.errors import mapped
from counterfoil.destinations.sql.query import batches_of, described, querying, select
from counterfoil.destinations.sql.text import parts_source, quoted
from counterfoil.errors import DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Part


class ParquetDestination:
    """Tables as folders of Parquet files, on a file system with symbolic links."""

    kind = PARQUET

    def __init__(self, folder: Path, settings: Settings, *, monthly: bool = False) -> None:
        self._folder = folder.resolve()
        self._archive = settings.archive.resolve()
        self._busy_seconds = settings.busy_seconds
        self._megabytes = settings.duckdb_megabytes
        self._monthly = monthly
        self._place = str(self._folder)
        self.name = f"parquet:///{self._place}{'?partition=month' if monthly else ''}"

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], **hooks: Unpack[LoadHooks]) -> Loaded:
        check_load(load, schema, self.kind)
        table = TableFolder(self._folder, load.table)
        with mapped(self._place), locked(self._folder, self._busy_seconds, hooks.get("progress"), hooks.get("stop")):
            record = table.record()
            before = loaded(record, load.run)
            if before is not None:
                return before
            self._check_ours(table, record, load)
            with self._next_version(table, guard=hooks.get("guard"), stop=hooks.get("stop")) as (version, cursor):
                present = described(cursor, files) if (files := table.files()) else ()
                kept = reused_in(table.version, load.created)
                applied = apply(
                    cursor,
                    load,
                    schema,
                    parts,
                    self._archive,
                    kept,
                    present,
                    version,
                    monthly=self._monthly,
                    stop=hooks.get("stop"),
                )
                link(applied.carried, version)
                done = applied.loaded
                rows = rows_of(files_below(version))
                write_record(version, next_record(record, load, applied.columns, rows, done, load.method))
            return done

    def replay(
        self, loads: Sequence[tuple[Load, Sequence[Part]]], schema: pa.Schema, *, run: str, **hooks: Unpack[LoadHooks]
    ) -> Loaded:
        whole = rebuilt(loads, run)
        table = TableFolder(self._folder, whole.table)
        with mapped(self._place), locked(self._folder, self._busy_seconds, hooks.get("progress"), hooks.get("stop")):
            record = table.record()
            before = loaded(record, run)
            if before is not None:
                return before
            self._check_ours(table, record, whole)
            with (
                self._next_version(table, guard=hooks.get("guard"), stop=hooks.get("stop")) as (version, cursor),
                table.scratch() as steps,
            ):
                columns = rebuild(
                    cursor,
                    loads,
                    whole,
                    schema,
                    self._archive,
                    self.kind,
                    steps,
                    version,
                    monthly=self._monthly,
                    stop=hooks.get("stop"),
                )
                rows = rows_of(files_below(version))
                done = Loaded(rows=rows, added=rows, deleted=rows_of(table.files()))
                write_record(version, next_record(record, whole, columns, rows, done, REPLAY))
            return done

    def check(self) -> None:
        with mapped(self._place):
            check_folder(self._folder)

    def drop(self, table: str) -> bool:
        if not self._folder.is_dir():
            return False
        folder = TableFolder(self._folder, table)
        with mapped(self._place), locked(self._folder, self._busy_seconds, None):
            if not folder.exists():
                return False
            if folder.record() is None:
                raise not_ours(table, self._place)
            folder.remove()
            return True

    def has_load(self, load: Load) -> bool:
        return loaded(self._record(load.table), load.run) is not None

    def columns(self, table: str) -> tuple[tuple[str, str], ...] | None:
        record = self._record(table)
        if record is not None:
            return tuple(record.columns)
        with mapped(self._place):
            files = TableFolder(self._folder, table).files()
            if not files:
                return None
            with self._duckdb() as cursor:
                return described(cursor, files)

    def rows(self, table: str) -> int | None:
        record = self._record(table)
        if record is not None:
            return record.rows
        with mapped(self._place):
            files = TableFolder(self._folder, table).files()
            return rows_of(files) if files else None

    def scopes(self, table: str) -> tuple[Mapping[str, Any], ...] | None:
        record = self._record(table)
        return record.scopes() if record else None

    def query(self, sql: str, *, seconds: float | None = None) -> pa.RecordBatchReader:
        with ExitStack() as stack:
            cursor = stack.enter_context(self._duckdb())
            with mapped(self._place):
                for name, files in tables_below(self._folder).items():
                    cursor.execute(f"CREATE VIEW {quoted(name)} AS SELECT * FROM {parts_source(files)}")  # noqa: S608
            stack.enter_context(querying(cursor, seconds))
            reader = select(cursor, sql)
            return pa.RecordBatchReader.from_batches(reader.schema, batches_of(reader, stack.pop_all()))

    def adds_up(self, sql: str) -> frozenset[str]:
        return adds_up(sql)

    def holding(self, *_: object) -> AbstractContextManager[object]:
        return nullcontext()

    def close(self) -> None:
        """Nothing is held between calls."""

    def _record(self, table: str) -> Record | None:
        with mapped(self._place):
            return TableFolder(self._folder, table).record()

    def _check_ours(self, table: TableFolder, record: Record | None, load: Load) -> None:
        if record is not None or not table.exists():
            return
        if not load.overwrite:
            raise not_ours(load.table, self._place)
        if not table.overwritable():
            raise DestinationRejected(
                f"{table.link} contains more than Parquet files and was not overwritten",
                hint="Choose another table, or remove this one manually.",
                code="table_not_overwritten",
            )

    @contextmanager
    def _next_version(
        self, table: TableFolder, guard: Guard | None, stop: Stop | None
    ) -> Iterator[tuple[Path, duckdb.DuckDBPyConnection]]:
        with table.next_version(guard) as version, self._duckdb() as cursor, stoppable(cursor.interrupt, stop):
            yield version, cursor

    @contextmanager
    def _duckdb(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with in_memory([self._archive, self._folder], self._folder / HIDDEN / "spill", self._megabytes) as connection:
            yield connection


def open_url(url: str, relative_to: Path, settings: Settings) -> ParquetDestination:
    """The destination of a URL `parquet:///…`."""
    folder, parameters = URL.parsed(url, relative_to)
    return ParquetDestination(folder, settings, monthly="partition" in parameters)
