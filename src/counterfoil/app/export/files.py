"""Rows as CSV, Excel, Parquet or JSON Lines files: streamed, and written atomically.

In CSV, an apostrophe precedes text that a spreadsheet would execute as a formula, unless `as_is` is set.
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

from counterfoil.app.export.amounts import NO_CURRENCIES, Currencies, amounts_as_text, amounts_schema
from counterfoil.app.export.excel import ExcelWriter
from counterfoil.app.export.formulas import escape_formulas
from counterfoil.errors import RunError, SettingsError


class _JsonLines:
    """Writes an object per row, with the interface of Arrow's writers."""

    def __init__(self, sink: Any, _schema: pa.Schema) -> None:
        self._sink = sink

    def write_batch(self, batch: pa.RecordBatch) -> None:
        for chunk in _lines_of(batch):
            self._sink.write(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


_WRITERS: dict[str, Callable[[Any, pa.Schema, Currencies], Any]] = {
    ".csv": lambda sink, schema, currencies: pyarrow.csv.CSVWriter(sink, amounts_schema(schema, currencies)),
    ".xlsx": ExcelWriter,
    ".parquet": lambda sink, schema, _: pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd"),
    ".jsonl": lambda sink, schema, _: _JsonLines(sink, schema),
}
#: Formats without a type for amounts of several currencies.
_TEXT = (".csv", ".jsonl")

#: Rows per chunk of CSV or JSON: text is much larger than Arrow data.
_TEXT_ROWS = 1000
_CHUNK_BYTES = 1 << 20


def check_file(path: Path) -> None:
    """Raises SettingsError before any work if the file cannot be written."""
    if path.suffix.lower() not in _WRITERS:
        raise SettingsError(
            f"unsupported file type: {path.suffix or path.name}",
            hint=f"Use {', '.join(list(_WRITERS)[:-1])} or {list(_WRITERS)[-1]}.",
        )
    if path.is_dir() or not path.parent.is_dir():
        problem = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise SettingsError(f"{path} {problem}", hint="Use a file in an existing folder.")


def write_file(
    rows: pa.RecordBatchReader,
    path: Path,
    *,
    currencies: Currencies = NO_CURRENCIES,
    limit: int | None = None,
    as_is: bool = False,
) -> int:
    """Writes at most `limit` rows to a file in the format of its suffix; returns the number of rows.

    Replaces an existing file atomically. Amounts have the digits of their currency, except in Parquet, which is typed.
    """
    check_file(path)
    suffix, written = path.suffix.lower(), 0
    with _replacing(path) as sink, _WRITERS[suffix](sink, rows.schema, currencies) as writer:
        for batch in first(rows, limit):
            writer.write_batch(_fit(batch, suffix, currencies, as_is=as_is))
            written += batch.num_rows
    return written


def write_csv(
    rows: pa.RecordBatchReader,
    out: TextIO,
    *,
    currencies: Currencies = NO_CURRENCIES,
    limit: int | None = None,
    as_is: bool = False,
) -> None:
    """Writes at most `limit` rows as CSV to a text stream."""
    buffer = io.BytesIO()
    with _WRITERS[".csv"](buffer, rows.schema, currencies) as writer:
        for batch in first(rows, limit):
            writer.write_batch(_fit(batch, ".csv", currencies, as_is=as_is))
            out.write(buffer.getvalue().decode())
            buffer.seek(0)
            buffer.truncate()
    out.write(buffer.getvalue().decode())  # only the header, if there are no rows
    out.flush()


def file_chunks(
    rows: pa.RecordBatchReader, suffix: str, *, currencies: Currencies = NO_CURRENCIES, as_is: bool = False
) -> Generator[bytes]:
    """Streams a file of all rows as chunks of bytes; closes the reader when the generator is closed.

    A chunk of Parquet is a row group, so memory does not grow with the number of rows.
    """
    if suffix == ".jsonl":
        yield from _json_lines(rows, currencies)
        return
    if suffix == ".xlsx":
        yield from _workbook(rows, currencies)
        return
    piece = _Piece()
    try:
        with _WRITERS[suffix](piece, rows.schema, currencies) as writer:
            yield piece.taken()
            for batch in (_fit(one, suffix, currencies, as_is=as_is) for one in rows):
                step = _TEXT_ROWS if suffix == ".csv" else max(1, batch.num_rows)
                for start in range(0, batch.num_rows, step):
                    writer.write_batch(batch.slice(start, step))
                    if chunk := piece.taken():
                        yield chunk
        yield piece.taken()
    finally:
        rows.close()


def _json_lines(rows: pa.RecordBatchReader, currencies: Currencies) -> Generator[bytes]:
    """A line with a JSON object per row."""
    try:
        for batch in rows:
            yield from _lines_of(_fit(batch, ".jsonl", currencies))
    finally:
        rows.close()


def _lines_of(batch: pa.RecordBatch) -> Generator[bytes]:
    for start in range(0, batch.num_rows, _TEXT_ROWS):
        lines = (json_row(row) for row in batch.slice(start, _TEXT_ROWS).to_pylist())
        yield "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()


def _workbook(rows: pa.RecordBatchReader, currencies: Currencies) -> Generator[bytes]:
    """Writes the workbook to disk first, because a zip file cannot be streamed."""
    try:
        with tempfile.TemporaryFile() as sink:
            with ExcelWriter(sink, rows.schema, currencies) as writer:
                for batch in rows:
                    writer.write_batch(batch)
            sink.seek(0)
            while chunk := sink.read(_CHUNK_BYTES):
                yield chunk
    finally:
        rows.close()


def json_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with the values of `json_value`."""
    return {name: json_value(value) for name, value in row.items()}


def json_value(value: Any) -> Any:
    """The value for JSON: times as text, and decimals as text, because a float is not exact."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [json_value(each) for each in value]
    if isinstance(value, dict):
        return {str(name): json_value(each) for name, each in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _fit(batch: pa.RecordBatch, suffix: str, currencies: Currencies, *, as_is: bool = False) -> pa.RecordBatch:
    if suffix == ".csv" and not as_is:
        batch = escape_formulas(batch)
    return amounts_as_text(batch, currencies) if suffix in _TEXT else batch


class _Piece(io.RawIOBase):
    """A file object for Arrow that returns the bytes written since the last call of `taken`."""

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
    """The batches of the first `limit` rows, or of all rows."""
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
        raise RunError(
            f"cannot write {path}: {error.strerror or error}", hint="Check the folder and the free disk space."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
