"""Maps errors of DuckDB and of the operating system to Counterfoil's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from counterfoil.destinations.lock_wait import program_of
from counterfoil.errors import CounterfoilError, DestinationBusy, DestinationRejected, QueryFailed

_LOCKED = re.compile(r"Conflicting lock is held(?: in (?P<program>.*?))? \(PID (?P<pid>\d+)\)")
#: Pattern of an error text, its code, its meaning, and the hint. The first match applies.
_MEANINGS = (
    (
        r"no space left|file too large|disk quota|max_temp_directory_size|not enough space",
        "disk_full",
        "has no space left: its disk is full",
        "Free some disk space; the table is unchanged.",
    ),
    (
        r"read-only file system|permission denied|operation not permitted|opened in read-only",
        "not_writable",
        "is not writable",
        "Check the permissions: the file and its folder must both be writable.",
    ),
    (
        r"newer version of duckdb|version number",
        "unsupported_version",
        "was written by another version of DuckDB, which the installed one cannot read",
        "Upgrade DuckDB (`pip install -U duckdb`), or choose another file.",
    ),
    (r"encrypt", "encrypted", "is encrypted, which is not supported", "Choose a file that is not encrypted."),
    (
        r"not a valid duckdb database|corrupt|serialization|checksum",
        "damaged_file",
        "is damaged, or not a DuckDB database",
        "Choose another file, or restore this one from a backup.",
    ),
    (
        r"different configuration|unique file handle|already attached|invalidated|write-write conflict",
        "file_in_use",
        "is in use by another part of this process",
        "Try again later.",
    ),
    (
        r"out of memory|could not allocate|failed to pin",
        "out_of_memory",
        "needs more memory for this load than the limit allows",
        "Load fewer rows at once.",
    ),
)


def holder_of(error: BaseException) -> str | None:
    """The process that holds the file, as `name (PID n)`; None if the error has another cause."""
    if "Could not set lock" not in str(error) and "Conflicting lock" not in str(error):
        return None
    found = _LOCKED.search(str(error))
    if found is None:
        return "another process"
    return program_of(int(found["pid"]), Path(found["program"] or "another process").name)


def error_of(error: BaseException, name: str) -> CounterfoilError:
    """The Counterfoil error for a DuckDB error. Its message never contains values of rows."""
    text = str(error)
    if (holder := holder_of(error)) is not None:
        return DestinationBusy(f"{name} is held by {holder}", hint="Close that program, or try again later.")
    for pattern, code, meaning, hint in _MEANINGS:
        if re.search(pattern, text, re.IGNORECASE):
            kind = DestinationBusy if code == "file_in_use" else DestinationRejected
            return kind(f"{name} {meaning}", hint=hint, code=code)
    if isinstance(error, (duckdb.ConstraintException, duckdb.ConversionException, duckdb.DataError)):
        return DestinationRejected(
            f"{name} rejected the rows: they violate a constraint of the table ({type(error).__name__})",
            hint="Choose another table, or remove the constraint.",
            code="constraint_violated",
        )
    return DestinationRejected(f"{name}: {text.splitlines()[0] if text else type(error).__name__}")


@contextmanager
def mapped(name: str) -> Iterator[None]:
    """Maps errors of DuckDB, Arrow and the system to Counterfoil's errors, and passes those through."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise error_of(error, name) from error
    except RuntimeError as error:
        # DuckDB replaces what a signal handler raises during a statement by this error (observed in 2.0.0).
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


@contextmanager
def mapped_query() -> Iterator[None]:
    """The same for a user's query: its mistakes are shown in DuckDB's words."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise QueryFailed(str(error).rstrip(), hint="Check the query.") from error
