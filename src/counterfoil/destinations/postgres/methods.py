"""The update methods, inside a transaction on a Postgres database.

A table with the expected columns is filled in place: readers never wait, whatever their snapshot, and its indexes,
views and privileges stay. A table with other columns is replaced by a new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256

from counterfoil.destinations.keys import is_notice
from counterfoil.destinations.postgres import tables
from counterfoil.destinations.postgres.copy import Source
from counterfoil.destinations.postgres.latest import drop_latest
from counterfoil.destinations.postgres.merge import merge
from counterfoil.destinations.postgres.server import Session
from counterfoil.destinations.postgres.types import typed
from counterfoil.destinations.protocol import RESERVED, check_rows
from counterfoil.destinations.sql.merge import is_unique
from counterfoil.destinations.sql.ranges import check_within, no_created, within
from counterfoil.destinations.sql.text import quoted
from counterfoil.errors import CounterfoilError
from counterfoil.values import Loaded, Part

_RIGHTS = """
    SELECT privilege_type, is_grantable,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
    FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = %s::regclass AND grantee <> relowner
"""


def apply(session: Session, source: Source, parts: Sequence[Part], *, there: bool) -> Loaded:
    """Applies the load to its table; `there` says whether the table exists."""
    load, schema = source.load, source.schema
    if load.method == "replace":
        return _replace(session, source, parts, there=there)
    if load.method == "partition":
        check_within(source.database, load, source.files)
        if there and load.created not in dict(tables.columns_of(session, load.table)):
            raise no_created(load)
    if there:
        tables.widen(session, load.table, schema)
    else:
        tables.create(session, load.table, typed(schema))
    tables.comment(session, load, schema.names)
    if load.method == "merge":
        return _merge(session, source, parts, there=there)
    deleted_count = 0
    if load.method == "partition":
        deleted_count = session.run(f"DELETE FROM {session.named(load.table)} WHERE {within(load)}")  # noqa: S608 - quoted
    rows = source.put(session, load.table)
    check_rows(load, parts, rows)
    return Loaded(rows=rows, added=rows, deleted=deleted_count)


def scratch_of(table: str) -> str:
    """The name under which the replacement of a table is built."""
    return f"{RESERVED}next_{sha256(table.encode()).hexdigest()[:24]}"


@contextmanager
def called(scratch: str, table: str) -> Iterator[None]:
    """Puts the name of the table into errors, in place of its replacement."""
    try:
        yield
    except CounterfoilError as error:
        error.message = error.message.replace(scratch, table)
        raise


def put_in_place(session: Session, table: str, scratch: str) -> None:
    """Replaces the table by one that was created in this transaction, and grants it the same privileges."""
    named = session.named(table)
    if tables.kind_of(session, table) == "table":
        for privilege, grantable, who in session.all(_RIGHTS, [named]):
            option = " WITH GRANT OPTION" if grantable else ""
            session.run(f"GRANT {privilege} ON {session.named(scratch)} TO {who}{option}")
        drop_latest(session, table)
        session.run(f"DROP TABLE {named}")
    session.run(f"ALTER TABLE {session.named(scratch)} RENAME TO {quoted(table)}")


def exchange(session: Session, table: str, scratch: str, *, there: bool) -> tuple[int, int]:
    """Replaces the rows by those of a table of this transaction. Returns the number of new and of replaced rows.

    The table is filled in place if it has the same columns.
    """
    rows = tables.count(session, scratch)
    columns = tables.columns_of(session, scratch)
    if not there or not same_columns(session, table, columns):
        deleted_count = tables.count(session, table) if there else 0
        put_in_place(session, table, scratch)
        return rows, deleted_count
    deleted_count = empty(session, table)
    names = ", ".join(quoted(name) for name, _ in columns)
    into, from_ = session.named(table), session.named(scratch)
    session.run(f"INSERT INTO {into} ({names}) SELECT {names} FROM {from_}")  # noqa: S608 - quoted
    session.run(f"DROP TABLE {from_}")
    return rows, deleted_count


def same_columns(session: Session, table: str, columns: Sequence[tuple[str, str]]) -> bool:
    """Whether the table has these columns and no others."""
    return sorted(tables.columns_of(session, table)) == sorted(columns)


def empty(session: Session, table: str) -> int:
    """Deletes all rows, except for readers with an older snapshot, and returns their number."""
    return session.run(f"DELETE FROM {session.named(table)}")  # noqa: S608 - quoted


def _replace(session: Session, source: Source, parts: Sequence[Part], *, there: bool) -> Loaded:
    load, columns = source.load, typed(source.schema)
    in_place = there and same_columns(session, load.table, columns)
    into = load.table if in_place else scratch_of(load.table)
    deleted_count = 0
    if in_place:
        deleted_count = empty(session, load.table)
    else:
        deleted_count = tables.count(session, load.table) if there else 0
        tables.create(session, into, columns)
    rows = source.put(session, into)
    check_rows(load, parts, rows)
    tables.comment(session, load, source.schema.names, into)
    if not in_place:
        # Last, since from here on readers wait until the transaction ends.
        put_in_place(session, load.table, into)
    return Loaded(rows=rows, added=rows, deleted=deleted_count)


def _merge(session: Session, source: Source, parts: Sequence[Part], *, there: bool) -> Loaded:
    load = source.load
    if there or not is_unique(source.database, load, source.files):
        done = merge(session, source, parts, tables.columns_of(session, load.table))
    else:
        rows = source.put(session, load.table)
        check_rows(load, parts, rows)
        notices = is_notice(load, source.schema.names)
        if notices != "false":
            rows -= session.run(f"DELETE FROM {session.named(load.table)} WHERE {notices}")  # noqa: S608 - quoted
        done = Loaded(rows=rows, added=rows)
    return done
