"""Storage of Delta tables: a folder for each table, below a local folder or a prefix of a bucket."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from counterfoil.destinations.files.table_folder import HIDDEN, check_folder, locked, sync
from counterfoil.destinations.protocol import Progress, Stop
from counterfoil.errors import DestinationRejected

#: The folder of our records. Readers and cleanup tools ignore it because its name begins with an underscore.
RECORDS = "_counterfoil"
LOG = "_delta_log"
#: Age after which local files of a load are no longer in use.
_STALE_SECONDS = 86_400
_TIMEOUT_SECONDS = 30


def folder_name(table: str) -> str:
    """The name of the table's folder, encoded with `~` except for letters, digits, space, `_`, `-` and inner dots.

    Not percent-encoded, since the deltalake library decodes paths once too often (observed in 1.6.6).
    """
    encoded = "".join(one if one.isalnum() or one in " _-." else _coded(one) for one in table)
    return _coded(".") + encoded[1:] if encoded.startswith(".") else encoded


def table_name(folder: str) -> str:
    """The table of a folder with this name."""
    return unquote(folder.replace("~", "%"))


def _coded(letter: str) -> str:
    return "".join(f"~{byte:02X}" for byte in letter.encode())


class Storage(Protocol):
    """A location of tables. File names are relative to the folder of their table."""

    #: The name to display, and the options of the deltalake library for a URI.
    place: str
    options: Mapping[str, str] | None

    def uri(self, table: str) -> str: ...

    def files(self, table: str) -> pafs.FileSystem:
        """The folder of the table, as a file system."""
        ...

    def tables(self) -> list[str]:
        """Names of possible tables."""
        ...

    def entries(self, table: str, folder: str = "") -> list[str]:
        """Names of the entries of the table's folder, or of a folder in it; none if there is no such folder."""
        ...

    def read(self, table: str, name: str) -> bytes:
        """FileNotFoundError if there is no such file."""
        ...

    def fetch(self, table: str, name: str, columns: Sequence[str] | None, into: Path) -> Path:
        """The local path of a Parquet file of the table, which is copied to `into` if it is remote."""
        ...

    def put(self, table: str, name: str, file: Path) -> None:
        """Moves or copies a local file into the table's folder. It never replaces a file."""
        ...

    def delete(self, table: str, names: Sequence[str]) -> None: ...

    def remove(self, table: str) -> None:
        """Removes the folder of the table."""
        ...

    def committed(self, table: str, version: int) -> None:
        """Makes a version durable, if the storage does not do so itself."""
        ...

    #: Local folders with the files of tables, and a folder for query data that does not fit in memory.
    readable: Sequence[Path]
    spill: Path

    def scratch(self) -> AbstractContextManager[Path]:
        """A local folder for one load."""
        ...

    def locked(self, busy_seconds: float, progress: Progress | None, stop: Stop | None) -> AbstractContextManager[None]:
        """Locks the location against other loads, if possible."""
        ...

    def check(self) -> None:
        """Raises what a load would raise if the location can't be reached or written. Creates nothing."""
        ...


class FolderStorage:
    """Tables below a local folder, which one load at a time locks."""

    options: Mapping[str, str] | None = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = str(folder)
        self.readable: Sequence[Path] = (folder,)
        self.spill = folder / HIDDEN / "spill"

    def uri(self, table: str) -> str:
        return str(self._path(table))

    def files(self, table: str) -> pafs.FileSystem:
        return pafs.SubTreeFileSystem(str(self._path(table)), pafs.LocalFileSystem())

    def tables(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return [table_name(path.name) for path in sorted(self._folder.iterdir()) if (path / LOG).is_dir()]

    def entries(self, table: str, folder: str = "") -> list[str]:
        path = self._path(table) / folder
        if not path.is_dir():
            return [path.name] if path.exists() or path.is_symlink() else []
        return [entry.name for entry in path.iterdir()]

    def read(self, table: str, name: str) -> bytes:
        return (self._path(table) / name).read_bytes()

    def fetch(self, table: str, name: str, columns: Sequence[str] | None, into: Path) -> Path:  # noqa: ARG002 - it is here
        return self._path(table) / name

    def put(self, table: str, name: str, file: Path) -> None:
        target = self._path(table) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        sync(file)
        file.rename(target)
        sync(target.parent)

    def delete(self, table: str, names: Sequence[str]) -> None:
        for name in names:
            (self._path(table) / name).unlink(missing_ok=True)

    def remove(self, table: str) -> None:
        with self.scratch() as folder:
            self._path(table).rename(folder / "dropped")
            sync(self._folder)

    def committed(self, table: str, version: int) -> None:
        log = self._path(table) / LOG
        for path in (log / f"{version:020}.json", log, log.parent, log.parent.parent):
            sync(path)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        loading = self._folder / HIDDEN / "loading"
        loading.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=loading, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    @contextmanager
    def locked(self, busy_seconds: float, progress: Progress | None, stop: Stop | None) -> Iterator[None]:
        with locked(self._folder, busy_seconds, progress, stop):
            # Leftovers of a killed load: no other load is running here.
            shutil.rmtree(self._folder / HIDDEN / "loading", ignore_errors=True)
            yield

    def check(self) -> None:
        check_folder(self._folder)

    def _path(self, table: str) -> Path:
        return self._folder / folder_name(table)


class BucketStorage:
    """Tables below a prefix of a bucket; `home` is a local folder for files on their way."""

    def __init__(self, base: str, options: Mapping[str, str], home: Path) -> None:
        self._base = base.rstrip("/")
        self._home = home
        self.options: Mapping[str, str] | None = options
        self.place = self._base
        self.readable: Sequence[Path] = ()
        self.spill = home / "spill"

    def uri(self, table: str) -> str:
        return f"{self._base}/{folder_name(table)}"

    def files(self, table: str) -> pafs.FileSystem:
        return pafs.SubTreeFileSystem(self._path(table), self._bucket)

    def tables(self) -> list[str]:
        found = self._bucket.get_file_info(pafs.FileSelector(self._path(), allow_not_found=True))
        return sorted(table_name(one.base_name) for one in found if one.type == pafs.FileType.Directory)

    def entries(self, table: str, folder: str = "") -> list[str]:
        found = self.files(table).get_file_info(pafs.FileSelector(folder, allow_not_found=True))
        return [one.base_name for one in found]

    def read(self, table: str, name: str) -> bytes:
        with self.files(table).open_input_stream(name) as file:
            return bytes(file.read())

    def fetch(self, table: str, name: str, columns: Sequence[str] | None, into: Path) -> Path:
        copy = into / (name if columns is None else f"{len(columns)}-{name}")
        if not copy.exists():
            with self.files(table).open_input_file(name) as file, pq.ParquetFile(file, pre_buffer=False) as source:
                self._copy(source, columns, copy)
        return copy

    def put(self, table: str, name: str, file: Path) -> None:
        here, there = pafs.LocalFileSystem(), self.files(table)
        pafs.copy_files(str(file), name, source_filesystem=here, destination_filesystem=there)

    def delete(self, table: str, names: Sequence[str]) -> None:
        files = self.files(table)
        for name in names:
            files.delete_file(name)

    def remove(self, table: str) -> None:
        # The log first: without it, the table no longer exists, even if other files remain.
        for folder in (f"{self._path(table)}/{LOG}", self._path(table)):
            self._bucket.delete_dir(folder)

    def committed(self, table: str, version: int) -> None:
        """Nothing to do: writes to a bucket are durable."""

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._home.iterdir():
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        with TemporaryDirectory(dir=self._home, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def locked(
        self,
        busy_seconds: float,  # noqa: ARG002 - a bucket has no locks
        progress: Progress | None,  # noqa: ARG002
        stop: Stop | None,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def check(self) -> None:
        bucket = self._path().partition("/")[0]
        if self._bucket.get_file_info(bucket).type == pafs.FileType.NotFound:
            raise DestinationRejected(
                f"bucket {bucket} not found", hint="Create it, or check AWS_REGION.", code="bucket_missing"
            )
        self.tables()

    def _path(self, table: str | None = None) -> str:
        place = self._base.removeprefix("s3://")
        return place if table is None else f"{place}/{folder_name(table)}"

    @cached_property
    def _bucket(self) -> pafs.FileSystem:
        # Not the file system of the deltalake library, which blocks all threads while it waits (1.6.6).
        endpoint = (self.options or {}).get("AWS_ENDPOINT_URL")
        return pafs.S3FileSystem(
            endpoint_override=endpoint,
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            connect_timeout=_TIMEOUT_SECONDS,
            request_timeout=_TIMEOUT_SECONDS,
        )

    @staticmethod
    def _copy(source: pq.ParquetFile, columns: Sequence[str] | None, copy: Path) -> None:
        schema = source.schema_arrow
        wanted = schema.names if columns is None else columns
        chosen = [name for name in schema.names if name in wanted] or schema.names[:1]
        with pq.ParquetWriter(copy, pa.schema([schema.field(name) for name in chosen]), compression="zstd") as into:
            for batch in source.iter_batches(20_480, columns=chosen):
                into.write_batch(batch)
