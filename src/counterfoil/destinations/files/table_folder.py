"""A table as a folder of Parquet files: its versions, the link to the current one, and its record of loads."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote

import orjson

from counterfoil.destinations.files.table_record import Record
from counterfoil.destinations.lock_wait import file_locked
from counterfoil.destinations.parquet.reused_files import files_below
from counterfoil.destinations.protocol import LOADS_TABLE, Guard, Progress, Stop
from counterfoil.errors import FOLDER_MISSING, DestinationRejected

HIDDEN = ".counterfoil"
_RECORD = f"{LOADS_TABLE}.json"


class TableFolder:
    """One table below the destination's folder."""

    def __init__(self, folder: Path, table: str) -> None:
        self.link = folder / file_name(table)
        self._versions = folder / HIDDEN / file_name(table)

    def exists(self) -> bool:
        """Whether anything has the table's name."""
        return os.path.lexists(self.link)

    def record(self) -> Record | None:
        """The record of the current version; None if Counterfoil did not create the table."""
        try:
            data = orjson.loads((self.link / _RECORD).read_bytes())
            return Record(**data | {"columns": [(name, kind) for name, kind in data["columns"]]})
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise DestinationRejected(
                f"{self.link / _RECORD} is damaged",
                hint="Choose another table, or remove this one.",
                code="damaged_record",
            ) from error

    def files(self) -> list[Path]:
        """The Parquet files of the current version, sorted by path."""
        return files_below(self.version)

    @property
    def version(self) -> Path:
        """The folder of the current version."""
        return self.link.resolve()

    @contextmanager
    def next_version(self, guard: Guard | None = None) -> Iterator[Path]:
        """A new folder. It becomes the table if the block and the guard raise nothing; otherwise it is removed."""
        self._versions.mkdir(parents=True, exist_ok=True)
        self._sweep(self.link.resolve())
        version = self._versions / uuid.uuid4().hex
        version.mkdir()
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, version, ignore_errors=True)
            yield version
            for path in (*version.rglob("*"), version, self._versions):
                sync(path)
            if guard is not None:
                guard()
            self._publish(version)
            undo.pop_all()
        self._sweep(version)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder next to the versions. After a kill, the next load removes it."""
        with TemporaryDirectory(dir=self._versions) as folder:
            yield Path(folder)

    def _sweep(self, keep: Path) -> None:
        """Removes all versions except `keep`: old ones, and leftovers of killed loads."""
        for path in self._versions.iterdir():
            if path.is_symlink():
                path.unlink()
            elif path != keep:
                shutil.rmtree(path, ignore_errors=True)

    def _publish(self, version: Path) -> None:
        link = self._versions / "next"
        link.symlink_to(Path(HIDDEN, self._versions.name, version.name), target_is_directory=True)
        if self.link.is_dir() and not self.link.is_symlink():
            # A folder of another program, which may be overwritten. A link cannot replace it in one step.
            self.link.rename(self._versions / uuid.uuid4().hex)
        link.replace(self.link)
        sync(self.link.parent)

    def remove(self) -> None:
        """Removes the table in one step, then its versions."""
        if self.link.is_symlink():
            self.link.unlink()
        else:  # a copy that was made without links
            shutil.rmtree(self.link)
        sync(self.link.parent)
        shutil.rmtree(self._versions, ignore_errors=True)

    def overwritable(self) -> bool:
        """Whether the table's name belongs to a folder that contains only Parquet files."""
        return (
            self.link.is_dir()
            and not self.link.is_symlink()
            and all(path.suffix == ".parquet" and path.is_file() for path in self.link.iterdir())
        )


def write_record(version: Path, record: Record) -> None:
    """Writes the record into a new version."""
    (version / _RECORD).write_bytes(orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2))


def tables_below(folder: Path) -> dict[str, list[Path]]:
    """The Parquet files of each table of the folder, by table name."""
    if not folder.is_dir():
        return {}
    names = [unquote(path.name) for path in sorted(folder.iterdir()) if path.is_dir() and path.name != HIDDEN]
    return {name: files for name in names if (files := TableFolder(folder, name).files())}


def file_name(name: str) -> str:
    """The name as a file name, percent-encoded except for letters, digits, space, `_`, `-` and inner dots."""
    encoded = "".join(letter if letter.isalnum() or letter in " _-." else quote(letter, safe="") for letter in name)
    return "%2E" + encoded[1:] if encoded.startswith(".") else encoded


def sync(path: Path) -> None:
    """Makes a file, or the entries of a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_folder(folder: Path) -> None:
    """Rejects a folder that can't be created or written."""
    if not folder.parent.is_dir():
        raise DestinationRejected(
            f"{folder} cannot be created: folder {folder.parent} not found",
            hint=f"Create the folder: mkdir -p {folder.parent}",
            code=FOLDER_MISSING,
        )
    if folder.exists() and not folder.is_dir():
        raise DestinationRejected(f"{folder} is a file, not a folder", hint="Choose a folder.", code="not_a_folder")
    place = folder if folder.exists() else folder.parent
    if not os.access(place, os.W_OK):
        raise DestinationRejected(
            f"{place} is not writable", hint="Check the permissions of the folder.", code="not_writable"
        )


@contextmanager
def locked(folder: Path, busy_seconds: float, progress: Progress | None, stop: Stop | None = None) -> Iterator[None]:
    """Creates the folder if its parent exists, and locks it against other loads."""
    check_folder(folder)
    (folder / HIDDEN).mkdir(parents=True, exist_ok=True)
    with file_locked(folder / HIDDEN / "lock", str(folder), busy_seconds, progress, stop):
        yield
