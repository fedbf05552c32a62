"""Maps errors of the deltalake library and of object stores to Counterfoil's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import CommitFailedError, DeltaError, DeltaProtocolError

from counterfoil.destinations.sql.errors import mapped as mapped_files
from counterfoil.errors import CounterfoilError, DestinationRejected, TransientError
from counterfoil.logging import redacted

#: Pattern of an error text, its code, its meaning, and the hint. The first match applies.
_REJECTED = (
    (
        r"no space left|file too large|disk quota|quota ?exceeded",
        "disk_full",
        "has no space left: its disk is full",
        "Free some disk space; the table is unchanged.",
    ),
    (
        r"no[ _]?such[ _]?bucket|bucket does not exist",
        "bucket_missing",
        "is in a bucket that does not exist",
        "Create the bucket, or check AWS_REGION and the endpoint.",
    ),
    (
        r"(access|permission)[ _]?denied|forbidden|unauthorized|access_?key_?id|signature|(expired|invalid)_?token",
        "access_denied",
        "can't be read or written: access denied",
        "Check the permissions of the folder; for a bucket, check AWS_ACCESS_KEY_ID and the related variables.",
    ),
    (
        r"credential|metadata endpoint|169\.254\.169\.254|IMDS",
        "credentials_missing",
        "can't be accessed: no credentials found",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role.",
    ),
)
_UNREACHABLE = (
    r"error sending request|connection|timed? ?out|dns error|status(: | )5\d\d|slow_?down|InternalError|reset by"
)
_CONFLICTING = r"already exists|conflict|precondition|newer version|failed to commit"


def conflicting(error: BaseException) -> bool:
    """Whether the error means that another program committed the version first."""
    return isinstance(error, CommitFailedError) or bool(re.search(_CONFLICTING, str(error), re.IGNORECASE))


def error_of(error: BaseException, place: str) -> CounterfoilError:
    """The Counterfoil error for an error of the library. It never contains an object store's response."""
    text = str(error).replace(place, "")
    for pattern, code, meaning, hint in _REJECTED:
        if re.search(pattern, text, re.IGNORECASE):
            return DestinationRejected(f"{place} {meaning}", hint=hint, code=code)
    if re.search(_UNREACHABLE, text, re.IGNORECASE):
        return TransientError(
            f"{place} can't be reached", hint="Try again later; the table is unchanged.", code="unreachable"
        )
    if isinstance(error, DeltaProtocolError):
        return DestinationRejected(f"{place}: the table needs an unsupported feature: {_first(text)}")
    return DestinationRejected(f"{place}: {_first(text) or type(error).__name__}")


def _first(text: str) -> str:
    return redacted(text.splitlines()[0][:300]) if text else ""


@contextmanager
def mapped(place: str) -> Iterator[None]:
    """Maps errors of the library, DuckDB, Arrow and the system to Counterfoil's errors, and passes those through."""
    with mapped_files(place):
        try:
            yield
        except DeltaError as error:
            raise error_of(error, place) from error
        except OSError as error:
            # Arrow's file system raises error responses of an object store as OSError without a number.
            if error.errno is None:
                raise error_of(error, place) from error
            raise
