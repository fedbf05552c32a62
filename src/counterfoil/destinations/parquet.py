"""The Parquet destination: a folder for each table, whose files a plain glob reads.

`<folder>/<table>` is a link to a version of the table in `<folder>/.counterfoil`. A load builds the next version beside
the current one, with the record of loads in it, and moves the link: readers see the one or the other.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from counterfoil.destinations.destination import (
    Guarantee,
    Progress,
    check_load,
    check_rows,
    conflict,
    files_of,
    not_ours,
    same_name,
    since_replace,
)
from counterfoil.destinations.duckdb_errors import mapped
from counterfoil.destinations.duckdb_file import in_memory
from counterfoil.destinations.duckdb_query import batches_of, check_types, described, select
from counterfoil.destinations.ordering import sorted_slices
from counterfoil.destinations.sql import duckdb_type, literal, parts_source, quoted
from counterfoil.destinations.table_folder import (
    HIDDEN,
    Record,
    TableFolder,
    file_name,
    locked,
    tables_below,
    write_record,
)
from counterfoil.errors import DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load, Method, Part

#: Rows of a row group: with more of them the writer outgrows its memory where rows are wide.
_GROUP_ROWS = 20_480


class ParquetDestination:
    """Tables as folders of Parquet files, on a file system that has links."""

    methods: frozenset[Method] = frozenset({"replace", "append"})
    guarantees: frozenset[Guarantee] = frozenset({"atomic", "idempotent", "query"})

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder.resolve()
        self._archive = settings.archive.resolve()
        self._busy_seconds = settings.busy_seconds
        self._place = str(self._folder)
        self.name = f"parquet:///{self._place}"

    def load(self, load: Load, schema: pa.Schema, parts: Sequence[Part], *, progress: Progress | None = None) -> int:
        check_load(load, schema, self.methods)
        files = files_of(parts, self._archive)
        table = TableFolder(self._folder, load.table)
        with mapped(self._place), locked(self._folder, self._busy_seconds, progress):
            record = table.record()
            done = None if record is None else _rows_of(record, load.run)
            if done is not None:
                return done
            if record is None and table.exists():
                self._check_overwrite(table, load)
            with table.next_version() as version, self._duckdb() as cursor:
                kept = table.files() if load.method == "append" else []
                present = described(cursor, kept) if kept else ()
                columns = _widened(present, load, schema)
                _carry(cursor, kept, version, columns if len(columns) > len(present) else None)
                carried = sum(pq.read_metadata(file).num_rows for file in kept)
                rows = 0
                if files or not kept:
                    rows = _write(cursor, load, schema, files, columns, version)
                check_rows(load, parts, rows)
                write_record(version, _next_record(record if kept else None, load, columns, rows, carried))
            return rows

    def has_load(self, load: Load) -> bool:
        record = self._record(load.table)
        return record is not None and _rows_of(record, load.run) is not None

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
            return sum(pq.read_metadata(file).num_rows for file in files) if files else None

    def scopes(self, table: str) -> tuple[Mapping[str, Any], ...] | None:
        record = self._record(table)
        if record is None or not record.loads:
            return None
        return since_replace((load["method"], load["scope"]) for load in reversed(record.loads))

    def query(self, sql: str) -> pa.RecordBatchReader:
        with ExitStack() as stack:
            cursor = stack.enter_context(self._duckdb())
            with mapped(self._place):
                for name, files in tables_below(self._folder).items():
                    cursor.execute(f"CREATE VIEW {quoted(name)} AS SELECT * FROM {parts_source(files)}")  # noqa: S608
            reader = select(cursor, sql)
            return pa.RecordBatchReader.from_batches(reader.schema, batches_of(reader, stack.pop_all()))

    def close(self) -> None:
        """Nothing is held between calls."""

    def _record(self, table: str) -> Record | None:
        with mapped(self._place):
            return TableFolder(self._folder, table).record()

    def _check_overwrite(self, table: TableFolder, load: Load) -> None:
        if not load.overwrite:
            raise not_ours(load.table, self._place)
        if not table.overwritable():
            raise DestinationRejected(
                f"{table.link} is more than a folder of Parquet files, and is not overwritten",
                hint="Choose another table, or remove it by hand.",
            )

    @contextmanager
    def _duckdb(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with in_memory([self._archive, self._folder], spill=self._folder / HIDDEN / "spill") as connection:
            yield connection


def _rows_of(record: Record, run: str) -> int | None:
    return next((load["rows"] for load in record.loads if load["run"] == run), None)


def _widened(present: Sequence[tuple[str, str]], load: Load, schema: pa.Schema) -> list[tuple[str, str]]:
    """The columns of the next version: those that are there, then those that the schema adds."""
    kinds = {same_name(name): kind for name, kind in present}
    added = []
    for field in schema:
        wanted = _file_type(field)
        kind = kinds.get(same_name(field.name))
        if kind is None:
            added.append((field.name, wanted))
        elif kind != wanted:
            raise conflict(load.table, field.name, kind, wanted)
    return [*present, *added]


def _file_type(field: pa.Field) -> str:
    """JSON is kept as text: Parquet has a type for it, which other readers take for bytes (polars 1) or not at all."""
    kind = duckdb_type(field)
    return "VARCHAR" if kind == "JSON" else kind


def _carry(
    cursor: duckdb.DuckDBPyConnection, files: Sequence[Path], version: Path, columns: list[tuple[str, str]] | None
) -> None:
    """Brings the files along; with `columns`, written anew, so that all files of a table have the same ones."""
    for file in files:
        if columns is not None:
            present = {same_name(name) for name, _ in described(cursor, [file])}
            _copy(cursor, [file], _values(columns, present), "", version / file.name)
            continue
        try:
            os.link(file, version / file.name)
        except OSError:
            # Not every file system has hard links.
            shutil.copyfile(file, version / file.name)


def _values(columns: Sequence[tuple[str, str]], present: set[str]) -> str:
    values = (
        f"{quoted(name)}::{kind} AS {quoted(name)}" if same_name(name) in present else f"NULL::{kind} AS {quoted(name)}"
        for name, kind in columns
    )
    return ", ".join(values)


def _copy(cursor: duckdb.DuckDBPyConnection, files: Sequence[Path], values: str, end: str, to: Path) -> int:
    select = f"SELECT {values} FROM {parts_source(files)}{end}" if files else f"SELECT {values} WHERE false"  # noqa: S608
    options = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {_GROUP_ROWS}"
    ((copied,),) = cursor.execute(f"COPY ({select}) TO {literal(str(to))} ({options})").fetchall()
    return int(copied)


def _write(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    files: Sequence[Path],
    columns: Sequence[tuple[str, str]],
    version: Path,
) -> int:
    """Writes the parts, in the load's order, as files that are named for the run and sort by name.

    Without parts that is one file which has columns and no rows.
    """
    name = file_name(load.run)
    if not files:
        return _copy(cursor, files, _values(columns, set()), "", version / f"{name}.parquet")
    check_types(cursor, files, schema)
    values = _values(columns, {same_name(column) for column in schema.names})
    return sum(
        _copy(cursor, files, values, end, version / f"{name}-{number:05}.parquet")
        for number, end in enumerate(sorted_slices(cursor, load, files), start=1)
    )


def _next_record(record: Record | None, load: Load, columns: list[tuple[str, str]], rows: int, carried: int) -> Record:
    entry = {
        "run": load.run,
        "method": load.method,
        "report": load.report,
        "account": load.account,
        "scope": dict(load.scope),
        "rows": rows,
        "loaded_at": datetime.now(UTC).isoformat(),
    }
    earlier = record.loads if record else []
    return Record(columns, carried + rows, load.comment, dict(load.comments), [*earlier, entry])
