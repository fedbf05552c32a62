"""The one mapping from the errors of object stores to ours. What a store says of an error is not repeated."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from counterfoil.destinations.object_store.url import StoreAddress
from counterfoil.errors import CounterfoilError, DestinationRejected, TransientError

_AS_IT_WAS = "The table is as it was."
_RIGHTS = "It takes the rights to list the place, and to read, write and delete objects in it."
#: Names of errors that mean that there is nothing to say who we are with.
_UNKNOWN = ("Credential", "ProfileNotFound", "TokenRetrieval", "SSOToken", "RefreshError", "ClientAuthentication")
#: The same of a request that went to the wrong region.
_ELSEWHERE = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_LATER = frozenset({errno.EBUSY, errno.EREMOTEIO, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED, errno.EPIPE})


class NoFolder(Exception):  # noqa: N818 - never leaves this package
    """There is nothing by this name, in a bucket that is there."""


def foreign(place: StoreAddress) -> tuple[type[Exception], ...]:
    """What the store's library raises, beside the system's errors."""
    if place.kind.scheme == "s3":
        from botocore.exceptions import BotoCoreError, ClientError
        from s3fs.core import S3_RETRYABLE_ERRORS

        return BotoCoreError, ClientError, *S3_RETRYABLE_ERRORS, OSError
    if place.kind.scheme == "gs":
        from gcsfs.retry import RETRIABLE_EXCEPTIONS, HttpError
        from google.auth.exceptions import GoogleAuthError

        return HttpError, GoogleAuthError, *RETRIABLE_EXCEPTIONS, OSError, ValueError
    from azure.core.exceptions import AzureError

    return AzureError, OSError


@contextmanager
def mapped(place: StoreAddress, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Lets our errors, and those of local files, pass and turns the store's into ours."""
    try:
        yield
    except errors as error:
        raise error_of(error, place) from error


def error_of(error: Exception, place: StoreAddress) -> CounterfoilError | NoFolder:
    """Our error for the store's."""
    name, bucket = place.name, f"{place.kind.scheme}://{place.bucket}"
    told, code = _told(error)
    number = error.errno if isinstance(error, OSError) else None
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return DestinationRejected(f"there is no bucket {bucket}", hint="Make it first, or check its name.")
    if any(word in type(error).__name__ for word in _UNKNOWN):
        return DestinationRejected(
            f"there are no credentials for {name}", hint=f"They are found in {place.kind.credentials}."
        )
    if code in _ELSEWHERE:
        return DestinationRejected(f"{bucket} is in another region", hint="Say which: ?region=…")
    if told in (401, 403) or isinstance(error, PermissionError) or str(error).startswith("Forbidden"):
        return DestinationRejected(f"{name} lets these credentials in no further{_named(code)}", hint=_RIGHTS)
    if told == 404 or isinstance(error, FileNotFoundError) or "NotFound" in type(error).__name__:
        return NoFolder(name)
    if number == errno.ENOSPC:
        return DestinationRejected("this machine's disk is full", hint=f"Free some space. {_AS_IT_WAS}")
    if _is_late(error, told, number):
        return TransientError(f"{name} can't be reached, or is too busy{_named(code)}", hint=_AS_IT_WAS)
    return DestinationRejected(f"{name} refuses{_named(code or type(error).__name__)}", hint=_AS_IT_WAS)


def _is_late(error: Exception, told: int | None, number: int | None) -> bool:
    """Whether the same may work later; what says nothing of itself is a connection that was lost."""
    if told is not None:
        return told in (408, 409, 429) or told >= 500
    if isinstance(error, OSError):
        return number is None or number in _LATER or isinstance(error, (TimeoutError, ConnectionError))
    return not isinstance(error, ValueError)


def _told(error: Exception) -> tuple[int | None, str]:
    """The status and the code of the answer, as each library keeps them."""
    for one in (error, error.__cause__):
        answer: Any = getattr(one, "response", None)
        if isinstance(answer, dict):
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status, str(answer.get("Error", {}).get("Code", ""))
        for name in ("status_code", "code"):
            status = getattr(one, name, None)
            if isinstance(status, (int, str)) and str(status).isdigit():
                return int(status), str(getattr(one, "error_code", "") or "")
    return None, ""


def _named(code: str) -> str:
    return f" ({code})" if code else ""
