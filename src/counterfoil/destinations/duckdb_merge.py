"""Merging parts into a table: rows whose values differ are replaced by key, and what is gone is marked or dropped.

The rows themselves are read twice, and staged never: what is staged is each row's key, place and fingerprint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from counterfoil.destinations.destination import same_name
from counterfoil.destinations.duckdb_query import check_types
from counterfoil.destinations.ranges import within
from counterfoil.destinations.sql import duckdb_type, parts_source, quoted
from counterfoil.errors import SchemaConflict
from counterfoil.values import Load, Loaded

#: Which run read a row, when, and in which version: what is read again without a difference stays as it was read first.
_NOT_COMPARED = frozenset({"_run", "_synced_at", "_api_version"})
#: Names by which DuckDB tells rows of tables and files apart, unless a column has them.
_PLACES = ("rowid", "file_index", "file_row_number")
#: The place of a row in the parts; later parts and later rows are greater.
_POSITION = "((file_index::BIGINT << 40) + file_row_number)"


def is_unique(cursor: duckdb.DuckDBPyConnection, load: Load, files: Sequence[Path]) -> bool:
    """Whether each row of the parts has a key of its own."""
    if not files:
        return True
    keys = ", ".join(quoted(key) for key in load.primary_key)
    sql = f"SELECT 1 FROM {parts_source(files)} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"  # noqa: S608 - quoted
    return not cursor.execute(sql).fetchall()


def merge(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    files: Sequence[Path],
    columns: Sequence[tuple[str, str]],
) -> Loaded:
    """Merges into the table, whose `columns` are at least the schema's; `rows` are the keys that the parts have."""
    for name in (*schema.names, *(name for name, _ in columns)):
        if same_name(name) in _PLACES:
            raise SchemaConflict(f"a table with a column {name} cannot be merged into", hint="Replace it instead.")
    if files:
        check_types(cursor, files, schema)
    _stage(cursor, load, schema, files, columns)
    _match(cursor, load, columns)
    if load.deleted == "drop":
        cursor.execute("""
            DELETE FROM temp._counterfoil_incoming
            WHERE gone AND position NOT IN (SELECT position FROM temp._counterfoil_matched)
        """)
    rows, added, changed = _counts(cursor)
    deleted = _delete(cursor, load, schema)
    _replace(cursor, load, schema, files)
    for name in ("incoming", "known", "matched", "gone"):
        cursor.execute(f"DROP TABLE temp._counterfoil_{name}")
    return Loaded(rows=rows, added=added, changed=changed, deleted=deleted)


def _stage(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    files: Sequence[Path],
    columns: Sequence[tuple[str, str]],
) -> None:
    """Key, place, fingerprint and time of each row of the parts; of rows with one key that which was read last."""
    keys = [f"{quoted(key)}::{duckdb_type(schema.field(key))} AS key{n}" for n, key in enumerate(load.primary_key)]
    has = set(schema.names)
    synced = "_synced_at::TIMESTAMPTZ" if "_synced_at" in has else "NULL::TIMESTAMPTZ"
    gone = "coalesce(_deleted, false)" if "_deleted" in has else "false"
    # Without parts the same table, and no rows: the names come from the schema then.
    nothing = ", ".join(f"NULL::{duckdb_type(field)} AS {quoted(field.name)}" for field in schema)
    empty = f"(SELECT {nothing}, 0 AS file_index, 0 AS file_row_number WHERE false)"
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_incoming AS
        SELECT {", ".join(keys)}, {_POSITION} AS position, {synced} AS synced_at, {gone} AS gone,
            {_fingerprint(columns, schema)} AS fingerprint
        FROM {parts_source(files) if files else empty}
    """)  # noqa: S608 - quoted
    names = _key_names(load)
    cursor.execute(f"""
        DELETE FROM temp._counterfoil_incoming WHERE position IN (
            SELECT position FROM temp._counterfoil_incoming AS incoming SEMI JOIN (
                SELECT {names} FROM temp._counterfoil_incoming GROUP BY {names} HAVING count(*) > 1
            ) AS doubled ON {_same_key(load, "incoming", "doubled")}
            QUALIFY row_number() OVER (PARTITION BY {names} ORDER BY synced_at DESC NULLS LAST, position DESC) > 1
        )
    """)  # noqa: S608 - names of our own


def _fingerprint(columns: Sequence[tuple[str, str]], schema: pa.Schema | None = None) -> str:
    """64 bits of a row's values in the table's columns; with the schema of parts, those that they lack are null.

    That two rows which differ have the same ones happens once in 10^19 rows.
    """
    present = None if schema is None else {same_name(name): name for name in schema.names}
    values = []
    for name, kind in columns:
        if name in _NOT_COMPARED:
            continue
        source = name if present is None else present.get(same_name(name))
        values.append(f"NULL::{kind}" if source is None else f"{quoted(source)}::{kind}")
    return f"hash({', '.join(values)})"


def _key_names(load: Load) -> str:
    return ", ".join(f"key{n}" for n in range(len(load.primary_key)))


def _same_key(load: Load, one: str, other: str) -> str:
    return " AND ".join(f"{one}.key{n} IS NOT DISTINCT FROM {other}.key{n}" for n in range(len(load.primary_key)))


def _match(cursor: duckdb.DuckDBPyConnection, load: Load, columns: Sequence[tuple[str, str]]) -> None:
    """The rows of the table that have a key of the parts, and whether they already hold the same values."""
    keys = " AND ".join(
        f"incoming.key{n} IS NOT DISTINCT FROM present.{quoted(key)}" for n, key in enumerate(load.primary_key)
    )
    table = f"main.{quoted(load.table)}"
    # In two steps: of rows that no key leads to, nothing but the key is ever read.
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_known AS
        SELECT incoming.position, incoming.gone, incoming.fingerprint, present.rowid AS place
        FROM temp._counterfoil_incoming AS incoming JOIN {table} AS present ON {keys}
    """)  # noqa: S608 - quoted
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_matched AS
        SELECT known.position, known.gone, known.place, known.fingerprint = compared.fingerprint AS same
        FROM temp._counterfoil_known AS known JOIN (
            SELECT rowid AS place, {_fingerprint(columns)} AS fingerprint
            FROM {table} WHERE rowid IN (SELECT place FROM temp._counterfoil_known)
        ) AS compared ON known.place = compared.place
    """)  # noqa: S608 - quoted
    # A key that stands in the table more than once, as appending leaves it, becomes one row.
    cursor.execute("""
        UPDATE temp._counterfoil_matched SET same = false WHERE position IN (
            SELECT position FROM temp._counterfoil_matched GROUP BY position HAVING count(*) > 1
        )
    """)


def _counts(cursor: duckdb.DuckDBPyConnection) -> tuple[int, int, int]:
    """Keys that the parts have, that are new, and whose values differ."""
    ((rows, known, changed),) = cursor.execute("""
        SELECT (SELECT count(*) FROM temp._counterfoil_incoming), count(DISTINCT position),
            count(DISTINCT position) FILTER (NOT same AND NOT gone)
        FROM temp._counterfoil_matched
    """).fetchall()
    return rows, rows - known, changed


def _delete(cursor: duckdb.DuckDBPyConnection, load: Load, schema: pa.Schema) -> int:
    """Marks or drops rows that Stripe says are gone, or no longer lists where the parts are all that it lists."""
    table = f"main.{quoted(load.table)}"
    still_there = "true" if load.deleted == "drop" or "_deleted" not in schema.names else "_deleted IS NOT TRUE"
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_gone AS
        SELECT rowid AS place FROM {table}
        WHERE {still_there} AND (
            rowid IN (SELECT place FROM temp._counterfoil_matched WHERE gone)
            OR ({within(load)} AND rowid NOT IN (SELECT place FROM temp._counterfoil_matched))
        )
    """)  # noqa: S608 - quoted
    ((deleted,),) = cursor.execute("SELECT count(*) FROM temp._counterfoil_gone").fetchall()
    if not deleted:
        return 0
    if load.deleted == "drop":
        cursor.execute(f"DELETE FROM {table} WHERE rowid IN (SELECT place FROM temp._counterfoil_gone)")  # noqa: S608 - quoted
    else:
        read_at = "NULL" if load.as_of is None else f"to_timestamp({int(load.as_of)})"
        cursor.execute(f"""
            UPDATE {table} SET _deleted = true,
                _deleted_at = coalesce({read_at}, (SELECT max(synced_at) FROM temp._counterfoil_incoming), now())
            WHERE rowid IN (SELECT place FROM temp._counterfoil_gone)
        """)  # noqa: S608 - quoted
    return int(deleted)


def _replace(cursor: duckdb.DuckDBPyConnection, load: Load, schema: pa.Schema, files: Sequence[Path]) -> None:
    """Takes out the rows whose values differ, and puts those and the new ones in."""
    if not files:
        return
    table = f"main.{quoted(load.table)}"
    cursor.execute(f"""
        DELETE FROM {table} WHERE rowid IN (SELECT place FROM temp._counterfoil_matched WHERE NOT same AND NOT gone)
    """)  # noqa: S608 - quoted
    # A notice that something is gone never takes the place of values; one of something unknown is all that there is.
    names = ", ".join(quoted(name) for name in schema.names)
    cursor.execute(f"""
        INSERT INTO {table} BY NAME SELECT {names} FROM {parts_source(files)} WHERE {_POSITION} IN (
            SELECT position FROM temp._counterfoil_incoming
            WHERE position NOT IN (SELECT position FROM temp._counterfoil_matched WHERE same OR gone)
        )
    """)  # noqa: S608 - quoted
