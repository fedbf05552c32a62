"""The view of the latest snapshot in a DuckDB file; each load updates it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import duckdb

from counterfoil.destinations.duckdb import tables
from counterfoil.destinations.latest_view import (
    LATEST,
    comment_of,
    has_snapshots,
    is_ours,
    latest_name_taken,
    latest_of,
    selected,
)
from counterfoil.destinations.protocol import LOADS_TABLE, same_name
from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.values import Load, Loaded

_VIEWS = """SELECT view_name, sql FROM duckdb_views()
    WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal"""


def check_latest(cursor: duckdb.DuckDBPyConnection, load: Load, columns: Iterable[str], place: str) -> None:
    """Rejects a snapshot if Counterfoil did not create what has the name of its view."""
    name = latest_of(load.table)
    if has_snapshots(load, columns) and tables.kind_of(cursor, name) and not _is_there(cursor, name):
        raise latest_name_taken(load.table, place)


def keep_latest(cursor: duckdb.DuckDBPyConnection, load: Load, columns: Iterable[str], done: Loaded) -> None:
    """Makes the view show the rows of this load. Drops it if the table does not hold snapshots any more."""
    drop_latest(cursor, load.table)
    if not has_snapshots(load, columns):
        return
    name = latest_of(load.table)
    tables.record(cursor, replace(load, table=name), done, method=LATEST)
    select = selected(load.table, f"main.{quoted(load.table)}", f"main.{LOADS_TABLE}")
    cursor.execute(f"CREATE VIEW main.{quoted(name)} AS {select}")
    cursor.execute(f"COMMENT ON VIEW main.{quoted(name)} IS {literal(comment_of(load.table))}")


def drop_latest(cursor: duckdb.DuckDBPyConnection, table: str) -> None:
    """Drops the view if Counterfoil created it."""
    name = latest_of(table)
    if _is_there(cursor, name):
        cursor.execute(f"DROP VIEW main.{quoted(name)}")
    if tables.kind_of(cursor, LOADS_TABLE):
        tables.forget(cursor, name, LATEST)


def _is_there(cursor: duckdb.DuckDBPyConnection, name: str) -> bool:
    views = cursor.execute(_VIEWS).fetchall()
    return any(same_name(other) == same_name(name) and is_ours(sql) for other, sql in views)
