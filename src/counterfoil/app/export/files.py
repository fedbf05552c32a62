"""Rows as files: CSV, Excel, Parquet or lines of JSON, streamed, and on the disk as a whole or not at all.

In CSV, text that a spreadsheet would run as a formula begins with an apostrophe, unless it is wanted `as_is`.
"""

from __future__ import annotations

import io
import json
import math
import secrets
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TextIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from counterfoil.app.export.excel import ExcelWriter
from counterfoil.app.export.formulas import escape_formulas
from counterfoil.errors import RunError, SettingsError


class _JsonLines:
    """An object for each row, written like Arrow's own writers do."""

    def __init__(self, sink: Any, _schema: pa.Schema) -> None:
        self._sink = sink

    def write_batch(self, batch: pa.RecordBatch) -> None:
        for chunk in _lines_of(batch):
            self._sink.write(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


_WRITERS: dict[str, Callable[..., Any]] = {
    ".csv": pyarrow.csv.CSVWriter,
    ".xlsx": ExcelWriter,
    ".parquet": lambda sink, schema: pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd"),
    ".jsonl": _JsonLines,
}

#: Rows of a piece of CSV or JSON: text is much larger than what it is made of.
_TEXT_ROWS = 1000
_CHUNK_BYTES = 1 << 20


def check_file(path: Path) -> None:
    """Refuses what can't be written to, before any work is done."""
    if path.suffix.lower() not in _WRITERS:
        raise SettingsError(
            f"{path} is no kind of file that can be written",
            hint=f"Give it a name that ends in {', '.join(list(_WRITERS)[:-1])} or {list(_WRITERS)[-1]}.",
        )
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise SettingsError(f"{path} {what}", hint="Name a file in a folder that is there.")


def write_file(rows: pa.RecordBatchReader, path: Path, *, limit: int | None = None, as_is: bool = False) -> int:
    """Writes at most so many rows into a file, by its suffix; how many there were.

    A file of that name is replaced, once the new one is whole.
    """
    check_file(path)
    suffix, written = path.suffix.lower(), 0
    with _replacing(path) as sink, _WRITERS[suffix](sink, rows.schema) as writer:
        for batch in first(rows, limit):
            writer.write_batch(_fit(batch, suffix, as_is=as_is))
            written += batch.num_rows
    return written


def write_csv(rows: pa.RecordBatchReader, out: TextIO, *, limit: int | None = None, as_is: bool = False) -> None:
    """Writes at most so many rows as CSV into a stream of text."""
    buffer = io.BytesIO()
    with pyarrow.csv.CSVWriter(buffer, rows.schema) as writer:
        for batch in first(rows, limit):
            writer.write_batch(_fit(batch, ".csv", as_is=as_is))
            out.write(buffer.getvalue().decode())
            buffer.seek(0)
            buffer.truncate()
    out.write(buffer.getvalue().decode())  # the names alone, when there was no row
    out.flush()


def file_chunks(rows: pa.RecordBatchReader, suffix: str, *, as_is: bool = False) -> Generator[bytes]:
    """The bytes of a file of all rows, piece by piece; what is not taken any more is given back when it is closed.

    A piece of Parquet is a row group, so that memory does not grow with the rows.
    """
    if suffix == ".jsonl":
        yield from _json_lines(rows)
        return
    if suffix == ".xlsx":
        yield from _workbook(rows)
        return
    piece = _Piece()
    try:
        with _WRITERS[suffix](piece, rows.schema) as writer:
            yield piece.taken()
            for batch in (_fit(one, suffix, as_is=as_is) for one in rows):
                step = _TEXT_ROWS if suffix == ".csv" else max(1, batch.num_rows)
                for start in range(0, batch.num_rows, step):
                    writer.write_batch(batch.slice(start, step))
                    if chunk := piece.taken():
                        yield chunk
        yield piece.taken()
    finally:
        rows.close()


def _json_lines(rows: pa.RecordBatchReader) -> Generator[bytes]:
    """An object for each row."""
    try:
        for batch in rows:
            yield from _lines_of(batch)
    finally:
        rows.close()


def _lines_of(batch: pa.RecordBatch) -> Generator[bytes]:
    for start in range(0, batch.num_rows, _TEXT_ROWS):
        lines = (json_row(row) for row in batch.slice(start, _TEXT_ROWS).to_pylist())
        yield "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()


def _workbook(rows: pa.RecordBatchReader) -> Generator[bytes]:
    """Made on the disk first: it is a zip whose beginning tells of its end."""
    try:
        with tempfile.TemporaryFile() as sink:
            with ExcelWriter(sink, rows.schema) as writer:
                for batch in rows:
                    writer.write_batch(batch)
            sink.seek(0)
            while chunk := sink.read(_CHUNK_BYTES):
                yield chunk
    finally:
        rows.close()


def json_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, each of its values as `json_value` makes it."""
    return {name: json_value(value) for name, value in row.items()}


def json_value(value: Any) -> Any:
    """What JSON can hold: instants as text, decimals as text too, since a float would not be exact."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [json_value(each) for each in value]
    if isinstance(value, dict):
        return {str(name): json_value(each) for name, each in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _fit(batch: pa.RecordBatch, suffix: str, *, as_is: bool = False) -> pa.RecordBatch:
    return escape_formulas(batch) if suffix == ".csv" and not as_is else batch


class _Piece(io.RawIOBase):
    """What was written since it was taken last; Arrow writes into it as into a file."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._written.append(piece)
        self._at += len(piece)
        return len(piece)

    def taken(self) -> bytes:
        whole = b"".join(self._written)
        self._written.clear()
        return whole


def first(rows: pa.RecordBatchReader, limit: int | None) -> Iterator[pa.RecordBatch]:
    """The batches of the first so many rows, or of all."""
    left = limit
    for batch in rows:
        if left is not None and batch.num_rows >= left:
            yield batch.slice(0, left)
            return
        yield batch
        left = None if left is None else left - batch.num_rows


@contextmanager
def _replacing(path: Path) -> Iterator[Any]:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("wb") as sink:
            yield sink
        partial.replace(path)
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror or error}", hint="Nothing was kept of it.") from error
    finally:
        partial.unlink(missing_ok=True)
