"""Copies rows of parts into a Postgres table by COPY, batch by batch: neither side holds all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from counterfoil.destinations.postgres.server import Session
from counterfoil.destinations.sql.database import in_memory
from counterfoil.destinations.sql.query import schema_of
from counterfoil.destinations.sql.text import duckdb_type, quoted
from counterfoil.errors import SchemaConflict
from counterfoil.values import Load

_BATCH_ROWS = 2_048
#: All values are quoted, so that an empty string is not read as null.
_CSV = pcsv.WriteOptions(include_header=False, quoting_style="all_valid")
#: Replaces the NUL character, which Postgres does not accept in text: U+FFFD.
_REPLACEMENT = "\ufffd"
#: A NUL character in JSON, after an even number of backslashes.
_NUL_IN_JSON = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
#: The column of a staging table with the position of a row in the parts.
POSITION = "_counterfoil_position"


class Source:
    """The parts of a load, read in bounded memory: batch by batch, or by DuckDB where all rows are needed."""

    def __init__(
        self, load: Load, schema: pa.Schema, files: Sequence[Path], opened: Callable[[], duckdb.DuckDBPyConnection]
    ) -> None:
        self.load = load
        self.schema = schema
        self.files = files
        self._opened = opened

    @cached_property
    def database(self) -> duckdb.DuckDBPyConnection:
        """DuckDB, which reads the parts. Opened on first use: that takes longer than a small load."""
        return self._opened()

    def put(self, session: Session, table: str) -> int:
        """Inserts the rows into the table, in no defined order, and returns their number."""
        return self._copy(session, session.named(table), self.schema.names)

    def stage(self, session: Session, table: str) -> int:
        """Inserts the rows into a temporary table with their position in the parts, and returns their number."""
        return self._copy(session, f"pg_temp.{quoted(table)}", [*self.schema.names, POSITION])

    def _copy(self, session: Session, into: str, names: Sequence[str]) -> int:
        if not self.files:
            return 0
        columns = ", ".join(map(quoted, names))
        cursor = session.connection.cursor()
        with (
            closing(_ahead(self._texts(positions=POSITION in names))) as texts,
            cursor.copy(f"COPY {into} ({columns}) FROM STDIN (FORMAT csv)") as copy,
        ):
            for text in texts:
                session.check()
                copy.write(text)
        return cursor.rowcount

    def _texts(self, *, positions: bool) -> Iterator[bytes]:
        for number, path in enumerate(self.files):
            row = number << 40
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(_BATCH_ROWS, columns=self.schema.names, use_threads=False):
                    columns = [plain(batch.column(name)) for name in self.schema.names]
                    if positions:
                        columns.append(pa.array(range(row, row + batch.num_rows), pa.int64()))
                        row += batch.num_rows
                    yield self._text(columns)

    def _text(self, columns: list[pa.Array]) -> bytes:
        text = _csv(columns)
        if b"\0" in text or b"\\u0000" in text:
            fields = [*self.schema, None]
            text = _csv([without_nul_in(column, field) for column, field in zip(columns, fields, strict=False)])
        return text


@contextmanager
def source_of(
    session: Session, load: Load, schema: pa.Schema, files: Sequence[Path], *, archive: Path, megabytes: int
) -> Iterator[Source]:
    """The parts, checked against the schema's types. Data that does not fit in memory goes to a folder next to them."""
    for file in files:
        check_types(file, schema)
    with ExitStack() as stack:

        def opened() -> duckdb.DuckDBPyConnection:
            spill = stack.enter_context(TemporaryDirectory(prefix="loading-", dir=files[0].parent if files else None))
            connection = stack.enter_context(in_memory([archive], Path(spill), megabytes))
            session.interrupts.append(connection.interrupt)
            stack.callback(session.interrupts.clear)
            return connection

        yield Source(load, schema, files, opened)


def check_types(file: Path, schema: pa.Schema) -> None:
    """Rejects a part with other types than the schema: Postgres could read the text of a value differently."""
    present = {field.name: duckdb_type(field) for field in schema_of(file)}
    for field in schema:
        kind, wanted = present.get(field.name), duckdb_type(field)
        if kind != wanted and (kind, wanted) != ("VARCHAR", "JSON"):
            raise SchemaConflict(
                f"column {field.name} is {kind or 'missing'} in the parts and {wanted} in the report",
                code="parts_mismatch",
            )


def _ahead(texts: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same texts, each created while the server receives the previous one."""
    with ThreadPoolExecutor(1, thread_name_prefix="reading") as thread:
        coming = thread.submit(next, texts, b"")
        while text := coming.result():
            coming = thread.submit(next, texts, b"")
            yield text


def without_nul(text: str) -> str:
    """The text as Postgres can store it."""
    return text.replace("\0", _REPLACEMENT)


def plain(column: pa.Array) -> pa.Array:
    """The column, with JSON as text."""
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _csv(columns: Sequence[pa.Array]) -> bytes:
    sink = pa.BufferOutputStream()
    batch = pa.RecordBatch.from_arrays(columns, names=[str(number) for number in range(len(columns))])
    pcsv.write_csv(batch, sink, _CSV)
    text: bytes = sink.getvalue().to_pybytes()
    return text


def without_nul_in(column: pa.Array, field: pa.Field | None) -> pa.Array:
    if field is None or duckdb_type(field) not in ("VARCHAR", "JSON"):
        return column
    if duckdb_type(field) == "JSON":
        texts = (value and _NUL_IN_JSON.sub(r"\1\\ufffd", value) for value in column.to_pylist())
        return pa.array(texts, column.type)
    return pc.replace_substring(column, "\0", _REPLACEMENT)
