"""Merges parts into a Postgres table by key: replaces changed rows, and marks or drops deleted ones.

The rows of the parts are staged in a temporary table and identified by their position in the parts. Rows of the table
are identified by `ctid`, which is stable while the transaction has the table locked.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from counterfoil.destinations.keys import NOT_COMPARED, is_notice, key_names, own_keys
from counterfoil.destinations.postgres import tables
from counterfoil.destinations.postgres.copy import POSITION, Source, without_nul
from counterfoil.destinations.postgres.server import Session
from counterfoil.destinations.protocol import check_rows
from counterfoil.destinations.sql.ranges import within
from counterfoil.destinations.sql.text import parts_source, quoted
from counterfoil.errors import SchemaConflict
from counterfoil.values import Load, Loaded, Part


def read_at(session: Session, source: Source) -> str:
    """SQL: the instant that the load describes. Rows that it lacks were deleted by then."""
    if source.load.as_of is not None:
        return f"to_timestamp({int(source.load.as_of)})"
    if "_synced_at" in source.schema.names and source.files:
        sql = f"SELECT epoch_us(max(_synced_at)) FROM {parts_source(source.files)}"  # noqa: S608 - quoted
        ((microseconds,),) = source.database.execute(sql).fetchall()
        if microseconds is not None:
            return f"('epoch'::timestamptz + {int(microseconds)} * interval '1 microsecond')"
    return now(session)


def now(session: Session) -> str:
    """SQL: the current time of the server's clock."""
    return f"'{session.one('SELECT clock_timestamp()::text')}'::timestamptz"


def values(alias: str, columns: Sequence[tuple[str, str]], names: Sequence[str] | None = None) -> str:
    """SQL: a row's values in the columns. With `names`, all other columns are null."""
    present = None if names is None else set(names)
    compared = [
        f"{alias}.{quoted(name)}" if present is None or name in present else f"NULL::{kind}" for name, kind in columns
    ]
    return f"ROW({', '.join(compared)})"


def has_key(load: Load, one: str, row: str, *, nulls: bool) -> str:
    """SQL condition: a row of the table has the key of a row of a temporary table.

    A comparison of columns can use an index but does not match nulls. Keys with nulls are compared as JSON.
    """
    pairs = [(f"{one}.key{n}", f"{row}.{quoted(key)}") for n, key in enumerate(load.primary_key)]
    if not nulls:
        return " AND ".join(f"{mine} = {theirs}" for mine, theirs in pairs)
    mine, theirs = (", ".join(pair[side] for pair in pairs) for side in (0, 1))
    return f"jsonb_build_array({mine}) = jsonb_build_array({theirs})"


def has_nulls(session: Session, load: Load, table: str) -> bool:
    """Whether a key in a temporary table contains null."""
    some = " OR ".join(f"key{n} IS NULL" for n in range(len(load.primary_key)))
    return bool(session.one(f"SELECT EXISTS (SELECT FROM pg_temp.{table} WHERE {some})"))  # noqa: S608 - ours


def keep_first(session: Session, table: str, place: str, load: Load, order: str) -> None:
    """Deletes duplicate keys from a temporary table, except the first row in `order`; `place` identifies a row."""
    names = key_names(load)
    doubled = f"SELECT 1 FROM pg_temp.{table} GROUP BY {names} HAVING count(*) > 1 LIMIT 1"  # noqa: S608 - ours
    if session.all(doubled):
        session.run(f"""
            DELETE FROM pg_temp.{table} WHERE {place} IN (
                SELECT {place} FROM (
                    SELECT {place}, row_number() OVER (PARTITION BY {names} ORDER BY {order}) AS nth
                    FROM pg_temp.{table}
                ) AS numbered WHERE nth > 1
            )
        """)  # noqa: S608 - ours


def make_temporary(session: Session, table: str, query: str) -> None:
    """Stores a query's rows until the transaction ends. ANALYZE: autovacuum ignores temporary tables."""
    session.run(f"CREATE TEMP TABLE {table} ON COMMIT DROP AS {query}")
    session.run(f"ANALYZE pg_temp.{table}")


def drop_temporary(session: Session, *tables_: str) -> None:
    """Drops temporary tables before the transaction ends."""
    for table in tables_:
        session.run(f"DROP TABLE IF EXISTS pg_temp.{table}")


def merge(session: Session, source: Source, parts: Sequence[Part], columns: Sequence[tuple[str, str]]) -> Loaded:
    """Merges into the table. `columns` include all of the schema's; `rows` of the result counts the parts' keys.

    With a history, the keys of rows that may have changed stay in `_counterfoil_touched`.
    """
    load, schema = source.load, source.schema
    if POSITION in dict(columns):
        raise SchemaConflict(
            f"a table with a column {POSITION} cannot be merged into",
            hint="Use replace instead.",
            code="reserved_column",
        )
    staged = tables.definitions([*columns, (POSITION, "bigint")])
    session.run(f"CREATE TEMP TABLE _counterfoil_staged ({staged}) ON COMMIT DROP")
    check_rows(load, parts, source.stage(session, "_counterfoil_staged"))
    # Readers continue. Other writers wait, so that ctid values stay valid.
    session.run(f"LOCK TABLE {session.named(load.table)} IN SHARE ROW EXCLUSIVE MODE")
    tables.index_keys(session, load.table, load.primary_key)
    _stage(session, load, schema)
    _match(session, load, columns)
    # A deletion notice for an unknown key inserts no row: the object may never have been in the table.
    session.run("""
        DELETE FROM pg_temp._counterfoil_incoming AS incoming
        WHERE notice AND NOT EXISTS (
            SELECT FROM pg_temp._counterfoil_matched AS matched WHERE matched.position = incoming.position
        )
    """)
    rows, added, changed = _counts(session)
    deleted = _find_gone(session, load, schema)
    if load.history:
        _touch(session, load)
    if deleted:
        _delete(session, load, read_at(session, source))
    if source.files:
        _replace(session, load, schema)
    drop_temporary(session, *(f"_counterfoil_{name}" for name in ("staged", "incoming", "matched", "gone")))
    return Loaded(rows=rows, added=added, changed=changed, deleted=deleted)


def _stage(session: Session, load: Load, schema: pa.Schema) -> None:
    """Stages key, position and time of the rows of the parts; per key, the row that was read last."""
    has = set(schema.names)
    synced = "staged._synced_at" if "_synced_at" in has else "NULL::timestamptz"
    gone = "coalesce(staged._deleted, false)" if "_deleted" in has else "false"
    make_temporary(
        session,
        "_counterfoil_incoming",
        f"""SELECT {own_keys(load, "staged")}, staged.{POSITION} AS position, {synced} AS synced_at, {gone} AS gone,
            {is_notice(load, schema.names, "staged.")} AS notice
        FROM pg_temp._counterfoil_staged AS staged""",  # noqa: S608 - quoted
    )
    keep_first(session, "_counterfoil_incoming", "position", load, "synced_at DESC NULLS LAST, position DESC")
    session.run(f"CREATE INDEX ON pg_temp._counterfoil_staged ({POSITION}); ANALYZE pg_temp._counterfoil_staged")


def _match(session: Session, load: Load, columns: Sequence[tuple[str, str]]) -> None:
    """Finds the rows of the table with a key of the parts, and whether their values are the same."""
    keys = has_key(load, "incoming", "present", nulls=has_nulls(session, load, "_counterfoil_incoming"))
    compared = [(name, kind) for name, kind in columns if name not in NOT_COMPARED]
    same = f"{values('staged', compared)} IS NOT DISTINCT FROM {values('present', compared)}"
    make_temporary(
        session,
        "_counterfoil_matched",
        f"""SELECT incoming.position, incoming.gone, present.ctid AS place, {same} AS same
        FROM pg_temp._counterfoil_incoming AS incoming
        JOIN {session.named(load.table)} AS present ON {keys}
        JOIN pg_temp._counterfoil_staged AS staged ON staged.{POSITION} = incoming.position""",  # noqa: S608 - quoted
    )
    # A key that is in the table more than once, after appends, becomes one row.
    session.run("""
        UPDATE pg_temp._counterfoil_matched SET same = false WHERE position IN (
            SELECT position FROM pg_temp._counterfoil_matched GROUP BY position HAVING count(*) > 1
        )
    """)


def _counts(session: Session) -> tuple[int, int, int]:
    """The number of keys in the parts, of new keys, and of keys with changed values."""
    ((rows, known, changed),) = session.all("""
        SELECT (SELECT count(*) FROM pg_temp._counterfoil_incoming), count(DISTINCT position),
            count(DISTINCT position) FILTER (WHERE NOT same AND NOT gone)
        FROM pg_temp._counterfoil_matched
    """)
    return rows, rows - known, changed


def _find_gone(session: Session, load: Load, schema: pa.Schema) -> int:
    """Counts rows that Stripe reports as deleted, or that are missing from ranges that the parts cover."""
    still_there = "true" if load.deleted == "drop" or "_deleted" not in schema.names else "present._deleted IS NOT TRUE"
    judged = within(load, "present.") if load.covers else "false"
    if load.parents:
        ids = [without_nul(one) for one in load.parents.ids]
        session.run("CREATE TEMP TABLE _counterfoil_parents (parent text) ON COMMIT DROP")
        session.run("INSERT INTO pg_temp._counterfoil_parents SELECT unnest(%s::text[])", [ids])
        column = f"present.{quoted(load.parents.column)}"
        judged = f"({judged} OR {column}::text IN (SELECT parent FROM pg_temp._counterfoil_parents))"  # noqa: S608 - quoted
    table = session.named(load.table)
    query = f"""
        SELECT present.ctid AS place FROM {table} AS present
        JOIN pg_temp._counterfoil_matched AS hit ON hit.place = present.ctid AND hit.gone WHERE {still_there}
    """  # noqa: S608 - quoted
    if judged != "false":
        query += f"""
            UNION SELECT present.ctid FROM {table} AS present WHERE {still_there} AND {judged} AND NOT EXISTS (
                SELECT FROM pg_temp._counterfoil_matched AS matched WHERE matched.place = present.ctid
            )
        """  # noqa: S608 - quoted
    make_temporary(session, "_counterfoil_gone", query)
    drop_temporary(session, "_counterfoil_parents")
    return int(session.one("SELECT count(*) FROM pg_temp._counterfoil_gone"))


def _touch(session: Session, load: Load) -> None:
    """Stores the keys of new, changed and deleted rows."""
    make_temporary(
        session,
        "_counterfoil_touched",
        f"""SELECT {key_names(load)} FROM pg_temp._counterfoil_incoming AS incoming WHERE NOT EXISTS (
            SELECT FROM pg_temp._counterfoil_matched AS matched
            WHERE matched.position = incoming.position AND matched.same
        ) UNION
        SELECT {own_keys(load, "present")} FROM {session.named(load.table)} AS present
        JOIN pg_temp._counterfoil_gone AS gone ON gone.place = present.ctid""",  # noqa: S608 - quoted
    )


def _delete(session: Session, load: Load, instant: str) -> None:
    """Marks or drops the deleted rows."""
    table = session.named(load.table)
    gone = "FROM pg_temp._counterfoil_gone AS gone WHERE gone.place = present.ctid"
    if load.deleted == "drop":
        session.run(f"DELETE FROM {table} AS present {gone.replace('FROM', 'USING', 1)}")  # noqa: S608 - quoted
    else:
        session.run(f"UPDATE {table} AS present SET _deleted = true, _deleted_at = {instant} {gone}")  # noqa: S608 - quoted


def _replace(session: Session, load: Load, schema: pa.Schema) -> None:
    """Deletes the changed rows, then inserts the changed and new ones."""
    table = session.named(load.table)
    session.run(f"""
        DELETE FROM {table} AS present USING pg_temp._counterfoil_matched AS matched
        WHERE matched.place = present.ctid AND NOT matched.same AND NOT matched.gone
    """)  # noqa: S608 - quoted
    names = ", ".join(quoted(name) for name in schema.names)
    # A deletion notice never replaces values.
    session.run(f"""
        INSERT INTO {table} ({names}) SELECT {", ".join(f"staged.{quoted(name)}" for name in schema.names)}
        FROM pg_temp._counterfoil_staged AS staged
        JOIN pg_temp._counterfoil_incoming AS incoming ON incoming.position = staged.{POSITION}
        WHERE NOT EXISTS (
            SELECT FROM pg_temp._counterfoil_matched AS matched
            WHERE matched.position = incoming.position AND (matched.same OR matched.gone)
        )
        ORDER BY staged.{POSITION}
    """)  # noqa: S608 - quoted
