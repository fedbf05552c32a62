"""The history of a Postgres table: every version of every row, in a second table, and the function `…__as_of`.

The rules for versions are those of `duckdb/history.py`; only the SQL differs.
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

#: Column names that a table with a history cannot have.
_TAKEN = frozenset({"_valid_from", "_valid_to"})
#: Text in the source of our functions, which identifies them.
_OURS = "version._valid_from <= $1"
_FUNCTIONS = """
    SELECT proc.prosrc, proc.oid::regprocedure::text FROM pg_proc AS proc
    JOIN pg_namespace AS space ON space.oid = proc.pronamespace WHERE space.nspname = %s AND proc.proname = %s
"""


def check_history(session: Session, load: Load, place: str) -> None:
    """Rejects a load if Counterfoil did not create what has the name of its history or function."""
    name, function = history_of(load.table), as_of(load.table)
    there = tables.kind_of(session, name) is not None
    if there and not _is_ours(session, name):
        raise history_name_taken(name, place, load.table)
    if not there and any(_OURS not in text for text, _ in _functions(session, function)):
        raise history_name_taken(function, place, load.table)


def drop_history(session: Session, table: str, place: str) -> None:
    """Drops the history of a table and its function, if Counterfoil created them."""
    _drop_function(session, table)
    if _is_ours(session, history_of(table)):
        tables.drop(session, history_of(table), place)


def keep_history(
    session: Session, load: Load, schema: pa.Schema, instant: str, *, touched: bool, when_read: bool = True
) -> None:
    """Closes and opens versions so that the current ones are the table's rows. Creates the history if it is missing.

    `touched` says whether a merge has stored the keys of the rows that it changed. A version begins when its row was
    read, or at `instant` (SQL) if that is not possible. Without `when_read`, all new versions begin at `instant`.
    """
    history = history_of(load.table)
    touched = touched and _is_current(session, load)
    columns = tables.columns_of(session, load.table)
    _make(session, load, schema, columns)
    _stage(session, load, columns, touched=touched)
    # After a gap, a new version must not begin before the latest recorded change: the history already describes the
    # time before it.
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
    """Whether the record of loads has this name as a history, and it is a table or nothing now."""
    recorded = any(method == HISTORY for _, method, _ in tables.loads_of(session, name))
    return recorded and tables.kind_of(session, name) in (None, "table")


def _is_current(session: Session, load: Load) -> bool:
    """Whether the history includes the last load into the table."""
    history = history_of(load.table)
    if tables.kind_of(session, history) is None:
        return False
    last, kept = (tables.loads_of(session, table)[:1] for table in (load.table, history))
    return [run for run, *_ in last] == [run for run, *_ in kept]


def _make(session: Session, load: Load, schema: pa.Schema, columns: tuple[tuple[str, str], ...]) -> None:
    """Creates the table of versions and the function, or adds missing columns. Sets the comments."""
    for name, _ in columns:
        if same_name(name) in _TAKEN:
            raise SchemaConflict(
                f"a table with a column {name} cannot have a history",
                hint="Turn the history off.",
                code="reserved_column",
            )
    history = history_of(load.table)
    made = tables.kind_of(session, history) is None
    if made:
        tables.create(session, history, [*columns, *typed(pa.schema(FIELDS))])
    hint = f"Rename or drop {history} to start a new history."
    if tables.add_columns(session, history, columns, hint=hint) or made:
        _make_function(session, load.table, history)
    tables.index_keys(session, history, load.primary_key)
    text = f"{load.comment} Every version of each row.".strip()
    named = replace(load, table=history, comment=text, comments={**load.comments, **COMMENTS})
    tables.comment(session, named, [*schema.names, *COMMENTS])


def _functions(session: Session, name: str) -> list[tuple[Any, ...]]:
    """Source and signature of each function with this name in the schema."""
    return session.all(_FUNCTIONS, [session.schema, name])


def _make_function(session: Session, table: str, history: str) -> None:
    """Recreates the function, since the columns of its result can't be changed."""
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
    session.run(f"COMMENT ON FUNCTION {named} IS {literal(f'The rows of {table} as of an instant')}")


def _drop_function(session: Session, table: str) -> None:
    """Drops the function if Counterfoil created it."""
    for text, signature in _functions(session, as_of(table)):
        if _OURS in text:
            session.run(f"DROP FUNCTION {signature}")


def _stage(session: Session, load: Load, columns: tuple[tuple[str, str], ...], *, touched: bool) -> None:
    """Stages the rows of the table and the current versions by key: all of them, or those of changed keys."""
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
    # A current version lasts at least a microsecond; otherwise it would not be valid at any instant.
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
    """Finds versions to close and rows that become versions, each with its instant."""
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
