"""Parts as tables of an in-memory database: queries on rows before a load, or together with a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from counterfoil.destinations.sql.database import in_memory
from counterfoil.destinations.sql.errors import mapped
from counterfoil.destinations.sql.text import duckdb_type, parts_source, quoted

#: Small, since checks process wide rows one by one.
_BATCH_ROWS = 1_000
_PLACE = "the database of the checks"


class PartsTables:
    """Runs our own SQL. For one thread only."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._cursor = cursor
        self._folder = folder

    def ask(self, sql: str) -> pa.RecordBatchReader:
        """The result of a query, to be read before the next query."""
        with mapped(_PLACE):
            reader = self._cursor.sql(sql).to_arrow_reader(_BATCH_ROWS)
            return pa.RecordBatchReader.from_batches(reader.schema, _batches(reader))

    def put(self, name: str, schema: pa.Schema, files: Sequence[Path]) -> None:
        """Creates a view of the files' rows; without files, an empty one with the schema."""
        with mapped(_PLACE):
            if files:
                source = parts_source([file.resolve() for file in files])
                self._cursor.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS SELECT * FROM {source}")  # noqa: S608 - quoted
            else:
                nothing = ", ".join(f"NULL::{duckdb_type(field)} AS {quoted(field.name)}" for field in schema)
                self._cursor.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS SELECT {nothing} WHERE false")

    def keep(self, name: str, sql: str) -> None:
        """Stores the result of a query as a temporary table."""
        with mapped(_PLACE):
            self._cursor.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS {sql}")

    def canonical(self, name: str, sql: str, texts: Sequence[str]) -> str:
        """A FROM clause for the result of a query, with the JSON columns (`texts`) in canonical form.

        A Python function in SQL could do this in place, but needs numpy in DuckDB.
        """
        file = self._folder / f"{name}.parquet"
        reader = self.ask(sql)
        with pq.ParquetWriter(file, reader.schema, compression="zstd") as writer:
            for batch in reader:
                columns = {one: batch.column(one) for one in batch.schema.names}
                for text in texts:
                    values = [None if one is None else _canonical(one) for one in columns[text].to_pylist()]
                    columns[text] = pa.array(values, batch.schema.field(text).type)
                writer.write_batch(pa.record_batch(list(columns.values()), schema=batch.schema))
        return parts_source([file.resolve()])


@contextmanager
def parts_tables(*, folders: Sequence[Path], spill: Path, megabytes: int) -> Iterator[PartsTables]:
    """A database for parts in these folders. Data that does not fit in memory goes to `spill`, in one of them."""
    with in_memory([folder.resolve() for folder in folders], spill, megabytes) as cursor:
        spill.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield PartsTables(cursor, spill)


def _canonical(text: str) -> str:
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()
    except ValueError:
        return text


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    with mapped(_PLACE):
        yield from reader
