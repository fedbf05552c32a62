"""The files of a Delta table: those of a version, and new ones with the rows of a load."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from counterfoil.destinations.files.columns import Columns, rows_of, values_of
from counterfoil.destinations.protocol import Stop, same_name
from counterfoil.destinations.sql.ordering import sorted_slices
from counterfoil.destinations.sql.query import check_types
from counterfoil.values import Load, Loaded

#: Returns the local path of a named file, with all or at least the named columns, and its rows in order.
Fetch = Callable[[str, Sequence[str] | None], Path]

_GROUP_ROWS = 8_192
#: A file is closed at this size, which limits what a merge rewrites for one row.
_FILE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a table, by its name in the table's folder."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a table."""

    columns: Columns
    files: tuple[DataFile, ...]
    fetch: Fetch

    @property
    def rows(self) -> int:
        """The number of rows in all the files."""
        return sum(file.rows for file in self.files)


@dataclass(frozen=True, slots=True)
class Change:
    """The change from the current to the next version: the files that stay, and the new ones."""

    columns: Columns
    kept: tuple[DataFile, ...]
    written: tuple[DataFile, ...]
    done: Loaded

    def made(self) -> Version:
        """The next version, while all of its files are local and named by their paths."""
        return Version(self.columns, (*self.kept, *self.written), lambda name, _: Path(name))


class RowFiles:
    """Writes rows into files of a folder; begins a new file when one is full."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: list[Path] = []
        self._open: tuple[BinaryIO, Any] | None = None

    def __enter__(self) -> RowFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def add(self, cursor: duckdb.DuckDBPyConnection, sql: str) -> int:
        """Writes the result of the SELECT and returns the number of rows.

        Not by COPY: DuckDB 2.0 can deadlock when that is interrupted.
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
    """Writes the rows of the parts in the load's order, except those that match `without`; returns their number."""
    if not files:
        return 0
    check_types(cursor, files, schema)
    values = values_of(columns, {same_name(column) for column in schema.names})
    return sum(
        out.add(cursor, f"SELECT {values} FROM (FROM {source}) WHERE NOT {without}")  # noqa: S608 - quoted
        for source in sorted_slices(load, files, stop=stop)
    )
