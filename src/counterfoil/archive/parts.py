"""Parts: the run's rows as Parquet files, each written under another name, synced, and then renamed."""

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

_PART_ROWS = 200_000
_PART_BYTES = 64 << 20
#: Bytes in memory that become one row group: large enough for Parquet, small enough for a small machine.
_GROUP_BYTES = 16 << 20
_PATTERN = "part-*.parquet*"


class PartWriter:
    """Cuts batches of one schema into parts; holds at most one row group in memory."""

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
        """Takes the batch; ValueError when its columns are not the schema's."""
        if not batch.schema.equals(self._schema):
            raise ValueError(f"the batch's columns are not the archive's: {batch.schema} against {self._schema}")
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
                # Without dictionaries writing is a third cheaper and, under zstd, the file no larger.
                self._writer = pq.ParquetWriter(
                    self._file, self._stored, compression="zstd", compression_level=1, use_dictionary=False
                )
            table = pa.Table.from_batches(batches, schema=self._stored)
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._group, self._group_bytes = [], 0

    def cut(self) -> None:
        """Ends the part at hand, if there is one."""
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
        """Drops the part at hand."""
        if self._file is not None:
            self._file.discard()
            if self._writer is not None:
                # Else the writer would end the file by itself when it is collected.
                self._writer.close()
        self._file, self._writer, self._rows, self._group, self._group_bytes = None, None, 0, [], 0


class _HashedFile(io.RawIOBase):
    """A new file whose SHA-256 is taken while it is written; once discarded it takes writes and keeps nothing."""

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
    """The schema of the files: JSON columns, marked by the field's metadata, become Parquet's own JSON type."""
    fields = [f.with_type(pa.json_()) if (f.metadata or {}).get(b"counterfoil") == b"json" else f for f in schema]
    return pa.schema(fields, metadata=schema.metadata)


def _stored(column: pa.Array, type_: pa.DataType) -> pa.Array:
    return column if column.type == type_ else pa.ExtensionArray.from_storage(type_, column)


def remove_parts(folder: Path) -> None:
    """Removes every part of the folder, whole or not."""
    for path in folder.glob(_PATTERN):
        path.unlink()


def verify(part: Part) -> None:
    """Raises RunError when the file is not, byte for byte, the one that was written."""
    try:
        with part.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RunError(f"{part.path} cannot be read: {error.strerror}", hint="Run the report again.") from error
    if found != part.checksum:
        raise RunError(f"{part.path} is not as it was written: its checksum differs", hint="Run the report again.")


def stored_rows(part: Part) -> int:
    """Rows that the file itself says it has; RunError when it can't be read."""
    rows: int = _read(part.path, pq.read_metadata).num_rows
    return rows


def read_parts(parts: Sequence[Part], schema: pa.Schema | None = None) -> pa.RecordBatchReader:
    """The rows of the parts, in their order; no parts need the schema to be given."""
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
        raise RunError(f"{path} cannot be read: {error}", hint="Run the report again.") from error
