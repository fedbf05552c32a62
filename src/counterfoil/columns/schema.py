"""A table's schema in DuckDB's SQL types and in Arrow. Only the Arrow functions import pyarrow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from counterfoil.columns.column import Column, ColumnType

if TYPE_CHECKING:
    import pyarrow as pa

SQL_TYPES: Mapping[ColumnType, str] = {
    "string": "VARCHAR",
    "id": "VARCHAR",
    "integer": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "json": "JSON",
    "decimal": "DECIMAL(38,12)",
    "major": "DECIMAL(22,3)",
}

#: Marks a string field whose text is JSON.
JSON_METADATA = {b"counterfoil": b"json"}


@cache
def arrow_types() -> Mapping[ColumnType, pa.DataType]:
    """The Arrow type of each column type; JSON is text."""
    import pyarrow as pa

    return {
        "string": pa.string(),
        "id": pa.string(),
        "integer": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "timestamp": pa.timestamp("us", "UTC"),
        "json": pa.string(),
        "decimal": pa.decimal128(38, 12),
        "major": pa.decimal128(22, 3),
    }


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """One nullable field per column; JSON fields carry `JSON_METADATA`."""
    import pyarrow as pa

    types = arrow_types()
    return pa.schema(
        [
            pa.field(column.name, types[column.type], metadata=JSON_METADATA if column.type == "json" else None)
            for column in columns
        ]
    )


def is_json(field: pa.Field) -> bool:
    """Whether an Arrow field holds JSON as text."""
    return bool(field.metadata) and field.metadata.get(b"counterfoil") == b"json"


def sql_type(field: pa.Field) -> str:
    """The SQL type of a field from `arrow_schema`."""
    if is_json(field):
        return SQL_TYPES["json"]
    for kind, arrow_type in arrow_types().items():
        if arrow_type == field.type:
            return SQL_TYPES[kind]
    raise ValueError(f"no column type for the Arrow type {field.type}")
