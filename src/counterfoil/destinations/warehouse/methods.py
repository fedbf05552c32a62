"""The update methods, from a staging table into a table, inside a transaction on a warehouse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from counterfoil.destinations.keys import NOT_COMPARED, OBJECT
from counterfoil.destinations.protocol import same_name
from counterfoil.destinations.sql.ranges import no_created
from counterfoil.destinations.warehouse.tables import Session
from counterfoil.errors import RunError
from counterfoil.values import Load, Loaded, Window

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_SECONDS = 253_402_300_800  # the year 10000
Condition = tuple[str, list[Any]]


def put(session: Session, load: Load, schema: pa.Schema, staged: str) -> Loaded:
    """Inserts the staged rows. A replace first deletes all rows, a partition load those in its ranges."""
    table, rows = session.named(load.table), session.named(staged)
    deleted_count = 0
    if load.method == "partition":
        where, values = _within(session, load, load.table)
        check_within(session, load, staged)
        deleted_count = session.count(f"{table} WHERE {where}", *values)
        session.ask(f"DELETE FROM {table} WHERE {where}", *values)  # noqa: S608 - quoted
    elif load.method == "replace":
        deleted_count = session.count(table)
        session.ask(f"DELETE FROM {table} WHERE 1 = 1")  # noqa: S608 - quoted
    _insert(session, schema, table, rows)
    added = session.count(rows)
    return Loaded(rows=added, added=added, deleted=deleted_count)


def exchange(session: Session, load: Load, schema: pa.Schema, staged: str) -> Loaded:
    """Replaces all rows in one statement, for warehouses without transactions."""
    deleted_count = session.count(session.named(load.table)) if session.columns(load.table)[0] else 0
    engine = " ENGINE = MergeTree ORDER BY tuple()" if session.place.warehouse == "clickhouse" else ""
    source = f"SELECT {session.listed(schema.names)} FROM {session.named(staged)}"  # noqa: S608 - quoted
    session.ask(f"CREATE OR REPLACE TABLE {session.named(load.table)}{engine} AS {source}")
    added = session.count(session.named(staged))
    return Loaded(rows=added, added=added, deleted=deleted_count)


def check_partition(session: Session, load: Load) -> None:
    """Rejects a partition load into a table without a creation time."""
    (present,) = session.columns(load.table)
    if present and same_name(load.created or "") not in map(same_name, present):
        raise no_created(load)


def check_within(session: Session, load: Load, staged: str) -> None:
    """Rejects rows outside the ranges that they replace: the next load would not find them."""
    rows = session.named(staged)
    where, values = _within(session, load, staged)
    outside = session.count(rows) - session.count(f"{rows} WHERE {where}", *values)
    if outside:
        raise RunError(
            f"{load.table}: {outside} of the rows are not in the ranges to replace",
            hint="Run the report again; the table is unchanged.",
            code="rows_outside_ranges",
        )


def merge(session: Session, load: Load, schema: pa.Schema, staged: str, parents: str) -> Loaded:
    """Merges the staged rows, which have unique keys. Processed rows are deleted from the staging table."""
    table, rows = session.named(load.table), session.named(staged)
    same_key = _same_key(session, load, staged)
    in_table = f"EXISTS (SELECT 1 FROM {table} WHERE {same_key})"  # noqa: S608 - quoted
    notices = "_deleted" in schema.names
    gone = f"{session.column(staged, '_deleted')} = %s"
    # Deleted objects that Stripe still returns have rows, unless deleted rows are dropped (`keys.is_notice`).
    shown = notices and load.deleted == "keep" and OBJECT in schema.names
    if notices:
        # A deletion notice for an unknown key inserts no row: the object may never have been in the table.
        unknown = f"{gone} AND NOT {in_table}"
        if shown:
            unknown += f" AND {session.column(staged, OBJECT)} IS NULL"
        session.ask(f"DELETE FROM {rows} WHERE {unknown}", True)  # noqa: S608 - quoted
    staged_rows, known = session.count(rows), session.count(f"{rows} WHERE {in_table}")
    deleted = _delete(session, load, schema, staged, parents, same_key)
    if notices:
        done = f"{gone} AND {in_table}" if shown else gone
        session.ask(f"DELETE FROM {rows} WHERE {done}", True)  # noqa: S608 - quoted
    _drop_same(session, load, staged, same_key)
    changed = session.count(f"{rows} WHERE {in_table}")
    session.ask(f"DELETE FROM {table} WHERE EXISTS (SELECT 1 FROM {rows} WHERE {same_key})")  # noqa: S608 - quoted
    _insert(session, schema, table, rows)
    return Loaded(rows=staged_rows, added=staged_rows - known, changed=changed, deleted=deleted)


def _insert(session: Session, schema: pa.Schema, table: str, rows: str) -> None:
    columns = session.listed(schema.names)
    session.ask(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {rows}")  # noqa: S608 - quoted


def _same_key(session: Session, load: Load, staged: str) -> str:
    """SQL condition: rows have the same key. Nulls are compared only if there are any, since that slows the join."""
    conditions = []
    for key in load.primary_key:
        ours, theirs = session.column(load.table, key), session.column(staged, key)
        has_nulls = session.count(f"{session.named(staged)} WHERE {theirs} IS NULL")
        conditions.append(_equal(ours, theirs) if has_nulls else f"{ours} = {theirs}")
    return " AND ".join(conditions)


def _equal(one: str, other: str) -> str:
    """SQL condition: two values are equal, or both are null."""
    return f"({one} = {other} OR ({one} IS NULL AND {other} IS NULL))"


def _delete(session: Session, load: Load, schema: pa.Schema, staged: str, parents: str, same_key: str) -> int:
    """Marks or drops rows that Stripe reports as deleted, or that are missing from ranges that the load covers."""
    table, rows = session.named(load.table), session.named(staged)
    marks = "_deleted" in schema.names
    where, values = _within(session, load, load.table)
    if load.parents:
        ids = f"SELECT {session.column(parents, 'id')} FROM {session.named(parents)}"  # noqa: S608 - quoted
        where = f"({where} OR {session.column(load.table, load.parents.column)} IN ({ids}))"
    condition = f"({where} AND NOT EXISTS (SELECT 1 FROM {rows} WHERE {same_key}))"  # noqa: S608 - quoted
    if marks:
        notice = f"{same_key} AND {session.column(staged, '_deleted')} = %s"
        condition = f"(EXISTS (SELECT 1 FROM {rows} WHERE {notice}) OR {condition})"  # noqa: S608 - quoted
        values = [True, *values]
    if marks and load.deleted == "keep":
        mark = session.column(load.table, "_deleted")
        condition = f"({mark} IS NULL OR {mark} = %s) AND {condition}"
        values = [False, *values]
    deleted = session.count(f"{table} WHERE {condition}", *values)
    if not deleted:
        return 0
    if load.deleted == "drop":
        session.ask(f"DELETE FROM {table} WHERE {condition}", *values)  # noqa: S608 - quoted
        return deleted
    marked = f"{session.quoted('_deleted')} = %s, {session.quoted('_deleted_at')} = %s"
    instant = _read_at(session, load, schema, rows)
    session.ask(f"UPDATE {table} SET {marked} WHERE {condition}", True, instant, *values)  # noqa: S608 - quoted
    return deleted


def _read_at(session: Session, load: Load, schema: pa.Schema, rows: str) -> datetime:
    """The instant that the load describes. Rows that it lacks were deleted by then."""
    if load.as_of is not None:
        return datetime.fromtimestamp(load.as_of, UTC)
    latest = None
    if "_synced_at" in schema.names:
        ((latest,),) = session.ask(f"SELECT max({session.quoted('_synced_at')}) FROM {rows}")  # noqa: S608 - quoted
    return latest or datetime.now(UTC)


def _drop_same(session: Session, load: Load, staged: str, same_key: str) -> None:
    """Deletes staged rows that the table already has, unchanged and only once."""
    present, incoming = session.columns(load.table, staged)
    table, rows = session.named(load.table), session.named(staged)
    names = {same_name(name) for name in incoming}
    absent, pairs = ["1 = 1"], []
    for name, column in present.items():
        if same_name(name) in NOT_COMPARED:
            continue
        ours, theirs = session.column(load.table, name), session.column(staged, name)
        if same_name(name) not in names:
            absent.append(f"{ours} IS NULL")
        elif column["data_type"] == "json":
            pairs.append((f"CAST({ours} AS VARCHAR)", f"CAST({theirs} AS VARCHAR)"))
        else:
            pairs.append((ours, theirs))
    if session.dialect == "duckdb":
        # Joins hashes of 128 bits instead of wide rows, which would not fit in memory.
        keys = [(session.column(load.table, key), session.column(staged, key)) for key in load.primary_key]
        here, there = (
            f"(hash({', '.join(key[side] for key in keys)}), hash({', '.join(pair[side] for pair in (*keys, *pairs))}))"
            for side in (0, 1)
        )
        same = f"{there} IN (SELECT {here} FROM {table} WHERE {' AND '.join(absent)})"  # noqa: S608 - quoted
    else:
        equal = [_equal(ours, theirs) for ours, theirs in pairs]
        same = f"EXISTS (SELECT 1 FROM {table} WHERE {' AND '.join([same_key, *absent, *equal])})"  # noqa: S608 - quoted
    session.ask(f"DELETE FROM {rows} WHERE {same} AND {_once(session, load, staged)}")  # noqa: S608 - quoted


def _once(session: Session, load: Load, staged: str) -> str:
    """SQL condition: the table has the key of a staged row at most once. Appends can leave duplicates."""
    keys = session.listed(load.primary_key)
    twice = f"(SELECT {keys} FROM {session.named(load.table)} GROUP BY {keys} HAVING count(*) > 1) AS twice"  # noqa: S608 - quoted
    if not session.count(twice):
        return "1 = 1"
    same = (_equal(f"twice.{session.quoted(key)}", session.column(staged, key)) for key in load.primary_key)
    return f"NOT EXISTS (SELECT 1 FROM {twice} WHERE {' AND '.join(same)})"  # noqa: S608 - quoted


def _within(session: Session, load: Load, table: str) -> Condition:
    """SQL condition, with its values: the row is in a range that the load covers."""
    if Window() in load.covers:
        return "1 = 1", []
    column = session.column(table, load.created or "")
    conditions: list[str] = []
    values: list[Any] = []
    for window in load.covers:
        bounds = [f"{column} IS NOT NULL"]
        for sign, second in ((">=", window.since), ("<", window.until)):
            if second is not None and (sign == ">=" or second < _LATEST_SECONDS):
                bounds.append(f"{column} {sign} %s")
                values.append(_EPOCH + timedelta(seconds=min(second, _LATEST_SECONDS - 1)))
        conditions.append(f"({' AND '.join(bounds)})")
    return f"({' OR '.join(conditions) or '1 = 0'})", values
