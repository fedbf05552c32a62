"""Maps errors of object stores to Counterfoil's errors. Messages never repeat the store's own text."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from counterfoil.destinations.object_store.url import StoreAddress
from counterfoil.errors import CounterfoilError, DestinationRejected, TransientError

_RIGHTS = "Grant permission to list the folder, and to read, write and delete objects in it."
#: Parts of the names of errors for missing or invalid credentials.
_UNKNOWN = ("Credential", "ProfileNotFound", "TokenRetrieval", "SSOToken", "RefreshError", "ClientAuthentication")
#: Codes of errors for a request to the wrong region.
_ELSEWHERE = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_LATER = frozenset({errno.EBUSY, errno.EREMOTEIO, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED, errno.EPIPE})


class NoFolder(Exception):  # noqa: N818 - never leaves this package
    """There is no object with this name, in a bucket that exists."""


def foreign(place: StoreAddress) -> tuple[type[Exception], ...]:
    """The errors that the store's library raises, including those of the system."""
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
    """Maps the store's errors to Counterfoil's errors, and passes those through."""
    try:
        yield
    except errors as error:
        raise error_of(error, place) from error


def error_of(error: Exception, place: StoreAddress) -> CounterfoilError | NoFolder:
    """The Counterfoil error for an error of the store."""
    name, bucket = place.name, f"{place.kind.scheme}://{place.bucket}"
    status, code = _response(error)
    number = error.errno if isinstance(error, OSError) else None
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return DestinationRejected(
            f"bucket {bucket} not found", hint="Create it, or check its name.", code="bucket_missing"
        )
    if any(word in type(error).__name__ for word in _UNKNOWN):
        return DestinationRejected(
            f"no credentials found for {name}", hint=f"Use {place.kind.credentials}.", code="credentials_missing"
        )
    if code in _ELSEWHERE:
        return DestinationRejected(
            f"{bucket} is in another region", hint="Set the region: ?region=…", code="wrong_region"
        )
    if status in (401, 403) or isinstance(error, PermissionError) or str(error).startswith("Forbidden"):
        return DestinationRejected(f"access to {name} denied{_named(code)}", hint=_RIGHTS, code="access_denied")
    if status == 404 or isinstance(error, FileNotFoundError) or "NotFound" in type(error).__name__:
        return NoFolder(name)
    if number == errno.ENOSPC:
        return DestinationRejected(
            "this machine's disk is full", hint="Free some disk space; the table is unchanged.", code="disk_full"
        )
    if _is_late(error, status, number):
        return TransientError(
            f"{name} can't be reached, or is too busy{_named(code)}",
            hint="Try again later; the table is unchanged.",
            code="unreachable",
        )
    return DestinationRejected(
        f"{name} rejected the request{_named(code or type(error).__name__)}",
        hint="The table is unchanged.",
        code="request_rejected",
    )


def _is_late(error: Exception, status: int | None, number: int | None) -> bool:
    """Whether the error is transient. An error without a status or number is a lost connection."""
    if status is not None:
        return status in (408, 409, 429) or status >= 500
    if isinstance(error, OSError):
        return number is None or number in _LATER or isinstance(error, (TimeoutError, ConnectionError))
    return not isinstance(error, ValueError)


def _response(error: Exception) -> tuple[int | None, str]:
    """The status and the code of the response, from the attributes that each library uses."""
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
