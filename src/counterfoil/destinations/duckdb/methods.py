"""The update methods, inside a transaction on a DuckDB file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from counterfoil.destinations.duckdb import tables
from counterfoil.destinations.keys import is_notice
from counterfoil.destinations.protocol import Stop, check_rows, same_name
from counterfoil.destinations.sql.merge import is_unique, merge
from counterfoil.destinations.sql.ranges import check_within, no_created, within
from counterfoil.destinations.sql.text import parts_source, quoted
from counterfoil.values import Load, Loaded, Part


def apply(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    parts: Sequence[Part],
    files: Sequence[Path],
    *,
    there: bool,
    stop: Stop | None = None,
) -> Loaded:
    """Applies the load to its table; `there` says whether the table exists."""
    if load.method == "partition":
        check_within(cursor, load, files)
        present = {same_name(name) for name, _ in tables.columns_of(cursor, load.table)} if there else set()
        if there and same_name(load.created or "") not in present:
            raise no_created(load)
    before = tables.count(cursor, load.table) if there and load.method == "replace" else 0
    if not there or load.method == "replace":
        tables.create(cursor, load, schema)
    else:
        tables.widen(cursor, load.table, schema)
    tables.comment(cursor, load, schema)
    if load.method == "merge":
        return _merge(cursor, load, schema, parts, files, there=there, stop=stop)
    deleted_count = before
    if load.method == "partition":
        sql = f"DELETE FROM main.{quoted(load.table)} WHERE {within(load)}"  # noqa: S608 - quoted
        ((deleted_count,),) = cursor.execute(sql).fetchall()
    rows = tables.insert(cursor, load, schema, files, stop)
    check_rows(load, parts, rows)
    return Loaded(rows=rows, added=rows, deleted=deleted_count)


def _merge(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    parts: Sequence[Part],
    files: Sequence[Path],
    *,
    there: bool,
    stop: Stop | None = None,
) -> Loaded:
    if there or not is_unique(cursor, load, files):
        if files:
            ((rows,),) = cursor.execute(f"SELECT count(*) FROM {parts_source(files)}").fetchall()  # noqa: S608 - quoted
            check_rows(load, parts, int(rows))
        return merge(cursor, load, schema, files, tables.columns_of(cursor, load.table))
    rows = tables.insert(cursor, load, schema, files, stop)
    check_rows(load, parts, rows)
    sql = f"DELETE FROM main.{quoted(load.table)} WHERE {is_notice(load, schema.names)}"  # noqa: S608 - quoted
    ((notices,),) = cursor.execute(sql).fetchall()
    rows -= int(notices)
    return Loaded(rows=rows, added=rows)
