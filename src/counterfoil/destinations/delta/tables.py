"""One Delta table: its columns, its files, our record of its loads, and commits.

The record is a file in the table's folder, `_counterfoil/<number>.json`. The table's log defines the current one: the
number is the version of the application `counterfoil` in the log, which a load sets in the commit of its rows. Delta
stores such numbers in its checkpoints, so they survive every cleanup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import TableNotFoundError
from deltalake.schema import PrimitiveType

from counterfoil.destinations.cancellation import check_stop
from counterfoil.destinations.delta.files import DataFile, Version
from counterfoil.destinations.delta.storage import RECORDS, Storage
from counterfoil.destinations.files.columns import Columns, rows_of, union_source, values_in, values_of
from counterfoil.destinations.protocol import Stop, since_replace
from counterfoil.destinations.sql.text import quoted
from counterfoil.errors import DestinationRejected, SchemaConflict
from counterfoil.values import Loaded

#: Counterfoil's application id in the log.
APPLICATION = "counterfoil"
_DUCKDB = {
    "string": "VARCHAR", "long": "BIGINT", "integer": "INTEGER", "short": "SMALLINT", "byte": "TINYINT",
    "double": "DOUBLE", "float": "FLOAT", "boolean": "BOOLEAN", "date": "DATE", "binary": "BLOB",
    "timestamp": "TIMESTAMP WITH TIME ZONE", "timestamp_ntz": "TIMESTAMP",
}  # fmt: skip
_DELTA = {kind: name for name, kind in _DUCKDB.items()}
#: Supported reader features, in addition to version 1 of the protocol.
_FEATURES = frozenset({"timestampNtz"})


class TableAt:
    """A table of the storage at the time of construction. It is not refreshed."""

    def __init__(self, storage: Storage, name: str) -> None:
        self.name = name
        self._storage = storage
        self.delta = self._opened()
        #: Number of our record; None if Counterfoil did not create the table.
        self.number = self.delta.transaction_version(APPLICATION) if self.delta else None

    @property
    def ours(self) -> bool:
        """Whether a load created the table, or began to and was killed before its commit."""
        return self.number is not None or (self.delta is None and RECORDS in self._storage.entries(self.name))

    def exists(self) -> bool:
        """Whether anything has the table's name."""
        return self.delta is not None or bool(self._storage.entries(self.name))

    def loads(self) -> list[dict[str, Any]]:
        """The recorded loads, oldest first."""
        if self.number is None:
            return []
        name = f"{RECORDS}/{self.number}.json"
        try:
            return list(orjson.loads(self._storage.read(self.name, name))["loads"])
        except (FileNotFoundError, ValueError, TypeError, KeyError) as error:
            raise DestinationRejected(
                f"{name} of {self._storage.uri(self.name)} is damaged or missing",
                hint="Choose another table, or remove this one.",
                code="damaged_record",
            ) from error

    def loaded(self, run: str) -> Loaded | None:
        """The result of the run's load; None if it was not loaded."""
        found = next((load for load in self.loads() if load["run"] == run), None)
        if found is None:
            return None
        return Loaded(**{count: found[count] for count in ("rows", "added", "changed", "deleted")})

    def scopes(self) -> tuple[Mapping[str, Any], ...] | None:
        """The scopes of the loads whose rows are in the table, newest first."""
        loads = self.loads()
        return since_replace((load["method"], load["scope"]) for load in reversed(loads)) if loads else None

    def columns(self) -> tuple[tuple[str, str], ...] | None:
        """Name and DuckDB type of each column."""
        if self.delta is None:
            return None
        return tuple((field.name, duckdb_kind(field)) for field in self.delta.schema().fields)

    def rows(self) -> int | None:
        """The number of rows in the table."""
        return None if self.delta is None else self.delta.count()

    def version(self, into: Path, stop: Stop | None = None) -> Version | None:
        """The columns and files. Remote files are copied into the folder when needed."""
        if self.delta is None:
            return None
        if trouble := self._trouble(self.delta):
            raise DestinationRejected(
                f"{self.name} in {self._storage.place} {trouble}, which is not supported",
                hint="Choose another table, or remove this one manually.",
                code="unsupported_table",
            )

        def fetch(name: str, columns: Sequence[str] | None) -> Path:
            check_stop(stop)
            return self._storage.fetch(self.name, name, columns, into)

        files = (
            DataFile(name, rows_of(fetch(name, None)) if rows is None else rows) for name, _, rows in self.actions()
        )
        return Version(self.columns() or (), tuple(files), fetch)

    def show(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Creates a view with the table's name, if the table can be read."""
        if self.delta is None or self._trouble(self.delta):
            return
        if not self._storage.readable:
            cursor.register(self.name, self.delta.to_pyarrow_dataset(filesystem=self._storage.files(self.name)))
            return
        columns = self.columns() or ()
        paths = [self._storage.fetch(self.name, name, None, Path()) for name, *_ in self.actions()]
        rows = f"{values_of(columns, set())} WHERE false"
        if paths:
            known = all(_delta_name(kind) for _, kind in columns)
            rows = f"{values_in(cursor, paths, columns) if known else '*'} FROM {union_source(paths)}"
        cursor.execute(f"CREATE OR REPLACE VIEW {quoted(self.name)} AS SELECT {rows}")

    def actions(self) -> list[tuple[str, int, int | None]]:
        """Name, size and rows of each file; rows are None if the log does not contain them."""
        if self.delta is None:
            return []
        found = pa.table(self.delta.get_add_actions(flatten=True))
        rows = found["num_records"].to_pylist() if "num_records" in found.schema.names else [None] * len(found)
        return list(zip(found["path"].to_pylist(), found["size_bytes"].to_pylist(), rows, strict=True))

    def _trouble(self, table: DeltaTable) -> str | None:
        """An unsupported property of the table, which other programs may have set."""
        needs = set(table.protocol().reader_features or ()) - _FEATURES
        if partitioned := table.metadata().partition_columns:
            return f"is partitioned by {', '.join(partitioned)}"
        if needs or table.protocol().min_reader_version not in (1, 3):
            return f"requires {', '.join(sorted(needs)) or 'a newer protocol'}"
        return None

    def _opened(self) -> DeltaTable | None:
        try:
            options = self._storage.options
            return DeltaTable(self._storage.uri(self.name), storage_options=None if options is None else dict(options))
        except TableNotFoundError:
            return None


def duckdb_kind(field: Field) -> str:
    """The type of a column as DuckDB spells it, or as Delta does if DuckDB has no such type."""
    if not isinstance(field.type, PrimitiveType):
        return str(field.type)
    return _DUCKDB.get(field.type.type, field.type.type.replace(", ", ",").upper())


def delta_schema(columns: Columns, comments: Mapping[str, str]) -> Schema:
    """The schema of a table with these columns and their comments."""
    return Schema(
        [
            Field(name, _delta_type(name, kind), metadata={"comment": comments[name]} if comments.get(name) else {})
            for name, kind in columns
        ]
    )


def _delta_type(name: str, kind: str) -> PrimitiveType:
    found = _delta_name(kind)
    if found is None:
        raise SchemaConflict(f"column {name} has the unsupported type {kind}", hint="Choose another table.")
    return PrimitiveType(found)


def _delta_name(kind: str) -> str | None:
    """DuckDB's type as Delta spells it; None if Delta has no such type."""
    return kind.lower() if re.fullmatch(r"DECIMAL\(\d+,\d+\)", kind) else _DELTA.get(kind)
