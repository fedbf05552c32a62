"""Merges parts into a table by key: replaces changed rows, and marks or drops deleted ones.

The rows themselves are read twice and never staged. Only the key, position and fingerprint of each row are staged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from counterfoil.destinations.keys import fingerprint, is_key, is_notice, keep_first, key_names, own_keys
from counterfoil.destinations.protocol import same_name
from counterfoil.destinations.sql.query import check_types
from counterfoil.destinations.sql.ranges import within
from counterfoil.destinations.sql.text import duckdb_type, parts_source, quoted
from counterfoil.errors import SchemaConflict
from counterfoil.values import Load, Loaded

#: Names of row identifiers in DuckDB tables and files, unless a column has the name.
_PLACES = ("rowid", "file_index", "file_row_number")
#: The position of a row in the parts: greater for later parts and later rows.
POSITION = "((file_index::BIGINT << 40) + file_row_number)"


def is_unique(cursor: duckdb.DuckDBPyConnection, load: Load, files: Sequence[Path]) -> bool:
    """Whether no two rows of the parts have the same key."""
    if not files:
        return True
    keys = ", ".join(quoted(key) for key in load.primary_key)
    sql = f"SELECT 1 FROM {parts_source(files)} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"  # noqa: S608 - quoted
    return not cursor.execute(sql).fetchall()


def read_at(load: Load, schema: pa.Schema, files: Sequence[Path]) -> str:
    """SQL: the instant that the load describes. Rows that it lacks were deleted by then."""
    if load.as_of is not None:
        return f"to_timestamp({int(load.as_of)})"
    if "_synced_at" not in schema.names or not files:
        return "now()"
    return f"coalesce((SELECT max(_synced_at)::TIMESTAMPTZ FROM {parts_source(files)}), now())"  # noqa: S608 - quoted


def merge(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    files: Sequence[Path],
    columns: Sequence[tuple[str, str]],
) -> Loaded:
    """Merges into the table. `columns` include all of the schema's; `rows` of the result counts the parts' keys.

    With a history, the keys of rows that may have changed stay in `temp._counterfoil_touched`.
    """
    done = compare(cursor, load, schema, files, columns)
    if load.history:
        _touch(cursor, load)
    if done.deleted:
        _delete(cursor, load, read_at(load, schema, files))
    _replace(cursor, load, schema, files)
    forget(cursor)
    return done


def compare(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    files: Sequence[Path],
    columns: Sequence[tuple[str, str]],
    *,
    narrow: Callable[[], None] | None = None,
    widen: Callable[[], None] | None = None,
) -> Loaded:
    """Finds the rows that a merge affects, and counts them. They stay in temporary tables until `forget`.

    Whole rows of the table, or of a view with a column `rowid`, are read only between `narrow` and `widen`, and only
    those with a position in `temp._counterfoil_known`.
    """
    for name in (*schema.names, *(name for name, _ in columns)):
        if same_name(name) in _PLACES:
            raise SchemaConflict(
                f"a table with a column {name} cannot be merged into",
                hint="Use replace instead.",
                code="reserved_column",
            )
    if files:
        check_types(cursor, files, schema)
    _stage(cursor, load, schema, files, columns)
    _match(cursor, load, columns, narrow, widen)
    # A deletion notice for an unknown key inserts no row: the object may never have been in the table.
    cursor.execute("""
        DELETE FROM temp._counterfoil_incoming
        WHERE notice AND position NOT IN (SELECT position FROM temp._counterfoil_matched)
    """)
    rows, added, changed = _counts(cursor)
    deleted = _find_gone(cursor, load, schema)
    return Loaded(rows=rows, added=added, changed=changed, deleted=deleted)


def forget(cursor: duckdb.DuckDBPyConnection) -> None:
    """Drops the temporary tables of `compare`."""
    for name in ("incoming", "known", "compared", "matched", "gone"):
        cursor.execute(f"DROP TABLE temp._counterfoil_{name}")


def _stage(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    files: Sequence[Path],
    columns: Sequence[tuple[str, str]],
) -> None:
    """Stages key, position, fingerprint and time of the rows of the parts; per key, the row that was read last."""
    keys = [f"{quoted(key)}::{duckdb_type(schema.field(key))} AS key{n}" for n, key in enumerate(load.primary_key)]
    has = set(schema.names)
    synced = "_synced_at::TIMESTAMPTZ" if "_synced_at" in has else "NULL::TIMESTAMPTZ"
    gone = "coalesce(_deleted, false)" if "_deleted" in has else "false"
    # Without parts, an empty table with the columns of the schema.
    nothing = ", ".join(f"NULL::{duckdb_type(field)} AS {quoted(field.name)}" for field in schema)
    empty = f"(SELECT {nothing}, 0 AS file_index, 0 AS file_row_number WHERE false)"
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_incoming AS
        SELECT {", ".join(keys)}, {POSITION} AS position, {synced} AS synced_at, {gone} AS gone,
            {is_notice(load, schema.names)} AS notice, {fingerprint(columns, schema.names)} AS fingerprint
        FROM {parts_source(files) if files else empty}
    """)  # noqa: S608 - quoted
    keep_first(cursor, "_counterfoil_incoming", "position", load, "synced_at DESC NULLS LAST, position DESC")


def _match(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    columns: Sequence[tuple[str, str]],
    narrow: Callable[[], None] | None,
    widen: Callable[[], None] | None,
) -> None:
    """Finds the rows of the table with a key of the parts, and whether their values are the same."""
    keys = is_key(load, "incoming", "present")
    table = f"main.{quoted(load.table)}"
    # In steps: only the key is read of rows without a match, and the join holds no wide rows.
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_known AS
        SELECT incoming.position, incoming.gone, incoming.fingerprint, present.rowid AS place
        FROM temp._counterfoil_incoming AS incoming JOIN {table} AS present ON {keys}
    """)  # noqa: S608 - quoted
    if narrow is not None:
        narrow()
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_compared AS
        SELECT rowid AS place, {fingerprint(columns)} AS fingerprint
        FROM {table} WHERE rowid IN (SELECT place FROM temp._counterfoil_known)
    """)  # noqa: S608 - quoted
    if widen is not None:
        widen()
    cursor.execute("""
        CREATE TEMP TABLE _counterfoil_matched AS
        SELECT known.position, known.gone, known.place, known.fingerprint = compared.fingerprint AS same
        FROM temp._counterfoil_known AS known JOIN temp._counterfoil_compared AS compared USING (place)
    """)
    # A key that is in the table more than once, after appends, becomes one row.
    cursor.execute("""
        UPDATE temp._counterfoil_matched SET same = false WHERE position IN (
            SELECT position FROM temp._counterfoil_matched GROUP BY position HAVING count(*) > 1
        )
    """)


def _counts(cursor: duckdb.DuckDBPyConnection) -> tuple[int, int, int]:
    """The number of keys in the parts, of new keys, and of keys with changed values."""
    ((rows, known, changed),) = cursor.execute("""
        SELECT (SELECT count(*) FROM temp._counterfoil_incoming), count(DISTINCT position),
            count(DISTINCT position) FILTER (NOT same AND NOT gone)
        FROM temp._counterfoil_matched
    """).fetchall()
    return rows, rows - known, changed


def _find_gone(cursor: duckdb.DuckDBPyConnection, load: Load, schema: pa.Schema) -> int:
    """Counts rows that Stripe reports as deleted, or that are missing from ranges that the parts cover."""
    table = f"main.{quoted(load.table)}"
    still_there = "true" if load.deleted == "drop" or "_deleted" not in schema.names else "_deleted IS NOT TRUE"
    judged = within(load)
    if load.parents:
        cursor.execute(
            "CREATE TEMP TABLE _counterfoil_parents AS SELECT unnest(?::VARCHAR[]) AS parent", [list(load.parents.ids)]
        )
        column = quoted(load.parents.column)
        judged = f"({judged} OR {column}::VARCHAR IN (SELECT parent FROM temp._counterfoil_parents))"  # noqa: S608 - quoted
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_gone AS
        SELECT rowid AS place FROM {table}
        WHERE {still_there} AND (
            rowid IN (SELECT place FROM temp._counterfoil_matched WHERE gone)
            OR ({judged} AND rowid NOT IN (SELECT place FROM temp._counterfoil_matched))
        )
    """)  # noqa: S608 - quoted
    cursor.execute("DROP TABLE IF EXISTS temp._counterfoil_parents")
    ((deleted,),) = cursor.execute("SELECT count(*) FROM temp._counterfoil_gone").fetchall()
    return int(deleted)


def _touch(cursor: duckdb.DuckDBPyConnection, load: Load) -> None:
    """Stores the keys of new, changed and deleted rows."""
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_touched AS
        SELECT {key_names(load)} FROM temp._counterfoil_incoming
        WHERE position NOT IN (SELECT position FROM temp._counterfoil_matched WHERE same)
        UNION
        SELECT {own_keys(load, "present")} FROM main.{quoted(load.table)} AS present
        WHERE present.rowid IN (SELECT place FROM temp._counterfoil_gone)
    """)  # noqa: S608 - quoted


def _delete(cursor: duckdb.DuckDBPyConnection, load: Load, instant: str) -> None:
    """Marks or drops the deleted rows."""
    table = f"main.{quoted(load.table)}"
    gone = "rowid IN (SELECT place FROM temp._counterfoil_gone)"
    if load.deleted == "drop":
        cursor.execute(f"DELETE FROM {table} WHERE {gone}")  # noqa: S608 - quoted
    else:
        cursor.execute(f"UPDATE {table} SET _deleted = true, _deleted_at = {instant} WHERE {gone}")  # noqa: S608 - quoted


def _replace(cursor: duckdb.DuckDBPyConnection, load: Load, schema: pa.Schema, files: Sequence[Path]) -> None:
    """Deletes the changed rows, then inserts the changed and new ones."""
    if not files:
        return
    table = f"main.{quoted(load.table)}"
    cursor.execute(f"""
        DELETE FROM {table} WHERE rowid IN (SELECT place FROM temp._counterfoil_matched WHERE NOT same AND NOT gone)
    """)  # noqa: S608 - quoted
    names = ", ".join(quoted(name) for name in schema.names)
    for source in result_counts(files):
        cursor.execute(f"INSERT INTO {table} BY NAME SELECT {names} FROM {source}")  # noqa: S608 - quoted


def result_counts(files: Sequence[Path]) -> Iterator[str]:
    """FROM clauses for the new and changed rows of the parts.

    One part at a time: for all parts, the join and the wide rows would share the memory.
    """
    for number, file in enumerate(files):
        position = POSITION.replace("file_index", f"{number}")
        # A deletion notice never replaces values.
        yield f"""{parts_source([file])} WHERE {position} IN (
            SELECT position FROM temp._counterfoil_incoming
            WHERE position >> 40 = {number}
            AND position NOT IN (SELECT position FROM temp._counterfoil_matched WHERE same OR gone)
        )"""  # noqa: S608 - quoted
