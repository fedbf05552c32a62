"""Row keys, which temporary tables name key0, key1, …, and fingerprints of row versions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import duckdb

from counterfoil.destinations.protocol import same_name
from counterfoil.destinations.sql.text import quoted
from counterfoil.values import Load

#: Which run read a row, when, and in which API version. A row that is read again unchanged keeps its first values.
NOT_COMPARED = frozenset({"_run", "_synced_at", "_api_version"})


#: Every Stripe object has this column. A deletion notice, which Counterfoil writes, does not.
OBJECT = "object"


def is_notice(load: Load, names: Collection[str], alias: str = "") -> str:
    """SQL condition: the row of the parts is a deletion notice, which never inserts a row.

    A deleted object that Stripe still returns inserts a marked row, unless deleted rows are dropped. Without the
    column `object`, which distinguishes the two, neither inserts a row.
    """
    if "_deleted" not in names:
        return "false"
    if load.deleted == "drop" or OBJECT not in names:
        return f"coalesce({alias}_deleted, false)"
    return f"(coalesce({alias}_deleted, false) AND {alias}{quoted(OBJECT)} IS NULL)"


def key_names(load: Load) -> str:
    """The key columns, as the temporary tables name them."""
    return ", ".join(f"key{n}" for n in range(len(load.primary_key)))


def own_keys(load: Load, alias: str) -> str:
    """The key columns of the table under those names."""
    return ", ".join(f"{alias}.{quoted(key)} AS key{n}" for n, key in enumerate(load.primary_key))


def same_key(load: Load, one: str, other: str) -> str:
    """SQL condition: rows of two temporary tables have the same key. Nulls are equal."""
    return " AND ".join(f"{one}.key{n} IS NOT DISTINCT FROM {other}.key{n}" for n in range(len(load.primary_key)))


def is_key(load: Load, one: str, row: str) -> str:
    """SQL condition: a row of the table has the key of a row of a temporary table."""
    return " AND ".join(
        f"{one}.key{n} IS NOT DISTINCT FROM {row}.{quoted(key)}" for n, key in enumerate(load.primary_key)
    )


def keep_first(cursor: duckdb.DuckDBPyConnection, table: str, place: str, load: Load, order: str) -> None:
    """Deletes duplicate keys from a temporary table, except the first row in `order`; `place` identifies a row."""
    names = key_names(load)
    cursor.execute(f"""
        DELETE FROM temp.{table} WHERE {place} IN (
            SELECT {place} FROM temp.{table} AS found SEMI JOIN (
                SELECT {names} FROM temp.{table} GROUP BY {names} HAVING count(*) > 1
            ) AS doubled ON {same_key(load, "found", "doubled")}
            QUALIFY row_number() OVER (PARTITION BY {names} ORDER BY {order}) > 1
        )
    """)  # noqa: S608 - our own names


def fingerprint(columns: Sequence[tuple[str, str]], names: Iterable[str] | None = None) -> str:
    """SQL: a 64-bit hash of a row's values in the columns. With `names`, all other columns count as null.

    Two different rows have the same hash once in 10^19 rows.
    """
    present = None if names is None else {same_name(name): name for name in names}
    values = []
    for name, kind in columns:
        if name in NOT_COMPARED:
            continue
        source = name if present is None else present.get(same_name(name))
        values.append(f"NULL::{kind}" if source is None else f"{quoted(source)}::{kind}")
    return f"hash({', '.join(values)})"
