"""DuckDB's SQL as text: names, literals, types and files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from counterfoil.errors import SchemaConflict


def quoted(name: str) -> str:
    """The name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def duckdb_type(field: pa.Field) -> str:
    """DuckDB's name for the type of the field."""
    if (field.metadata or {}).get(b"counterfoil") == b"json":
        return "JSON"
    kind = field.type
    if pa.types.is_decimal128(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE" if kind.tz else "TIMESTAMP"
    known = {
        pa.string(): "VARCHAR",
        pa.large_string(): "VARCHAR",
        pa.bool_(): "BOOLEAN",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE",
        pa.date32(): "DATE",
    }
    if kind not in known:
        raise SchemaConflict(f"column {field.name} has the unsupported type {kind}")
    return known[kind]


def definitions(schema: pa.Schema) -> str:
    """The columns of a CREATE TABLE."""
    return ", ".join(f"{quoted(field.name)} {duckdb_type(field)}" for field in schema)


def parts_source(paths: Sequence[Path]) -> str:
    """A FROM clause that reads these Parquet files. Folders such as `month=2026-10` add no column."""
    return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}], hive_partitioning = false)"
