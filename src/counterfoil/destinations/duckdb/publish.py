"""A copy of a DuckDB file for readers who must never wait: whole after each load, and put in its place in one step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb

from counterfoil.errors import FOLDER_MISSING, DestinationRejected, TransientError

#: Copies in a process of its own: to open the file beside DuckDB, and close it, would take away DuckDB's lock on it.
_COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


def publish(file: Path, to: Path) -> None:
    """Copies the file, which the caller holds and nobody writes to meanwhile.

    TransientError when it can't; then the copy before stays, and the file is as it is.
    """
    new = to.with_name(f".{to.name}.new")
    try:
        _copied(file, new)
        wal = Path(f"{file}.wal")
        if wal.exists():
            _copied(wal, Path(f"{new}.wal"))
            # Opened and closed, so that what is in the log comes into the copy.
            duckdb.connect(str(new), config={"storage_compatibility_version": "v1.4.0"}).close()
        new.chmod(0o444)
        with new.open("rb") as written:
            os.fsync(written.fileno())
        new.replace(to)
    except (OSError, duckdb.Error, subprocess.CalledProcessError) as error:
        why = error.stderr.strip().splitlines()[-1] if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise TransientError(
            f"{file} was loaded, but its copy {to} could not be written: {why}",
            hint="The copy before stays. Look at the folder's rights and at the room on its disk.",
        ) from error
    finally:
        for left in (new, Path(f"{new}.wal")):
            left.unlink(missing_ok=True)


def check_publish(file: Path, to: Path) -> None:
    """Refuses a place where no copy can be."""
    if to == file:
        raise DestinationRejected(f"{to} is the file itself, not a place for its copy", hint="Give another path.")
    if not to.parent.is_dir():
        raise DestinationRejected(
            f"{to} cannot be made: there is no folder {to.parent}",
            hint=f"Make it first: mkdir -p {to.parent}",
            code=FOLDER_MISSING,
        )
    if to.is_dir():
        raise DestinationRejected(
            f"{to} is a folder, not a file", hint=f"Choose a file in it, such as {to / file.name}"
        )
    if not os.access(to.parent, os.W_OK):
        raise DestinationRejected(f"{to.parent} may not be written", hint="Check the rights of the folder.")


def _copied(file: Path, to: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", _COPY, str(file), str(to)]
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own words
