"""The update methods on the files of a Delta table: which stay, which go, and what is written instead.

A file is never changed. One that loses rows, or gets columns, goes, and what stays of it is written anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from counterfoil.destinations.destination import Stop, check_rows, same_name
from counterfoil.destinations.duckdb_query import check_types
from counterfoil.destinations.file_columns import Columns, rows_of, values_in, values_of, widened
from counterfoil.destinations.ordering import sorted_slices
from counterfoil.destinations.ranges import check_within, no_created, within
from counterfoil.destinations.sql import parts_source
from counterfoil.values import Load, Loaded, Part

#: The file of a name on this machine, with all of its columns or at least those of these names; its rows in order.
Fetch = Callable[[str, Sequence[str] | None], Path]

_GROUP_ROWS = 8_192
#: A file that has as much is closed: what a merge rewrites for one row is not much more.
_FILE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a table, by its name in the table's folder."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Version:
    """A table between two loads."""

    columns: Columns
    files: tuple[DataFile, ...]
    fetch: Fetch

    @property
    def rows(self) -> int:
        """Rows of all the files."""
        return sum(file.rows for file in self.files)


@dataclass(frozen=True, slots=True)
class Change:
    """How the next version comes from the current one: the files that stay, and those that were written."""

    columns: Columns
    kept: tuple[DataFile, ...]
    written: tuple[DataFile, ...]
    done: Loaded

    def made(self) -> Version:
        """The next version, while all of its files are on this machine and named by their paths."""
        return Version(self.columns, (*self.kept, *self.written), lambda name, _: Path(name))


class RowFiles:
    """Writes rows into files of a folder, one after the other; a file that is full is followed by another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: list[Path] = []
        self._open: tuple[BinaryIO, Any] | None = None

    def __enter__(self) -> RowFiles:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def add(self, cursor: duckdb.DuckDBPyConnection, sql: str) -> int:
        """Writes what the SELECT answers; says how many rows.

        Not by COPY: DuckDB 2.0 can wait for itself for ever when that is interrupted.
        """
        rows = 0
        for batch in cursor.sql(sql).to_arrow_reader(_GROUP_ROWS):
            if not batch.num_rows:
                continue
            sink, writer = self._open = self._open or self._begun(batch.schema)
            writer.write_batch(batch)
            rows += batch.num_rows
            if sink.tell() > _FILE_BYTES:
                self._end()
        return rows

    def files(self) -> tuple[DataFile, ...]:
        """The files, by their paths; none is empty."""
        self._end()
        return tuple(DataFile(str(path), rows_of(path)) for path in self._paths)

    def _begun(self, schema: pa.Schema) -> tuple[BinaryIO, Any]:
        self._paths.append(self._folder / f"part-{uuid.uuid4().hex}.parquet")
        sink = self._paths[-1].open("wb")
        return sink, pq.ParquetWriter(sink, schema, compression="zstd", compression_level=1)

    def _end(self) -> None:
        ended, self._open = self._open, None
        if ended is not None:
            with ended[0]:
                ended[1].close()


def apply(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    parts: Sequence[Part],
    files: Sequence[Path],
    present: Version | None,
    into: Path,
    stop: Stop | None = None,
) -> Change:
    """Writes what the load adds to a table, or there is none yet, into a folder."""
    from counterfoil.destinations.delta_merge import merge

    exchanged = present is None or load.method == "replace"
    columns = widened(() if present is None or exchanged else present.columns, load, schema)
    if load.method == "partition":
        check_within(cursor, load, files)
    with RowFiles(into) as out:
        if load.method == "merge":
            kept, done = merge(cursor, load, schema, parts, files, present, columns, out, stop)
            return Change(columns, kept, out.files(), done)
        kept, taken_out = (), present.rows if present else 0
        if present is not None and not exchanged:
            kept, taken_out = _carried(cursor, load, present, columns, out)
        rows = insert(cursor, load, schema, files, columns, out, stop)
        check_rows(load, parts, rows)
        return Change(columns, kept, out.files(), Loaded(rows=rows, added=rows, deleted=taken_out))


def insert(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    files: Sequence[Path],
    columns: Columns,
    out: RowFiles,
    stop: Stop | None,
    *,
    without: str = "false",
) -> int:
    """Writes the rows of the parts in the load's order, but for those of the condition, and says how many."""
    if not files:
        return 0
    check_types(cursor, files, schema)
    values = values_of(columns, {same_name(column) for column in schema.names})
    return sum(
        out.add(cursor, f"SELECT {values} FROM (FROM {source}) WHERE NOT {without}")  # noqa: S608 - quoted
        for source in sorted_slices(load, files, stop=stop)
    )


def _carried(
    cursor: duckdb.DuckDBPyConnection, load: Load, present: Version, columns: Columns, out: RowFiles
) -> tuple[tuple[DataFile, ...], int]:
    """Which files stay, and how many rows go; what stays of the others is written."""
    wider = len(columns) > len(present.columns)
    if load.method == "append":
        for file in present.files if wider else ():
            path = present.fetch(file.name, None)
            out.add(cursor, f"SELECT {values_in(cursor, [path], columns)} FROM {parts_source([path])}")  # noqa: S608
        return () if wider else present.files, 0
    created = next((name for name, _ in present.columns if same_name(name) == same_name(load.created or "")), None)
    if created is None:
        raise no_created(load)
    kept, taken_out = [], 0
    for file in present.files:
        path = present.fetch(file.name, [created])
        ((going,),) = cursor.execute(
            f"SELECT count(*) FROM {parts_source([path])} WHERE {within(load)}"  # noqa: S608 - quoted
        ).fetchall()
        taken_out += going
        if not going and not wider:
            kept.append(file)
        elif going < file.rows:
            path = present.fetch(file.name, None)
            values = values_in(cursor, [path], columns)
            out.add(cursor, f"SELECT {values} FROM {parts_source([path])} WHERE NOT {within(load)}")  # noqa: S608
    return tuple(kept), taken_out
