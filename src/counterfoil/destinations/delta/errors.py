"""The one mapping from the errors of the library for Delta tables, and of object stores, to ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import CommitFailedError, DeltaError, DeltaProtocolError

from counterfoil.destinations.sql.errors import mapped as mapped_files
from counterfoil.errors import CounterfoilError, DestinationRejected, TransientError
from counterfoil.logging import redacted

#: What an error says, what that means, and what to do. The first that fits counts.
_REJECTED = (
    (
        r"no space left|file too large|disk quota|quota ?exceeded",
        "has no room left: its disk is full",
        "Free some space; the table is as it was.",
    ),
    (
        r"no[ _]?such[ _]?bucket|bucket does not exist",
        "is in a bucket that is not there",
        "Make the bucket first, or check AWS_REGION and the endpoint.",
    ),
    (
        r"(access|permission)[ _]?denied|forbidden|unauthorized|access_?key_?id|signature|(expired|invalid)_?token",
        "may not be read or written",
        "Check the rights of the folder; of a bucket, what AWS_ACCESS_KEY_ID and its like say.",
    ),
    (
        r"credential|metadata endpoint|169\.254\.169\.254|IMDS",
        "gives no credentials",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role of the machine.",
    ),
)
_UNREACHABLE = (
    r"error sending request|connection|timed? ?out|dns error|status(: | )5\d\d|slow_?down|InternalError|reset by"
)
_CONFLICTING = r"already exists|conflict|precondition|newer version|failed to commit"


def conflicting(error: BaseException) -> bool:
    """Whether the error says that somebody else made the version that was to be made."""
    return isinstance(error, CommitFailedError) or bool(re.search(_CONFLICTING, str(error), re.IGNORECASE))


def error_of(error: BaseException, place: str) -> CounterfoilError:
    """Our error for the library's; the answer of an object store never gets into it."""
    text = str(error).replace(place, "")
    for pattern, words, hint in _REJECTED:
        if re.search(pattern, text, re.IGNORECASE):
            return DestinationRejected(f"{place} {words}", hint=hint)
    if re.search(_UNREACHABLE, text, re.IGNORECASE):
        return TransientError(f"{place} can't be reached", hint="The same is tried again; the table is as it was.")
    if isinstance(error, DeltaProtocolError):
        return DestinationRejected(f"{place}: the table needs what is not supported here: {_first(text)}")
    return DestinationRejected(f"{place}: {_first(text) or type(error).__name__}")


def _first(text: str) -> str:
    return redacted(text.splitlines()[0][:300]) if text else ""


@contextmanager
def mapped(place: str) -> Iterator[None]:
    """Lets our errors pass and turns those of the library, DuckDB, Arrow and the system into them."""
    with mapped_files(place):
        try:
            yield
        except DeltaError as error:
            raise error_of(error, place) from error
        except OSError as error:
            # What an object store answers comes through Arrow's file system as an error of the system without a number.
            if error.errno is None:
                raise error_of(error, place) from error
            raise
