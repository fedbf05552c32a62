"""A copy of a DuckDB file for readers that must never wait. Each load replaces the copy in one step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb

from counterfoil.errors import FOLDER_MISSING, DestinationRejected, TransientError

#: Copies in a separate process: opening and closing the file in this one would release DuckDB's lock on it.
_COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


def publish(file: Path, to: Path) -> None:
    """Copies the file. The caller holds it, so no other process writes to it.

    TransientError if that fails; the previous copy and the file are then unchanged.
    """
    new = to.with_name(f".{to.name}.new")
    try:
        _copied(file, new)
        wal = Path(f"{file}.wal")
        if wal.exists():
            _copied(wal, Path(f"{new}.wal"))
            # Opening and closing applies the write-ahead log to the copy.
            duckdb.connect(str(new), config={"storage_compatibility_version": "v1.4.0"}).close()
        new.chmod(0o444)
        with new.open("rb") as written:
            os.fsync(written.fileno())
        new.replace(to)
    except (OSError, duckdb.Error, subprocess.CalledProcessError) as error:
        text = error.stderr.strip().splitlines()[-1] if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise TransientError(
            f"{file} was loaded, but its copy {to} could not be written: {text}",
            hint="Check the folder's permissions and free disk space; the previous copy is unchanged.",
            code="copy_not_written",
        ) from error
    finally:
        for left in (new, Path(f"{new}.wal")):
            left.unlink(missing_ok=True)


def check_publish(file: Path, to: Path) -> None:
    """Rejects a path where no copy can be written."""
    if to == file:
        raise DestinationRejected(
            f"{to} is the path of the DuckDB file itself",
            hint="Use another path for publish.",
            code="invalid_copy_path",
        )
    if not to.parent.is_dir():
        raise DestinationRejected(
            f"{to} cannot be created: folder {to.parent} not found",
            hint=f"Create the folder: mkdir -p {to.parent}",
            code=FOLDER_MISSING,
        )
    if to.is_dir():
        raise DestinationRejected(
            f"{to} is a folder, not a file",
            hint=f"Choose a file in it, such as {to / file.name}",
            code="not_a_file",
        )
    if not os.access(to.parent, os.W_OK):
        raise DestinationRejected(
            f"{to.parent} is not writable", hint="Check the permissions of the folder.", code="not_writable"
        )


def _copied(file: Path, to: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", _COPY, str(file), str(to)]
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own arguments
