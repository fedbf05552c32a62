"""Columns of tables in Parquet files: columns that a load adds, and reading files with different columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from counterfoil.destinations.protocol import conflict, same_name
from counterfoil.destinations.sql.text import duckdb_type, literal, quoted
from counterfoil.values import Load

#: Name and DuckDB type of each column.
Columns = Sequence[tuple[str, str]]


def widened(present: Columns, load: Load, schema: pa.Schema) -> list[tuple[str, str]]:
    """The columns of the next version: the present ones, then those that the schema adds.

    JSON is stored as text: other readers read Parquet's JSON type as bytes, or not at all.
    """
    kinds = {same_name(name): kind for name, kind in present}
    added = []
    for field in schema:
        wanted = "VARCHAR" if duckdb_type(field) == "JSON" else duckdb_type(field)
        kind = kinds.get(same_name(field.name))
        if kind is None:
            added.append((field.name, wanted))
        elif kind != wanted:
            raise conflict(load.table, field.name, kind, wanted)
    return [*present, *added]


def values_of(columns: Columns, present: set[str]) -> str:
    """A SELECT list of the columns, from a source with the names in `present`; other columns are null."""
    return ", ".join(
        f"{quoted(name)}::{kind} AS {quoted(name)}" if same_name(name) in present else f"NULL::{kind} AS {quoted(name)}"
        for name, kind in columns
    )


def values_in(cursor: duckdb.DuckDBPyConnection, paths: Sequence[Path], columns: Columns) -> str:
    """The same for files, some of which may have fewer columns than others."""
    described = cursor.execute(f"DESCRIBE SELECT * FROM {union_source(paths)}").fetchall()  # noqa: S608 - quoted
    return values_of(columns, {same_name(name) for name, *_ in described})


def union_source(paths: Sequence[Path]) -> str:
    """A FROM clause that reads files, some of which may have fewer columns. Folder names add no column."""
    files = ", ".join(literal(str(path)) for path in paths)
    return f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"


def rows_of(path: Path) -> int:
    """The number of rows in a file."""
    return int(pq.read_metadata(path).num_rows)
