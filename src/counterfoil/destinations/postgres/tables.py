"""Operations on tables inside a transaction on a Postgres database, and the record of loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson
import pyarrow as pa

from counterfoil.destinations.postgres.server import Session
from counterfoil.destinations.postgres.types import typed
from counterfoil.destinations.protocol import LOADS_TABLE, check_owned, conflict, not_ours, since_replace
from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.errors import DestinationRejected, SettingsError
from counterfoil.values import Load, Loaded

_LOADS_COLUMNS = (
    "run text, table_name text, method text, report text, account text, scope jsonb, rows bigint, "
    "loaded_at timestamp with time zone DEFAULT clock_timestamp(), added bigint, changed bigint, deleted bigint, "
    "number bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (table_name, run)"
)
_KIND = """
    SELECT relkind::text FROM pg_class
    WHERE relname = %s AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
"""
#: Kinds of objects by `relkind`. Only plain tables are loaded: across partitions, a ctid is not unique.
_KINDS = {
    "r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table", "i": "index",
    "I": "index", "S": "sequence", "c": "type", "t": "internal table",
}  # fmt: skip
_READABLE = ("table", "partitioned table", "view", "materialized view", "foreign table")
_COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_COMMENTS = """
    SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT NULL, obj_description(%s::regclass, 'pg_class')
"""


def kind_of(session: Session, name: str) -> str | None:
    """The kind of object with this name in the schema, such as a table, view or index; None if there is none."""
    found = session.all(_KIND, [name, session.schema])
    return _KINDS.get(found[0][0], "object") if found else None


def is_readable(session: Session, name: str) -> bool:
    """Whether there is a table, or an object that can be read like one."""
    return kind_of(session, name) in _READABLE


def columns_of(session: Session, table: str) -> tuple[tuple[str, str], ...]:
    """Name and type of each column of a table or view."""
    return tuple(session.all(_COLUMNS, [session.named(table)]))


def check_place(session: Session) -> bool:
    """Whether the schema exists. SettingsError if a load could not create what it needs."""
    sql = """
        SELECT has_database_privilege(current_database(), 'CREATE'), has_database_privilege(current_database(), 'TEMP'),
            (SELECT has_schema_privilege(oid, 'CREATE, USAGE') FROM pg_namespace WHERE nspname = %s), current_user,
            current_setting('transaction_read_only') = 'on' AND pg_is_in_recovery(), current_database()
    """
    ((may_create, may_temp, may_make, user, standby, database),) = session.all(sql, [session.schema])
    who, where = quoted(user), quoted(database)
    if standby:
        raise DestinationRejected("the server is a standby, which is read-only", hint="Use the primary server.")
    if may_make is None and not may_create:
        raise SettingsError(
            f"schema {session.schema} not found, and {user} may not create it",
            hint=f"Run: CREATE SCHEMA {quoted(session.schema)} AUTHORIZATION {who};",
        )
    if may_make is False:
        raise SettingsError(
            f"{user} may not create tables in the schema {session.schema}",
            hint=f"Use another ?schema=…, or run: GRANT USAGE, CREATE ON SCHEMA {quoted(session.schema)} TO {who};",
        )
    if not may_temp:
        raise SettingsError(
            f"{user} may not create temporary tables in {database}",
            hint=f"Run: GRANT TEMP ON DATABASE {where} TO {who};",
        )
    return may_make is not None


def make_loads(session: Session) -> None:
    """Creates the schema and the record of loads if they are missing."""
    if kind_of(session, LOADS_TABLE) == "table":
        return
    # Otherwise two concurrent processes would both find them missing.
    session.run("SELECT pg_advisory_xact_lock(hashtext(%s))", [session.named(LOADS_TABLE)])
    if not check_place(session):
        session.run(f"CREATE SCHEMA IF NOT EXISTS {quoted(session.schema)}")
    kind = kind_of(session, LOADS_TABLE)
    if kind is None:
        session.run(f"CREATE TABLE {session.named(LOADS_TABLE)} ({_LOADS_COLUMNS})")
    elif kind != "table":
        raise DestinationRejected(f"{LOADS_TABLE} is a {kind}, not Counterfoil's table", hint="Drop or rename it.")


def _loads(session: Session) -> str:
    """The name of the record of loads in a statement with parameters."""
    return session.named(LOADS_TABLE).replace("%", "%%")


def loads_of(session: Session, table: str) -> list[tuple[str, str, Any]]:
    """Run, method and scope of each load into the table, newest first."""
    if kind_of(session, LOADS_TABLE) is None:
        return []
    sql = f"SELECT run, method, scope FROM {_loads(session)} WHERE table_name = %s ORDER BY number DESC"  # noqa: S608 - quoted
    return [(run, method, scope) for run, method, scope in session.all(sql, [table])]


def loaded(session: Session, load: Load) -> Loaded | None:
    """The result of the run's load; None if it was not loaded, or the table no longer exists."""
    if kind_of(session, load.table) != "table" or kind_of(session, LOADS_TABLE) is None:
        return None
    sql = f"SELECT rows, added, changed, deleted FROM {_loads(session)} WHERE run = %s AND table_name = %s"  # noqa: S608 - quoted
    found = session.all(sql, [load.run, load.table])
    return Loaded(**dict(zip(("rows", "added", "changed", "deleted"), found[0], strict=True))) if found else None


def scopes_of(session: Session, table: str) -> tuple[Mapping[str, Any], ...] | None:
    """The scopes of the loads whose rows are in the table."""
    loads = loads_of(session, table) if is_readable(session, table) else []
    return since_replace((method, scope) for _, method, scope in loads) if loads else None


def record(session: Session, load: Load, done: Loaded, *, method: str | None = None) -> None:
    """Records the load, with its own method or `method`. Replaces an entry of the run for a dropped table."""
    loads = _loads(session)
    session.run(f"DELETE FROM {loads} WHERE run = %s AND table_name = %s", [load.run, load.table])  # noqa: S608 - quoted
    values = {
        "run": load.run,
        "table_name": load.table,
        "method": method or load.method,
        "report": load.report,
        "account": load.account,
        "scope": orjson.dumps(dict(load.scope)).decode(),
        **asdict(done),
    }
    marks = ", ".join(["%s"] * len(values))
    session.run(f"INSERT INTO {loads} ({', '.join(values)}) VALUES ({marks})", list(values.values()))  # noqa: S608 - quoted


def drop(session: Session, table: str, place: str) -> bool:
    """Drops a table that Counterfoil created, and the entries of its loads; False if there is none."""
    kind, loads = kind_of(session, table), loads_of(session, table)
    if kind is not None and (kind != "table" or not loads):
        raise not_ours(table, place)
    if kind == "table":
        session.run(f"DROP TABLE {session.named(table)}")
    if loads:
        session.run(f"DELETE FROM {_loads(session)} WHERE table_name = %s", [table])  # noqa: S608 - quoted
    return kind == "table"


def forget(session: Session, table: str, method: str) -> None:
    """Deletes the table's entries with this method from the record."""
    session.run(f"DELETE FROM {_loads(session)} WHERE table_name = %s AND method = %s", [table, method])  # noqa: S608 - quoted


def check_ours(session: Session, load: Load, place: str) -> bool:
    """Whether the table exists. Rejects one that Counterfoil did not create, unless the load may overwrite it."""
    kind = kind_of(session, load.table)
    return check_owned(load, kind, [method for _, method, _ in loads_of(session, load.table)], place)


def create(session: Session, table: str, columns: Iterable[tuple[str, str]]) -> None:
    """Creates the table, empty."""
    session.run(f"CREATE TABLE {session.named(table)} ({definitions(columns)})")


def definitions(columns: Iterable[tuple[str, str]]) -> str:
    """The columns of a CREATE TABLE."""
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in columns)


def add_columns(session: Session, table: str, columns: Iterable[tuple[str, str]], **hint: str) -> bool:
    """Adds the columns (name and type) that the table lacks, and returns whether there were any.

    SchemaConflict, with `hint`, if one has another type.
    """
    present = dict(columns_of(session, table))
    added = []
    for name, wanted in columns:
        kind = present.get(name)
        if kind is None:
            added.append(f"ADD COLUMN {quoted(name)} {wanted}")
        elif kind != wanted:
            raise conflict(table, name, kind, wanted, **hint)
    if added:
        session.run(f"ALTER TABLE {session.named(table)} {', '.join(added)}")
    return bool(added)


def widen(session: Session, table: str, schema: pa.Schema) -> None:
    """Adds the columns that the table lacks. SchemaConflict if one has another type."""
    add_columns(session, table, typed(schema))


def count(session: Session, table: str) -> int:
    """The number of rows in the table."""
    return int(session.one(f"SELECT count(*) FROM {session.named(table)}"))  # noqa: S608 - quoted


def comment(session: Session, load: Load, names: Sequence[str], table: str | None = None) -> None:
    """Sets the comments that differ from the load's, on its table or on another with the same columns."""
    named = session.named(table or load.table)
    present = dict(session.all(_COMMENTS, [named, named]))
    set_ = []
    for name in names:
        text = load.comments.get(name, "").replace("\0", "")
        if text and present.get(name) != text:
            set_.append(f"COMMENT ON COLUMN {named}.{quoted(name)} IS {literal(text)}")
    title = load.comment.replace("\0", "")
    if title and present.get(None) != title:
        set_.append(f"COMMENT ON TABLE {named} IS {literal(title)}")
    if set_:
        # In one round trip to the server.
        session.run("; ".join(set_))


def index_keys(session: Session, table: str, keys: Sequence[str]) -> None:
    """Creates an index on the key columns, unless an index begins with them."""
    sql = """
        SELECT 1 FROM pg_index WHERE indrelid = %s::regclass AND indisvalid AND indpred IS NULL
        AND (SELECT array_agg(attname::text ORDER BY place)
            FROM unnest(indkey::int2[]) WITH ORDINALITY AS part(number, place)
            JOIN pg_attribute ON attrelid = indrelid AND attnum = number
            WHERE place <= %s) = %s::text[]
    """
    if not session.all(sql, [session.named(table), len(keys), list(keys)]):
        named, columns = session.named(table), ", ".join(map(quoted, keys))
        # Without ANALYZE, the planner would ignore the index until autovacuum has collected statistics.
        session.run(f"CREATE INDEX ON {named} ({columns}); ANALYZE {named} ({columns})")
