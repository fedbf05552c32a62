"""The history of a Postgres table: every version of every row, in a table beside it, and the function `…__as_of`.

What makes a version, and how long it holds, is what `duckdb_history` says: only the SQL is another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from counterfoil.destinations.history import COMMENTS, FIELDS, NOT_A_VALUE, as_of, history_name_taken, history_of
from counterfoil.destinations.keys import key_names, own_keys
from counterfoil.destinations.postgres import tables
from counterfoil.destinations.postgres.merge import (
    drop_temporary,
    has_key,
    has_nulls,
    keep_first,
    make_temporary,
    values,
)
from counterfoil.destinations.postgres.server import Session
from counterfoil.destinations.postgres.types import typed
from counterfoil.destinations.protocol import HISTORY, same_name
from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.errors import SchemaConflict
from counterfoil.values import Load, Loaded

#: Columns of a table that these names would be taken for.
_TAKEN = frozenset({"_valid_from", "_valid_to"})
#: What our functions say, by which they are told from others.
_OURS = "version._valid_from <= $1"
_FUNCTIONS = """
    SELECT proc.prosrc, proc.oid::regprocedure::text FROM pg_proc AS proc
    JOIN pg_namespace AS space ON space.oid = proc.pronamespace WHERE space.nspname = %s AND proc.proname = %s
"""


def check_history(session: Session, load: Load, place: str) -> None:
    """Refuses a load whose history, or function, would take the place of something that is not ours."""
    name, function = history_of(load.table), as_of(load.table)
    there = tables.kind_of(session, name) is not None
    if there and not _is_ours(session, name):
        raise history_name_taken(name, place, load.table)
    if not there and any(_OURS not in text for text, _ in _functions(session, function)):
        raise history_name_taken(function, place, load.table)


def drop_history(session: Session, table: str, place: str) -> None:
    """Removes the history of a table, and its function, as far as they are there and ours."""
    _drop_function(session, table)
    if _is_ours(session, history_of(table)):
        tables.drop(session, history_of(table), place)


def keep_history(
    session: Session, load: Load, schema: pa.Schema, instant: str, *, touched: bool, when_read: bool = True
) -> None:
    """Closes and opens versions, so that the current ones are the table's rows; begins the history where there is none.

    `touched` says whether a merge has left the keys of rows that it touched. A version begins when its row was read; or
    at the `instant`, in SQL, where that can't be, and all of them then unless `when_read`.
    """
    history = history_of(load.table)
    touched = touched and _is_current(session, load)
    columns = tables.columns_of(session, load.table)
    _make(session, load, schema, columns)
    _stage(session, load, columns, touched=touched)
    # A row that the history should have known before, had it been kept, was not in the table for what it says of then.
    earliest = "versions.since" if touched else "(SELECT max(since) FROM pg_temp._counterfoil_versions)"
    seen_at = "present.seen_at" if when_read else "NULL::timestamptz"
    _compare(session, load, columns, instant, earliest, seen_at=seen_at)
    closed = session.run(f"""
        UPDATE {session.named(history)} AS version SET _valid_to = changed.instant
        FROM pg_temp._counterfoil_changed AS changed WHERE version.ctid = changed.version
    """)  # noqa: S608 - quoted
    names = [quoted(name) for name, _ in columns]
    opened = session.run(f"""
        INSERT INTO {session.named(history)} ({", ".join(names)}, _valid_from)
        SELECT {", ".join(f"present.{name}" for name in names)}, changed.instant
        FROM {session.named(load.table)} AS present
        JOIN pg_temp._counterfoil_changed AS changed ON present.ctid = changed.place
    """)  # noqa: S608 - quoted
    drop_temporary(session, *(f"_counterfoil_{name}" for name in ("touched", "present", "versions", "changed")))
    done = Loaded(rows=opened, added=opened, deleted=closed)
    tables.record(session, replace(load, table=history), done, method=HISTORY)


def _is_ours(session: Session, name: str) -> bool:
    """Whether what has that name, if anything, is a history by the record of loads."""
    recorded = any(method == HISTORY for _, method, _ in tables.loads_of(session, name))
    return recorded and tables.kind_of(session, name) in (None, "table")


def _is_current(session: Session, load: Load) -> bool:
    """Whether the history says what the last load left in the table."""
    history = history_of(load.table)
    if tables.kind_of(session, history) is None:
        return False
    last, kept = (tables.loads_of(session, table)[:1] for table in (load.table, history))
    return [run for run, *_ in last] == [run for run, *_ in kept]


def _make(session: Session, load: Load, schema: pa.Schema, columns: tuple[tuple[str, str], ...]) -> None:
    """Makes the table with the versions, and the function, or adds the columns that it lacks; and the comments."""
    for name, _ in columns:
        if same_name(name) in _TAKEN:
            raise SchemaConflict(f"a table with a column {name} has no history", hint="Switch it off.")
    history = history_of(load.table)
    made = tables.kind_of(session, history) is None
    if made:
        tables.create(session, history, [*columns, *typed(pa.schema(FIELDS))])
    hint = f"Rename {history}, or drop it: the history begins anew then."
    if tables.add_columns(session, history, columns, hint=hint) or made:
        _make_function(session, load.table, history)
    tables.index_keys(session, history, load.primary_key)
    words = f"{load.comment} Every version of each row.".strip()
    named = replace(load, table=history, comment=words, comments={**load.comments, **COMMENTS})
    tables.comment(session, named, [*schema.names, *COMMENTS])


def _functions(session: Session, name: str) -> list[tuple[Any, ...]]:
    """Text and name, with its parameters, of each function of the schema that is called so."""
    return session.all(_FUNCTIONS, [session.schema, name])


def _make_function(session: Session, table: str, history: str) -> None:
    """Makes the function anew, since the columns of what it gives can't be changed."""
    _drop_function(session, table)
    columns = [(name, kind) for name, kind in tables.columns_of(session, history) if name not in COMMENTS]
    chosen = ", ".join(f"version.{quoted(name)}" for name, _ in columns)
    text = (
        f"SELECT {chosen} FROM {session.named(history)} AS version "  # noqa: S608 - quoted
        f"WHERE {_OURS} AND (version._valid_to IS NULL OR version._valid_to > $1)"
    )
    named = session.named(as_of(table))
    session.run(
        f"CREATE FUNCTION {named}(timestamp with time zone) RETURNS TABLE ({tables.definitions(columns)}) "
        f"LANGUAGE sql STABLE AS {literal(text)}"
    )
    session.run(f"COMMENT ON FUNCTION {named} IS {literal(f'The rows of {table} as they were at an instant')}")


def _drop_function(session: Session, table: str) -> None:
    """Removes the function if it is there and ours."""
    for text, signature in _functions(session, as_of(table)):
        if _OURS in text:
            session.run(f"DROP FUNCTION {signature}")


def _stage(session: Session, load: Load, columns: tuple[tuple[str, str], ...], *, touched: bool) -> None:
    """The rows of the table and the current versions of the history by key: all, or those that were touched."""
    table, history = session.named(load.table), session.named(history_of(load.table))
    has = {name for name, _ in columns}
    there = "present._deleted IS NOT TRUE" if "_deleted" in has else "true"
    read_at, gone_at = (
        f"present.{name}" if name in has else "NULL::timestamptz" for name in ("_synced_at", "_deleted_at")
    )
    of_touched = ("", "")
    if touched:
        nulls = has_nulls(session, load, "_counterfoil_touched")
        of_touched = tuple(  # type: ignore[assignment]
            f"JOIN pg_temp._counterfoil_touched AS touched ON {has_key(load, 'touched', one, nulls=nulls)}"
            for one in ("present", "version")
        )
    make_temporary(
        session,
        "_counterfoil_present",
        f"""SELECT {own_keys(load, "present")}, present.ctid AS place, {there} AS there,
            CASE WHEN {there} THEN {read_at} ELSE {gone_at} END AS seen_at
        FROM {table} AS present {of_touched[0]}""",  # noqa: S608 - quoted
    )
    keep_first(session, "_counterfoil_present", "place", load, "there DESC, seen_at DESC NULLS LAST, place DESC")
    keys = ", ".join(f"version.{quoted(key)}" for key in load.primary_key)
    # A version that is current may end a microsecond after it began: else no instant would have it.
    make_temporary(
        session,
        "_counterfoil_versions",
        f"""SELECT {own_keys(load, "version")}, max(version.ctid) FILTER (WHERE version._valid_to IS NULL) AS place,
            max(coalesce(version._valid_to, version._valid_from + interval '1 microsecond')) AS since
        FROM {history} AS version {of_touched[1]} GROUP BY {keys}""",  # noqa: S608 - quoted
    )


def _compare(
    session: Session, load: Load, columns: tuple[tuple[str, str], ...], instant: str, earliest: str, *, seen_at: str
) -> None:
    """Which versions are no longer the table's rows, which rows are to be versions, and since when."""
    compared = [
        (name, kind) for name, kind in tables.columns_of(session, history_of(load.table)) if name not in NOT_A_VALUE
    ]
    same = (
        f"{values('held', compared, [name for name, _ in columns])} IS NOT DISTINCT FROM {values('version', compared)}"
    )
    keys = key_names(load)
    make_temporary(
        session,
        "_counterfoil_changed",
        f"""SELECT version, place,
            CASE WHEN seen_at IS NULL OR seen_at < earliest THEN greatest({instant}, earliest)
                ELSE seen_at END AS instant
        FROM (
            SELECT versions.place AS version, CASE WHEN present.there THEN present.place END AS place,
                {seen_at} AS seen_at, {earliest} AS earliest
            FROM (SELECT *, jsonb_build_array({keys}) AS key FROM pg_temp._counterfoil_present) AS present
            FULL JOIN (SELECT *, jsonb_build_array({keys}) AS key FROM pg_temp._counterfoil_versions) AS versions
                ON present.key = versions.key
            LEFT JOIN {session.named(load.table)} AS held ON held.ctid = present.place
            LEFT JOIN {session.named(history_of(load.table))} AS version ON version.ctid = versions.place
            WHERE CASE WHEN present.there THEN versions.place IS NULL OR NOT ({same})
                ELSE versions.place IS NOT NULL END
        ) AS judged""",  # noqa: S608 - quoted
    )
