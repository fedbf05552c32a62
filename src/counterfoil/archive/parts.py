"""Parts: the rows of a run as Parquet files. Each is written under a temporary name, synced and renamed."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from counterfoil.archive.disk import sync_folder, writing
from counterfoil.errors import RunError
from counterfoil.values import Part

#: The codes of the errors.
PART_CHANGED, PART_UNREADABLE = "part_changed", "part_unreadable"
_PART_ROWS = 200_000
_PART_BYTES = 64 << 20
#: Size in memory of one row group: large enough for Parquet, small enough for a small machine.
_GROUP_BYTES = 16 << 20
_PATTERN = "part-*.parquet*"


class PartWriter:
    """Writes batches of one schema to parts. Keeps at most one row group in memory."""

    def __init__(
        self, folder: Path, schema: pa.Schema, *, part_rows: int = _PART_ROWS, part_bytes: int = _PART_BYTES
    ) -> None:
        self._folder = folder
        self._schema = schema
        self._stored = stored_schema(schema)
        self._part_rows = part_rows
        self._part_bytes = part_bytes
        self._group: list[pa.RecordBatch] = []
        self._group_bytes = 0
        self._rows = 0
        self._file: _HashedFile | None = None
        self._writer: Any = None
        self.parts: list[Part] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds the batch; ValueError if its schema differs from the archive's."""
        if not batch.schema.equals(self._schema):
            raise ValueError(f"the batch's schema differs from the archive's: {batch.schema} instead of {self._schema}")
        while batch.num_rows:
            taken = batch.slice(0, self._part_rows - self._rows)
            batch = batch.slice(taken.num_rows)
            self._group.append(taken)
            self._group_bytes += taken.nbytes
            self._rows += taken.num_rows
            if self._group_bytes >= _GROUP_BYTES or self._rows >= self._part_rows:
                self._write_group()
            if self._rows >= self._part_rows or (self._file and self._file.written >= self._part_bytes):
                self.cut()

    def _write_group(self) -> None:
        batches = [
            pa.record_batch(
                [_stored(column, f.type) for column, f in zip(b.columns, self._stored, strict=True)],
                schema=self._stored,
            )
            for b in self._group
        ]
        with self._writing():
            if self._writer is None:
                self._file = _HashedFile(self._folder / f"part-{len(self.parts) + 1:05}.parquet.partial")
                # Without dictionaries, writing takes a third less time, and with zstd the file is not larger.
                self._writer = pq.ParquetWriter(
                    self._file, self._stored, compression="zstd", compression_level=1, use_dictionary=False
                )
            table = pa.Table.from_batches(batches, schema=self._stored)
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._group, self._group_bytes = [], 0

    def cut(self) -> None:
        """Finishes the open part, if there is one."""
        if self._group:
            self._write_group()
        if self._file is None:
            return
        file = self._file
        with self._writing():
            self._writer.close()
            file.sync()
            path = file.path.with_suffix("")
            file.path.replace(path)
            sync_folder(self._folder)
        self.parts.append(Part(path, self._rows, file.written, file.checksum()))
        self._file, self._writer, self._rows = None, None, 0

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with writing(self._folder):
                yield
        except RunError:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Drops the open part."""
        if self._file is not None:
            self._file.discard()
            if self._writer is not None:
                # Otherwise the writer would finish the file when it is garbage-collected.
                self._writer.close()
        self._file, self._writer, self._rows, self._group, self._group_bytes = None, None, 0, [], 0


class _HashedFile(io.RawIOBase):
    """A new file that computes its SHA-256 while it is written. After `discard`, writes are ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = 0
        self._hash = hashlib.sha256()
        self._file = path.open("wb")

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.written

    def write(self, data: Any) -> int:
        view = memoryview(data)
        if self._file.closed:
            return view.nbytes
        self._file.write(view)
        self._hash.update(view)
        self.written += view.nbytes
        return view.nbytes

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        with suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)

    def checksum(self) -> str:
        return self._hash.hexdigest()


def stored_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of the files: JSON columns, marked in the field's metadata, become Parquet's JSON type."""
    fields = [f.with_type(pa.json_()) if (f.metadata or {}).get(b"counterfoil") == b"json" else f for f in schema]
    return pa.schema(fields, metadata=schema.metadata)


def _stored(column: pa.Array, type_: pa.DataType) -> pa.Array:
    return column if column.type == type_ else pa.ExtensionArray.from_storage(type_, column)


def remove_parts(folder: Path) -> None:
    """Removes every part in the folder, finished or not."""
    for path in folder.glob(_PATTERN):
        path.unlink()


def verify(part: Part) -> None:
    """Raises RunError if the file differs from the one that was written."""
    try:
        with part.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        text = f"{part.path} cannot be read: {error.strerror}"
        raise RunError(text, hint="Run the report again.", code=PART_UNREADABLE) from error
    if found != part.checksum:
        text = f"{part.path} was changed after the run: its checksum differs"
        raise RunError(text, hint="Run the report again.", code=PART_CHANGED)


def stored_rows(part: Part) -> int:
    """The number of rows in the file's metadata; RunError if it can't be read."""
    rows: int = _read(part.path, pq.read_metadata).num_rows
    return rows


def read_parts(parts: Sequence[Part], schema: pa.Schema | None = None) -> pa.RecordBatchReader:
    """The rows of the parts, in order. Without parts, the result has `schema`."""
    if not parts:
        return pa.RecordBatchReader.from_batches(schema if schema is not None else pa.schema([]), iter(()))
    stored = _read(parts[0].path, pq.read_schema)
    plain = pa.schema([_plain(f) for f in stored], metadata=stored.metadata)
    return pa.RecordBatchReader.from_batches(plain, _batches(parts, plain))


def _batches(parts: Sequence[Part], plain: pa.Schema) -> Iterator[pa.RecordBatch]:
    for part in parts:
        with _read(part.path, pq.ParquetFile) as file:
            for batch in file.iter_batches():
                columns = [c.storage if isinstance(c, pa.ExtensionArray) else c for c in batch.columns]
                yield pa.record_batch(columns, schema=plain)


def _plain(field: pa.Field) -> pa.Field:
    return field.with_type(field.type.storage_type) if isinstance(field.type, pa.BaseExtensionType) else field


def _read(path: Path, reader: Any) -> Any:
    try:
        return reader(path)
    except (OSError, pa.ArrowException) as error:
        text = f"{path} cannot be read: {error}"
        raise RunError(text, hint="Run the report again.", code=PART_UNREADABLE) from error
