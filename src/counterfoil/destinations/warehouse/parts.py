"""The rows of parts for a warehouse: batch by batch, and for a merge one row per key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from counterfoil.destinations.cancellation import stoppable
from counterfoil.destinations.keys import keep_first
from counterfoil.destinations.postgres.copy import check_types, plain, without_nul_in
from counterfoil.destinations.protocol import Stop
from counterfoil.destinations.sql.database import in_memory
from counterfoil.destinations.sql.merge import POSITION, is_unique
from counterfoil.destinations.sql.text import duckdb_type, literal, parts_source, quoted
from counterfoil.values import Load

#: Small, since some warehouses receive them as Python rows.
_BATCH_ROWS = 2_000


def batches_of(schema: pa.Schema, files: Sequence[Path], *, nul: bool) -> Iterator[pa.RecordBatch]:
    """The rows of the files in the schema's columns, JSON as text. Without `nul`, U+FFFD replaces NUL."""
    for path in files:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=schema.names, use_threads=False):
                yield as_text(schema, batch, nul=nul)


def as_text(schema: pa.Schema, batch: pa.RecordBatch, *, nul: bool) -> pa.RecordBatch:
    """The batch in the schema's columns and types."""
    columns = [plain(batch.column(name)) for name in schema.names]
    if not nul:
        columns = [without_nul_in(column, field) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema.remove_metadata())


def rows_of(schema: pa.Schema, files: Sequence[Path]) -> int:
    """The number of rows in the files. SchemaConflict if their columns differ from the schema's."""
    for file in files:
        check_types(file, schema)
    return sum(pq.read_metadata(file).num_rows for file in files)


def one_of_each_key(
    load: Load, schema: pa.Schema, files: Sequence[Path], folder: Path, *, megabytes: int, stop: Stop | None
) -> Sequence[Path]:
    """Files with one row per key, the row that was read last: the given files, or new ones in the folder."""
    if not files:
        return files
    readable = [*{file.parent for file in files}, folder]
    with in_memory(readable, folder / "spill", megabytes) as cursor, stoppable(cursor.interrupt, stop):
        if is_unique(cursor, load, files):
            return files
        keys = [f"{quoted(key)}::{duckdb_type(schema.field(key))} AS key{n}" for n, key in enumerate(load.primary_key)]
        synced = "_synced_at::TIMESTAMPTZ" if "_synced_at" in schema.names else "NULL::TIMESTAMPTZ"
        cursor.execute(f"""
            CREATE TEMP TABLE _counterfoil_last AS
            SELECT {", ".join(keys)}, {POSITION} AS position, {synced} AS synced_at FROM {parts_source(files)}
        """)  # noqa: S608 - quoted
        keep_first(cursor, "_counterfoil_last", "position", load, "synced_at DESC NULLS LAST, position DESC")
        kept = []
        for number, file in enumerate(files):
            position = POSITION.replace("file_index", f"{number}")
            path = folder / f"{number:05}.parquet"
            cursor.execute(f"""
                COPY (
                    SELECT * FROM {parts_source([file])}
                    WHERE {position} IN (SELECT position FROM temp._counterfoil_last)
                ) TO {literal(str(path))} (FORMAT parquet)
            """)  # noqa: S608 - quoted
            kept.append(path)
    return kept


def drained(schema: pa.Schema, reader: pa.RecordBatchReader, *, nul: bool) -> Iterator[pa.RecordBatch]:
    """The batches of a query result, in the same form as those of files."""
    with closing(reader):
        for batch in reader:
            yield as_text(schema, batch, nul=nul)
