"""Operations on tables inside a transaction on a DuckDB file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import duckdb
import orjson
import pyarrow as pa

from counterfoil.destinations.protocol import (
    LOADS_TABLE,
    Stop,
    check_owned,
    conflict,
    not_ours,
    same_name,
    since_replace,
)
from counterfoil.destinations.sql.ordering import sorted_slices
from counterfoil.destinations.sql.query import check_types
from counterfoil.destinations.sql.text import definitions, duckdb_type, literal, quoted
from counterfoil.errors import DestinationRejected
from counterfoil.values import Load, Loaded

_LOADS = f"main.{LOADS_TABLE}"
_LOADS_COLUMNS = (
    "run VARCHAR, table_name VARCHAR, method VARCHAR, report VARCHAR, account VARCHAR, scope JSON, rows BIGINT, "
    "loaded_at TIMESTAMP WITH TIME ZONE, added BIGINT, changed BIGINT, deleted BIGINT"
)
#: Columns that were added to the record after the first release.
_LATER_COLUMNS = ("added", "changed", "deleted")
_OBJECTS = """
    SELECT 'table', table_name FROM duckdb_tables()
        WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal
    UNION ALL
    SELECT 'view', view_name FROM duckdb_views()
        WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal
"""


def kind_of(cursor: duckdb.DuckDBPyConnection, name: str) -> Literal["table", "view"] | None:
    """The kind of object with this name in the schema `main`; None if there is none."""
    found = (kind for kind, other in cursor.execute(_OBJECTS).fetchall() if same_name(other) == same_name(name))
    return next(found, None)


def columns_of(cursor: duckdb.DuckDBPyConnection, table: str) -> tuple[tuple[str, str], ...]:
    """Name and type of each column of a table or view."""
    described = cursor.execute(f"DESCRIBE main.{quoted(table)}").fetchall()
    return tuple((name, kind) for name, kind, *_ in described)


def make_loads(cursor: duckdb.DuckDBPyConnection) -> None:
    """Creates the record of loads if it is missing."""
    if kind_of(cursor, LOADS_TABLE) == "view":
        raise DestinationRejected(f"{LOADS_TABLE} is a view, not Counterfoil's table", hint="Drop or rename the view.")
    cursor.execute(f"CREATE TABLE IF NOT EXISTS {_LOADS} ({_LOADS_COLUMNS})")
    present = {name for name, _ in columns_of(cursor, LOADS_TABLE)}
    for name in _LATER_COLUMNS:
        if name not in present:
            cursor.execute(f"ALTER TABLE {_LOADS} ADD COLUMN {name} BIGINT")


def loads_of(cursor: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str, str]]:
    """Run, method and scope of each load into the table, newest first."""
    if kind_of(cursor, LOADS_TABLE) is None:
        return []
    sql = f"SELECT run, method, scope::VARCHAR, table_name FROM {_LOADS} ORDER BY loaded_at DESC, rowid DESC"  # noqa: S608
    loads = cursor.execute(sql).fetchall()
    return [load for *load, name in loads if same_name(name) == same_name(table)]


def has_load(cursor: duckdb.DuckDBPyConnection, load: Load) -> bool:
    """Whether the table exists and the run was loaded into it."""
    return kind_of(cursor, load.table) == "table" and any(run == load.run for run, *_ in loads_of(cursor, load.table))


def loaded(cursor: duckdb.DuckDBPyConnection, load: Load) -> Loaded | None:
    """The result of the run's load; None if it was not loaded, or the table no longer exists."""
    if not has_load(cursor, load):
        return None
    sql = f"SELECT table_name, rows, added, changed, deleted FROM {_LOADS} WHERE run = ?"  # noqa: S608
    for name, rows, added, changed, deleted in cursor.execute(sql, [load.run]).fetchall():
        if same_name(name) == same_name(load.table):
            return Loaded(rows=rows, added=rows if added is None else added, changed=changed or 0, deleted=deleted or 0)
    return None


def scopes_of(cursor: duckdb.DuckDBPyConnection, table: str) -> tuple[Mapping[str, Any], ...] | None:
    """The scopes of the loads whose rows are in the table."""
    if kind_of(cursor, table) is None:
        return None
    loads = loads_of(cursor, table)
    return since_replace((method, orjson.loads(scope)) for _, method, scope in loads) if loads else None


def record(cursor: duckdb.DuckDBPyConnection, load: Load, done: Loaded, *, method: str | None = None) -> None:
    """Records the load, with its own method or `method`. Replaces an entry of the run for a dropped table."""
    cursor.execute(f"DELETE FROM {_LOADS} WHERE run = ? AND table_name = ?", [load.run, load.table])  # noqa: S608
    values = {
        "run": load.run,
        "table_name": load.table,
        "method": method or load.method,
        "report": load.report,
        "account": load.account,
        "scope": orjson.dumps(dict(load.scope)).decode(),
        **asdict(done),
    }
    cursor.execute(
        f"INSERT INTO {_LOADS} ({', '.join(values)}, loaded_at) VALUES ({'?, ' * len(values)}now())",  # noqa: S608
        list(values.values()),
    )


def drop(cursor: duckdb.DuckDBPyConnection, table: str, place: str) -> bool:
    """Drops a table that Counterfoil created, and the entries of its loads; False if there is none."""
    kind = kind_of(cursor, table)
    loads = loads_of(cursor, table)
    if kind == "view" or (kind == "table" and not loads):
        raise not_ours(table, place)
    if kind == "table":
        cursor.execute(f"DROP TABLE main.{quoted(table)}")
    if loads:
        names = cursor.execute(f"SELECT DISTINCT table_name FROM {_LOADS}").fetchall()  # noqa: S608
        for name in (name for (name,) in names if same_name(name) == same_name(table)):
            cursor.execute(f"DELETE FROM {_LOADS} WHERE table_name = ?", [name])  # noqa: S608
    return kind == "table"


def forget(cursor: duckdb.DuckDBPyConnection, table: str, method: str) -> None:
    """Deletes the table's entries with this method from the record."""
    noted = cursor.execute(f"SELECT DISTINCT table_name FROM {_LOADS} WHERE method = ?", [method]).fetchall()  # noqa: S608
    for name in (name for (name,) in noted if same_name(name) == same_name(table)):
        cursor.execute(f"DELETE FROM {_LOADS} WHERE table_name = ? AND method = ?", [name, method])  # noqa: S608


def check_ours(cursor: duckdb.DuckDBPyConnection, load: Load, place: str) -> bool:
    """Whether the table exists. Rejects one that Counterfoil did not create, unless the load may overwrite it."""
    kind = kind_of(cursor, load.table)
    return check_owned(load, kind, [method for _, method, _ in loads_of(cursor, load.table)], place)


def create(cursor: duckdb.DuckDBPyConnection, load: Load, schema: pa.Schema) -> None:
    """Creates the table, empty, or replaces an existing one."""
    cursor.execute(f"CREATE OR REPLACE TABLE main.{quoted(load.table)} ({definitions(schema)})")


def widen(cursor: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema) -> None:
    """Adds the columns that the table lacks. SchemaConflict if one has another type."""
    add_columns(cursor, table, [(field.name, duckdb_type(field)) for field in schema])


def add_columns(cursor: duckdb.DuckDBPyConnection, table: str, columns: Iterable[tuple[str, str]], **hint: str) -> None:
    """Adds the columns (name and type) that the table lacks; `hint` is for the error on a different type."""
    present = {same_name(name): kind for name, kind in columns_of(cursor, table)}
    for name, wanted in columns:
        kind = present.get(same_name(name))
        if kind is None:
            cursor.execute(f"ALTER TABLE main.{quoted(table)} ADD COLUMN {quoted(name)} {wanted}")
        elif kind != wanted:
            raise conflict(table, name, kind, wanted, **hint)


def count(cursor: duckdb.DuckDBPyConnection, table: str, where: str = "true") -> int:
    """The number of rows that meet the condition."""
    ((rows,),) = cursor.execute(f"SELECT count(*) FROM main.{quoted(table)} WHERE {where}").fetchall()  # noqa: S608
    return int(rows)


def comment(cursor: duckdb.DuckDBPyConnection, load: Load, schema: pa.Schema) -> None:
    """Sets the comments that differ from the load's."""
    table = quoted(load.table)
    sql = """SELECT column_name, comment FROM duckdb_columns() WHERE database_name = current_database()
        AND schema_name = 'main' AND table_name = ?"""
    present = dict(cursor.execute(sql, [load.table]).fetchall())
    for name in schema.names:
        text = load.comments.get(name)
        if text is not None and present.get(name) != text:
            cursor.execute(f"COMMENT ON COLUMN main.{table}.{quoted(name)} IS {literal(text)}")
    if load.comment:
        cursor.execute(f"COMMENT ON TABLE main.{table} IS {literal(load.comment)}")


def insert(
    cursor: duckdb.DuckDBPyConnection, load: Load, schema: pa.Schema, files: Sequence[Path], stop: Stop | None = None
) -> int:
    """Inserts the rows of the parts in the load's order and returns their number."""
    if not files:
        return 0
    check_types(cursor, files, schema)
    columns = ", ".join(quoted(name) for name in schema.names)
    into = f"INSERT INTO main.{quoted(load.table)} BY NAME SELECT {columns} FROM "  # noqa: S608 - quoted
    rows = 0
    for source in sorted_slices(load, files, stop=stop):
        ((inserted,),) = cursor.execute(into + source).fetchall()
        rows += int(inserted)
    return rows
