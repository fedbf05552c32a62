"""What tells rows apart, and versions of a row: keys, which temporary tables call key0, key1, …, and fingerprints."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import duckdb

from counterfoil.destinations.protocol import same_name
from counterfoil.destinations.sql.text import quoted
from counterfoil.values import Load

#: Which run read a row, when, and in which version: what is read again without a difference stays as it was read first.
NOT_COMPARED = frozenset({"_run", "_synced_at", "_api_version"})


#: Every object of Stripe's has it; a notice that an object is gone, which Counterfoil writes, has not.
OBJECT = "object"


def is_notice(load: Load, names: Collection[str], alias: str = "") -> str:
    """A condition in SQL: the row of the parts says that an object is gone, and makes no row where there is none.

    A deleted object that Stripe shows makes one, which is marked, unless deleted rows are dropped. Without the column
    that tells the two apart, neither does.
    """
    if "_deleted" not in names:
        return "false"
    if load.deleted == "drop" or OBJECT not in names:
        return f"coalesce({alias}_deleted, false)"
    return f"(coalesce({alias}_deleted, false) AND {alias}{quoted(OBJECT)} IS NULL)"


def key_names(load: Load) -> str:
    """The keys as the temporary tables call them."""
    return ", ".join(f"key{n}" for n in range(len(load.primary_key)))


def own_keys(load: Load, alias: str) -> str:
    """The keys of the table's rows under those names."""
    return ", ".join(f"{alias}.{quoted(key)} AS key{n}" for n, key in enumerate(load.primary_key))


def same_key(load: Load, one: str, other: str) -> str:
    """Whether rows of two temporary tables have one key; nulls are the same."""
    return " AND ".join(f"{one}.key{n} IS NOT DISTINCT FROM {other}.key{n}" for n in range(len(load.primary_key)))


def is_key(load: Load, one: str, row: str) -> str:
    """Whether a row of the table has the key of one of a temporary table."""
    return " AND ".join(
        f"{one}.key{n} IS NOT DISTINCT FROM {row}.{quoted(key)}" for n, key in enumerate(load.primary_key)
    )


def keep_first(cursor: duckdb.DuckDBPyConnection, table: str, place: str, load: Load, order: str) -> None:
    """Of rows of a temporary table with one key, told apart by their place, leaves the first in this order."""
    names = key_names(load)
    cursor.execute(f"""
        DELETE FROM temp.{table} WHERE {place} IN (
            SELECT {place} FROM temp.{table} AS found SEMI JOIN (
                SELECT {names} FROM temp.{table} GROUP BY {names} HAVING count(*) > 1
            ) AS doubled ON {same_key(load, "found", "doubled")}
            QUALIFY row_number() OVER (PARTITION BY {names} ORDER BY {order}) > 1
        )
    """)  # noqa: S608 - names of our own


def fingerprint(columns: Sequence[tuple[str, str]], names: Iterable[str] | None = None) -> str:
    """64 bits of a row's values in the columns; of rows that have only those names, the others are null.

    That two rows which differ have the same ones happens once in 10^19 rows.
    """
    present = None if names is None else {same_name(name): name for name in names}
    values = []
    for name, kind in columns:
        if name in NOT_COMPARED:
            continue
        source = name if present is None else present.get(same_name(name))
        values.append(f"NULL::{kind}" if source is None else f"{quoted(source)}::{kind}")
    return f"hash({', '.join(values)})"
