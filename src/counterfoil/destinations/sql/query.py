"""Reads with DuckDB: user queries, and the columns of Parquet files."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from counterfoil.destinations.query_check import check_question
from counterfoil.destinations.sql.errors import mapped_query
from counterfoil.destinations.sql.text import duckdb_type, parts_source
from counterfoil.errors import RunError, SchemaConflict

_BATCH_ROWS = 10_000


@contextmanager
def querying(cursor: duckdb.DuckDBPyConnection, seconds: float | None) -> Iterator[None]:
    """Interrupts the cursor after `seconds`."""
    if seconds is None:
        yield
        return
    late = threading.Event()

    def interrupt() -> None:
        late.set()
        cursor.interrupt()

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except RunError as error:
        if late.is_set():
            raise RunError(
                f"the query took longer than {seconds:g} seconds",
                hint="Select fewer rows, or filter by date.",
                code="query_timeout",
            ) from error
        raise
    finally:
        timer.cancel()


def select(cursor: duckdb.DuckDBPyConnection, sql: str) -> pa.RecordBatchReader:
    """Starts one SELECT over the tables in a read-only transaction. RunError for anything else."""
    with mapped_query():
        check_question(cursor, sql)
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        reader: pa.RecordBatchReader = cursor.sql(sql).to_arrow_reader(_BATCH_ROWS)
        return reader


def batches_of(reader: pa.RecordBatchReader, held: ExitStack) -> Iterator[pa.RecordBatch]:
    """The reader's batches. Closes `held` after the last one, or when they are dropped."""
    with held, mapped_query():
        yield from reader


def described(cursor: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> tuple[tuple[str, str], ...]:
    """Name and type of each column of the files."""
    rows = cursor.execute(f"DESCRIBE SELECT * FROM {parts_source(files)}").fetchall()  # noqa: S608 - quoted
    return tuple((name, kind) for name, kind, *_ in rows)


def schema_of(file: Path) -> pa.Schema:
    """The schema that the part was written with. JSON is text, marked as JSON."""
    fields = [
        pa.field(f.name, pa.string(), metadata={b"counterfoil": b"json"}) if f.type == pa.json_() else f
        for f in pq.read_schema(file)
    ]
    return pa.schema(fields)


def check_types(cursor: duckdb.DuckDBPyConnection, files: Sequence[Path], schema: pa.Schema) -> None:
    """Rejects parts with other types than the schema: DuckDB would silently round a double to an integer."""
    present = dict(described(cursor, files))
    for field in schema:
        kind, wanted = present.get(field.name), duckdb_type(field)
        if kind != wanted and (kind, wanted) != ("VARCHAR", "JSON"):
            raise SchemaConflict(
                f"column {field.name} is {kind or 'missing'} in the parts and {wanted} in the report",
                code="parts_mismatch",
            )
