"""The one mapping from DuckDB's errors, and the system's, to ours."""

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
#: What an error says, what that means, and what to do. The first that fits counts.
_MEANINGS = (
    (
        r"no space left|file too large|disk quota|max_temp_directory_size|not enough space",
        "has no room left: its disk is full",
        "Free some space; the table is as it was.",
    ),
    (
        r"read-only file system|permission denied|operation not permitted|opened in read-only",
        "may not be written",
        "Check the rights of the file and of its folder, which must both be writable.",
    ),
    (
        r"newer version of duckdb|version number",
        "was written by another version of DuckDB, which this one cannot read",
        "Upgrade DuckDB here (`pip install -U duckdb`), or choose another file.",
    ),
    (r"encrypt", "is encrypted, and there is no way to give its key", "Choose a file that is not encrypted."),
    (
        r"not a valid duckdb database|corrupt|serialization|checksum",
        "is damaged, or not a DuckDB database",
        "Choose another file, or bring this one back from a backup.",
    ),
    (
        r"different configuration|unique file handle|already attached|invalidated|write-write conflict",
        "is in use by something else in this process",
        "Try again when it is done.",
    ),
    (
        r"out of memory|could not allocate|failed to pin",
        "needs more memory for this load than it may take",
        "Load fewer rows at once.",
    ),
)


def holder_of(error: BaseException) -> str | None:
    """Who holds the file, as `name (PID n)`, when the error says that somebody does."""
    if "Could not set lock" not in str(error) and "Conflicting lock" not in str(error):
        return None
    found = _LOCKED.search(str(error))
    if found is None:
        return "another process"
    return program_of(int(found["pid"]), Path(found["program"] or "another process").name)


def error_of(error: BaseException, name: str) -> CounterfoilError:
    """Our error for DuckDB's; values of rows never get into it."""
    text = str(error)
    if (holder := holder_of(error)) is not None:
        return DestinationBusy(f"{name} is held by {holder}", hint="Close that program, or try again when it is done.")
    for pattern, words, hint in _MEANINGS:
        if re.search(pattern, text, re.IGNORECASE):
            kind = DestinationBusy if "in use" in words else DestinationRejected
            return kind(f"{name} {words}", hint=hint)
    if isinstance(error, (duckdb.ConstraintException, duckdb.ConversionException, duckdb.DataError)):
        return DestinationRejected(
            f"{name} refuses the rows: the table has a constraint that they do not meet ({type(error).__name__})",
            hint="Choose another table, or remove the constraint.",
        )
    return DestinationRejected(f"{name}: {text.splitlines()[0] if text else type(error).__name__}")


@contextmanager
def mapped(name: str) -> Iterator[None]:
    """Lets our errors pass and turns DuckDB's, Arrow's and the system's into them."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise error_of(error, name) from error
    except RuntimeError as error:
        # What a signal's handler raises while a statement runs, DuckDB replaces by this (observed, 2.0.0).
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


@contextmanager
def mapped_query() -> Iterator[None]:
    """The same for the words of a person's query, whose mistakes are shown as DuckDB tells them."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise QueryFailed(str(error).rstrip(), hint="Check the query.") from error
