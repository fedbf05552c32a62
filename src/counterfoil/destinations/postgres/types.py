"""Postgres' SQL as text: types and names."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow as pa

from counterfoil.destinations.sql.text import duckdb_type
from counterfoil.errors import INVALID_TABLE, DestinationRejected, SchemaConflict

#: Postgres cuts longer names without a word, so that two of them could become one.
NAME_BYTES = 63
#: https://www.postgresql.org/docs/current/ddl-system-columns.html
_SYSTEM = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
_TYPES = {
    "VARCHAR": "text",
    "JSON": "jsonb",
    "BOOLEAN": "boolean",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}


def postgres_type(field: pa.Field) -> str:
    """The type of the column that holds the field, as Postgres spells it."""
    kind = duckdb_type(field)
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind)
    return f"numeric({decimal[1]},{decimal[2]})" if decimal else _TYPES[kind]


def typed(schema: pa.Schema) -> list[tuple[str, str]]:
    """Name and type of each column."""
    return [(field.name, postgres_type(field)) for field in schema]


def check_table(table: str, *, beside: str = "") -> None:
    """Refuses a name that Postgres would cut, or whose table has something of a longer name beside it."""
    most = NAME_BYTES - len(beside)
    if len(table.encode()) > most:
        kept = f" with {table}{beside} beside it" if beside else ""
        raise DestinationRejected(
            f"{table} is too long for the name of a table{kept}: Postgres takes {most} bytes",
            hint="Choose another one.",
            code=INVALID_TABLE,
        )


def check_columns(names: Iterable[str]) -> None:
    """Refuses columns that Postgres would cut the names of, or has itself."""
    for name in names:
        if len(name.encode()) > NAME_BYTES:
            raise SchemaConflict(f"column {name} is too long: Postgres takes {NAME_BYTES} bytes", hint="Leave it out.")
        if name in _SYSTEM:
            raise SchemaConflict(f"column {name} has the name of one that Postgres keeps itself", hint="Leave it out.")
