"""Rows in Domo's format: six column types, and CSV in which null is an empty field and an empty string is `""`.

Sources: the types in DataSet-API.yaml, the CSV on https://developer.domo.com/portal/eb00606e6f114, the format of an
instant in the example of https://developer.domo.com/portal/52fd0777839f4 (no zone, which is UTC in Domo).
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from counterfoil.destinations.protocol import conflict, same_name
from counterfoil.destinations.sql.query import schema_of
from counterfoil.destinations.sql.text import duckdb_type
from counterfoil.errors import SchemaConflict

#: Rows in memory at a time.
_BATCH_ROWS = 8_192
#: Size of a gzipped part: Domo's documentation asks for 25 to 50 MB.
PART_BYTES = 32 << 20
_OPTIONS = pc_csv.WriteOptions(include_header=False, quoting_style="needed")
#: By DuckDB's names of types, which Counterfoil uses throughout. Domo has no boolean type: as text, values can be read
#: and filtered; as numbers, cards would add them up.
_TYPES = {
    "VARCHAR": "STRING",
    "JSON": "STRING",
    "BOOLEAN": "STRING",
    "INTEGER": "LONG",
    "BIGINT": "LONG",
    "DOUBLE": "DOUBLE",
    "DATE": "DATE",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "DATETIME",
}


def domo_type(field: pa.Field) -> str:
    """Domo's type for the field."""
    kind = duckdb_type(field)
    return "DECIMAL" if kind.startswith("DECIMAL") else _TYPES[kind]


def widened(present: Sequence[tuple[str, str]], table: str, schema: pa.Schema) -> list[tuple[str, str]]:
    """The present columns, then those that the schema adds. SchemaConflict if one has another type."""
    kinds = {same_name(name): kind for name, kind in present}
    added = []
    for field in schema:
        wanted, kind = domo_type(field), kinds.get(same_name(field.name))
        if kind is None:
            added.append((field.name, wanted))
        elif kind != wanted:
            raise conflict(table, field.name, kind, wanted)
    return [*present, *added]


def batches_of(files: Sequence[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of the parts. SchemaConflict if their types differ from the schema's."""
    for file in files:
        own = {field.name: duckdb_type(field) for field in schema_of(file)}
        for field in schema:
            kind, wanted = own.get(field.name), duckdb_type(field)
            if kind != wanted and (kind, wanted) != ("VARCHAR", "JSON"):
                raise SchemaConflict(
                    f"column {field.name} is {kind or 'missing'} in the parts and {wanted} in the report",
                    code="parts_mismatch",
                )
        with pq.ParquetFile(file, pre_buffer=False) as source:
            yield from source.iter_batches(_BATCH_ROWS, columns=schema.names, use_threads=False)


def write_parts(
    batches: Iterable[pa.RecordBatch],
    columns: Sequence[tuple[str, str]],
    folder: Path,
    part_bytes: int,
    written: Callable[[Path], None],
    check: Callable[[], None],
) -> int:
    """Writes the rows as files of gzipped CSV, passes each finished file to `written`, and returns the row count.

    Fields are in the order of the columns: Domo identifies them by position. `check` can stop the write by raising.
    Without rows, one empty file is written.
    """
    rows, number, source = 0, 0, iter(batches)
    batch = next(source, None)
    while batch is not None or not number:
        number += 1
        path = folder / f"{number:05}.csv.gz"
        with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=4, fileobj=raw) as packed:
            while batch is not None:
                check()
                pc_csv.write_csv(_fields(batch, columns), packed, _OPTIONS)
                rows += batch.num_rows
                batch = next(source, None)
                if raw.tell() >= part_bytes:
                    break
        written(path)
    return rows


def _fields(batch: pa.RecordBatch, columns: Sequence[tuple[str, str]]) -> pa.RecordBatch:
    by_name = {same_name(name): batch.column(number) for number, name in enumerate(batch.schema.names)}
    absent = pa.nulls(batch.num_rows, pa.int64())
    fields = [_written(by_name[same_name(name)]) if same_name(name) in by_name else absent for name, _ in columns]
    return pa.RecordBatch.from_arrays(fields, names=[str(number) for number in range(len(fields))])


def _written(values: pa.Array) -> pa.Array:
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return _written(values.storage)
    if pa.types.is_decimal(kind):
        return _plain(pc.cast(values, pa.string()))
    if pa.types.is_timestamp(kind):
        # The same instants without their zone, which is always UTC here.
        instants = pc.strftime(values.cast(pa.timestamp("us")), format="%Y-%m-%dT%H:%M:%S")
        return pc.replace_substring_regex(instants, pattern=r"\.0+$", replacement="")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        # As in Postgres: few readers of CSV accept a NUL character.
        return pc.replace_substring(values, pattern="\0", replacement="\ufffd")
    return pc.cast(values, pa.string()) if not pa.types.is_integer(kind) else values


def _plain(numbers: pa.Array) -> pa.Array:
    """Decimals without an exponent: Arrow writes small ones with one (0E-12)."""
    small = pc.match_substring(numbers, "E")
    if not pc.any(small).as_py():
        return numbers
    plain = [format(Decimal(text), "f") for text in numbers.filter(small).to_pylist()]
    return pc.replace_with_mask(numbers, small, pa.array(plain, pa.string()))
