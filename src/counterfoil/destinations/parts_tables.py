"""Parts as tables of a database that is in no file: what was read is asked before it is loaded, or beside a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa

from counterfoil.destinations.duckdb_errors import mapped
from counterfoil.destinations.duckdb_file import in_memory
from counterfoil.destinations.sql import duckdb_type, parts_source, quoted

#: Few, since checks look at wide rows one by one.
_BATCH_ROWS = 1_000
_PLACE = "the database of the checks"
#: A function of SQL: JSON in the one writing that all others of the same have.
CANONICAL = "canonical_json"


class PartsTables:
    """Answers SQL of our own; safe for one thread."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        cursor.create_function(CANONICAL, _canonical, ["VARCHAR"], "VARCHAR")

    def ask(self, sql: str) -> pa.RecordBatchReader:
        """The answer, which is to be read before the next question."""
        with mapped(_PLACE):
            reader = self._cursor.sql(sql).to_arrow_reader(_BATCH_ROWS)
            return pa.RecordBatchReader.from_batches(reader.schema, _batches(reader))

    def put(self, name: str, schema: pa.Schema, files: Sequence[Path]) -> None:
        """Gives the files' rows a name; without files it is a table with the schema and no rows."""
        with mapped(_PLACE):
            if files:
                source = parts_source([file.resolve() for file in files])
                self._cursor.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS SELECT * FROM {source}")  # noqa: S608 - quoted
            else:
                nothing = ", ".join(f"NULL::{duckdb_type(field)} AS {quoted(field.name)}" for field in schema)
                self._cursor.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS SELECT {nothing} WHERE false")

    def keep(self, name: str, sql: str) -> None:
        """Keeps the answer under a name, to be asked again."""
        with mapped(_PLACE):
            self._cursor.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS {sql}")


@contextmanager
def parts_tables(*, folders: Sequence[Path], spill: Path, megabytes: int) -> Iterator[PartsTables]:
    """A place for parts that are in the folders. What does not fit in memory goes to `spill`."""
    with in_memory([folder.resolve() for folder in folders], spill, megabytes) as cursor:
        yield PartsTables(cursor)


def _canonical(text: str) -> str:
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()
    except ValueError:
        return text


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    with mapped(_PLACE):
        yield from reader
