"""Postgres types and names in SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow as pa

from counterfoil.destinations.sql.text import duckdb_type
from counterfoil.errors import INVALID_TABLE, DestinationRejected, SchemaConflict

#: Postgres silently truncates longer names, so two of them could become the same.
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
    """Postgres' name for the type of the field."""
    kind = duckdb_type(field)
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind)
    return f"numeric({decimal[1]},{decimal[2]})" if decimal else _TYPES[kind]


def typed(schema: pa.Schema) -> list[tuple[str, str]]:
    """Name and type of each column."""
    return [(field.name, postgres_type(field)) for field in schema]


def check_table(table: str, *, suffix: str = "") -> None:
    """Rejects a name that Postgres would truncate, alone or with the suffix `suffix` of a second table or view."""
    most = NAME_BYTES - len(suffix)
    if len(table.encode()) > most:
        second = f" (with {table}{suffix})" if suffix else ""
        raise DestinationRejected(
            f"the table name {table} is too long: Postgres allows {most} bytes{second}",
            hint="Choose a shorter name.",
            code=INVALID_TABLE,
        )


def check_columns(names: Iterable[str]) -> None:
    """Rejects columns with names that Postgres would truncate, or that its system columns have."""
    for name in names:
        if len(name.encode()) > NAME_BYTES:
            raise SchemaConflict(
                f"the column name {name} is too long: Postgres allows {NAME_BYTES} bytes",
                hint="Leave it out.",
                code="invalid_column",
            )
        if name in _SYSTEM:
            raise SchemaConflict(
                f"column {name} has the name of a Postgres system column",
                hint="Leave it out.",
                code="reserved_column",
            )
