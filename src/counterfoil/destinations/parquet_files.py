"""The update methods on Parquet files: how the files of a table's next version come from those of the current one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from counterfoil.destinations.destination import Stop, check_rows, conflict, same_name
from counterfoil.destinations.duckdb_query import check_types, described
from counterfoil.destinations.ordering import sorted_slices
from counterfoil.destinations.ranges import check_within, no_created, within
from counterfoil.destinations.sql import duckdb_type, parts_source, quoted
from counterfoil.destinations.table_folder import file_name
from counterfoil.values import Load, Loaded, Part

#: Rows of a row group: with more of them the writer outgrows its memory where rows are wide.
_GROUP_ROWS = 20_480


def apply(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    parts: Sequence[Part],
    files: Sequence[Path],
    kept: Sequence[Path],
    into: Path,
    stop: Stop | None = None,
) -> tuple[list[tuple[str, str]], Loaded]:
    """Writes the next version into a folder from the load and the files of the current one; says its columns.

    Files that stay as they are become links; all files of a version have the same columns.
    """
    if load.method == "replace":
        columns, taken_out, kept = _widened((), load, schema), rows_of(kept), ()
    else:
        present = described(cursor, kept) if kept else ()
        columns = _widened(present, load, schema)
        taken_out = 0
        if load.method == "partition":
            check_within(cursor, load, files)
            if kept and same_name(load.created or "") not in {same_name(name) for name, _ in present}:
                raise no_created(load)
        for file in kept:
            taken_out += _carry(cursor, file, into, load, columns if len(columns) > len(present) else None)
    rows = _write(cursor, load, schema, files, columns, into, stop) if files or not list(into.iterdir()) else 0
    check_rows(load, parts, rows)
    return columns, Loaded(rows=rows, added=rows, deleted=taken_out)


def rows_of(files: Sequence[Path]) -> int:
    """Rows of all the files."""
    return sum(pq.read_metadata(file).num_rows for file in files)


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
    cursor: duckdb.DuckDBPyConnection, file: Path, into: Path, load: Load, columns: list[tuple[str, str]] | None
) -> int:
    """Brings the file along, but for the rows that a partition takes out, whose number it says.

    With `columns`, or without some of its rows, it is written anew; without all of them it is left behind.
    """
    rows, taken_out = rows_of([file]), 0
    if load.method == "partition":
        sql = f"SELECT count(*) FROM {parts_source([file])} WHERE {within(load)}"  # noqa: S608 - quoted
        ((taken_out,),) = cursor.execute(sql).fetchall()
    if rows and taken_out == rows:
        return rows
    if columns is not None or taken_out:
        present = described(cursor, [file])
        values = _values(columns or present, {same_name(name) for name, _ in present})
        stays = f"NOT {within(load)}" if taken_out else "true"
        _copy(cursor, values, f"FROM {parts_source([file])} WHERE {stays}", into / file.name)
        return int(taken_out)
    try:
        os.link(file, into / file.name)
    except OSError:
        # Not every file system has hard links.
        shutil.copyfile(file, into / file.name)
    return 0


def _values(columns: Sequence[tuple[str, str]], present: set[str]) -> str:
    values = (
        f"{quoted(name)}::{kind} AS {quoted(name)}" if same_name(name) in present else f"NULL::{kind} AS {quoted(name)}"
        for name, kind in columns
    )
    return ", ".join(values)


def _copy(cursor: duckdb.DuckDBPyConnection, values: str, rest: str, to: Path) -> int:
    """Writes the rows into a file. Not by COPY: DuckDB 2.0 can wait for itself for ever when that is interrupted."""
    copied = 0
    reader = cursor.sql(f"SELECT {values} {rest}").to_arrow_reader(_GROUP_ROWS)
    with pq.ParquetWriter(to, reader.schema, compression="zstd", compression_level=1) as writer:
        for batch in reader:
            writer.write_batch(batch)
            copied += batch.num_rows
    return copied


def _write(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    files: Sequence[Path],
    columns: Sequence[tuple[str, str]],
    into: Path,
    stop: Stop | None,
) -> int:
    """Writes the parts, in the load's order, as files that are named for the run and sort by name.

    Without parts that is one file which has columns and no rows.
    """
    name = file_name(load.run)
    if not files:
        return _copy(cursor, _values(columns, set()), "WHERE false", into / f"{name}.parquet")
    check_types(cursor, files, schema)
    values = _values(columns, {same_name(column) for column in schema.names})
    return sum(
        _copy(cursor, values, f"FROM {source}", into / f"{name}-{number:05}.parquet")
        for number, source in enumerate(sorted_slices(load, files, stop=stop), start=1)
    )
