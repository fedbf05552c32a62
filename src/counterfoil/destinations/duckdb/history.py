"""The history of a DuckDB table: each load updates the table of versions and the macro."""

from __future__ import annotations

import itertools
from dataclasses import replace

import duckdb
import pyarrow as pa

from counterfoil.destinations.duckdb import tables
from counterfoil.destinations.duckdb.as_of import drop_macro, macros, make_macro
from counterfoil.destinations.history import COMMENTS, FIELDS, NOT_A_VALUE, as_of, history_name_taken, history_of
from counterfoil.destinations.keys import fingerprint, is_key, keep_first, own_keys, same_key
from counterfoil.destinations.protocol import HISTORY, same_name
from counterfoil.destinations.sql.text import quoted
from counterfoil.errors import SchemaConflict
from counterfoil.values import Load, Loaded

#: Column names that a table with a history cannot have.
_TAKEN = frozenset({"rowid", "_valid_from", "_valid_to"})

#: Rows to copy at a time.
_SLICE_ROWS = 100_000


def check_history(cursor: duckdb.DuckDBPyConnection, load: Load, place: str) -> None:
    """Rejects a load if Counterfoil did not create what has the name of its history or macro."""
    name, macro = history_of(load.table), as_of(load.table)
    there = tables.kind_of(cursor, name) is not None
    if there and not _is_ours(cursor, name):
        found = name
    elif not there and macros(cursor).get(same_name(macro)) is False:
        found = macro
    else:
        return
    raise history_name_taken(found, place, load.table)


def drop_history(cursor: duckdb.DuckDBPyConnection, table: str, place: str) -> None:
    """Drops the history of a table and its macro, if Counterfoil created them."""
    if _is_ours(cursor, history_of(table)):
        tables.drop(cursor, history_of(table), place)
    drop_macro(cursor, table)


def keep_history(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    schema: pa.Schema,
    instant: str,
    *,
    touched: bool,
    when_read: bool = True,
) -> None:
    """Closes and opens versions so that the current ones are the table's rows. Creates the history if it is missing.

    `touched` says whether a merge has stored the keys of the rows that it changed. A version begins when its row was
    read, or at `instant` (SQL) if that is not possible. Without `when_read`, all new versions begin at `instant`.
    """
    history = history_of(load.table)
    touched = touched and _is_current(cursor, load)
    columns = tables.columns_of(cursor, load.table)
    _make(cursor, load, schema, columns)
    _stage(cursor, load, columns, touched=touched)
    # After a gap, a new version must not begin before the latest recorded change: the history already describes the
    # time before it.
    earliest = "versions.since" if touched else "(SELECT max(since) FROM temp._counterfoil_versions)"
    _compare(cursor, load, instant, earliest, seen_at="present.seen_at" if when_read else "NULL::TIMESTAMPTZ")
    ((closed,),) = cursor.execute(f"""
        UPDATE main.{quoted(history)} AS version SET _valid_to = changed.instant
        FROM temp._counterfoil_changed AS changed WHERE version.rowid = changed.version
    """).fetchall()  # noqa: S608 - quoted
    opened = _open(cursor, load)
    for name in ("touched", "present", "versions", "compared", "changed"):
        cursor.execute(f"DROP TABLE IF EXISTS temp._counterfoil_{name}")
    done = Loaded(rows=opened, added=opened, deleted=int(closed))
    tables.record(cursor, replace(load, table=history), done, method=HISTORY)


def _is_ours(cursor: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether the record of loads has this name as a history, and it is not a view now."""
    recorded = any(method == HISTORY for _, method, _ in tables.loads_of(cursor, name))
    return recorded and tables.kind_of(cursor, name) != "view"


def _is_current(cursor: duckdb.DuckDBPyConnection, load: Load) -> bool:
    """Whether the history includes the last load into the table."""
    history = history_of(load.table)
    if tables.kind_of(cursor, history) is None:
        return False
    last, kept = (tables.loads_of(cursor, table)[:1] for table in (load.table, history))
    return [run for run, *_ in last] == [run for run, *_ in kept]


def _make(
    cursor: duckdb.DuckDBPyConnection, load: Load, schema: pa.Schema, columns: tuple[tuple[str, str], ...]
) -> None:
    """Creates the table of versions and the macro, or adds missing columns. Sets the comments."""
    for name, _ in columns:
        if same_name(name) in _TAKEN:
            raise SchemaConflict(
                f"a table with a column {name} cannot have a history",
                hint="Turn the history off.",
                code="reserved_column",
            )
    history = history_of(load.table)
    if tables.kind_of(cursor, history) is None:
        all_columns = [*columns, *((field.name, "TIMESTAMP WITH TIME ZONE") for field in FIELDS)]
        made = ", ".join(f"{quoted(name)} {kind}" for name, kind in all_columns)
        cursor.execute(f"CREATE TABLE main.{quoted(history)} ({made})")
        make_macro(cursor, load.table, history)
    else:
        hint = f"Rename or drop {history} to start a new history."
        tables.add_columns(cursor, history, columns, hint=hint)
    text = f"{load.comment} Every version of each row.".strip()
    named = replace(load, table=history, comment=text, comments={**load.comments, **COMMENTS})
    tables.comment(cursor, named, pa.schema([*schema, *FIELDS]))


def _stage(
    cursor: duckdb.DuckDBPyConnection, load: Load, columns: tuple[tuple[str, str], ...], *, touched: bool
) -> None:
    """Stages the rows of the table and the current versions by key: all of them, or those of changed keys."""
    table, history = f"main.{quoted(load.table)}", f"main.{quoted(history_of(load.table))}"
    has = {same_name(name) for name, _ in columns}
    there = "present._deleted IS NOT TRUE" if "_deleted" in has else "true"
    read_at, gone_at = (
        f"present.{name}::TIMESTAMPTZ" if name in has else "NULL::TIMESTAMPTZ" for name in ("_synced_at", "_deleted_at")
    )
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_present AS
        SELECT {own_keys(load, "present")}, present.rowid AS place, {there} AS there,
            CASE WHEN {there} THEN {read_at} ELSE {gone_at} END AS seen_at,
            {_fingerprint(cursor, load, columns)} AS fingerprint
        FROM {table} AS present WHERE {_of_keys(load, table) if touched else "true"}
    """)  # noqa: S608 - quoted
    keep_first(cursor, "_counterfoil_present", "place", load, "there DESC, seen_at DESC NULLS LAST, place DESC")
    keys = ", ".join(f"version.{quoted(key)}" for key in load.primary_key)
    # A current version lasts at least a microsecond; otherwise it would not be valid at any instant.
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_versions AS
        SELECT {own_keys(load, "version")}, max(version.rowid) FILTER (version._valid_to IS NULL) AS place,
            max(coalesce(version._valid_to, version._valid_from + INTERVAL 1 MICROSECOND)) AS since
        FROM {history} AS version WHERE {_of_keys(load, history) if touched else "true"} GROUP BY {keys}
    """)  # noqa: S608 - quoted


def _of_keys(load: Load, table: str) -> str:
    """SQL condition: the row has a changed key. Of other rows only the key is read."""
    return f"""rowid IN (
        SELECT found.rowid FROM {table} AS found SEMI JOIN temp._counterfoil_touched AS touched
        ON {is_key(load, "touched", "found")}
    )"""  # noqa: S608 - quoted


def _fingerprint(
    cursor: duckdb.DuckDBPyConnection, load: Load, columns: tuple[tuple[str, str], ...] | None = None
) -> str:
    """SQL: the fingerprint of the history's columns. Columns that the table lacks count as null."""
    kept = tables.columns_of(cursor, history_of(load.table))
    compared = [(name, kind) for name, kind in kept if same_name(name) not in NOT_A_VALUE]
    return fingerprint(compared, None if columns is None else [name for name, _ in columns])


def _compare(cursor: duckdb.DuckDBPyConnection, load: Load, instant: str, earliest: str, *, seen_at: str) -> None:
    """Finds versions to close and rows that become versions, each with its instant."""
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_compared AS
        SELECT rowid AS place, {_fingerprint(cursor, load)} AS fingerprint FROM main.{quoted(history_of(load.table))}
        WHERE rowid IN (SELECT place FROM temp._counterfoil_versions)
    """)  # noqa: S608 - quoted
    cursor.execute(f"""
        CREATE TEMP TABLE _counterfoil_changed AS
        SELECT version, place,
            CASE WHEN seen_at IS NULL OR seen_at < earliest THEN greatest({instant}, earliest)
                ELSE seen_at END AS instant
        FROM (
            SELECT versions.place AS version, CASE WHEN present.there THEN present.place END AS place,
                {seen_at} AS seen_at, {earliest} AS earliest
            FROM temp._counterfoil_present AS present
            FULL JOIN temp._counterfoil_versions AS versions ON {same_key(load, "present", "versions")}
            LEFT JOIN temp._counterfoil_compared AS compared ON compared.place = versions.place
            WHERE CASE WHEN present.there THEN versions.place IS NULL OR compared.fingerprint <> present.fingerprint
                ELSE versions.place IS NOT NULL END
        )
    """)  # noqa: S608 - quoted


def _open(cursor: duckdb.DuckDBPyConnection, load: Load) -> int:
    """Copies the rows that become versions, in slices, since a join and wide rows share the memory."""
    starts = cursor.execute(f"""
        SELECT min(place) FROM (
            SELECT place, (row_number() OVER (ORDER BY place) - 1) // {_SLICE_ROWS} AS slice
            FROM temp._counterfoil_changed WHERE place IS NOT NULL
        ) GROUP BY slice ORDER BY slice
    """).fetchall()  # noqa: S608 - a number
    opened = 0
    for (start,), (end,) in itertools.zip_longest(starts, starts[1:], fillvalue=(None,)):
        here = f"place >= {start}" + ("" if end is None else f" AND place < {end}")
        ((rows,),) = cursor.execute(f"""
            INSERT INTO main.{quoted(history_of(load.table))} BY NAME SELECT present.*, changed.instant AS _valid_from
            FROM main.{quoted(load.table)} AS present
            JOIN (SELECT * FROM temp._counterfoil_changed WHERE {here}) AS changed ON present.rowid = changed.place
        """).fetchall()  # noqa: S608 - quoted
        opened += int(rows)
    return opened
