"""Maps errors of dlt and its drivers to Counterfoil's errors. Messages never contain their secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigurationException
from dlt.common.exceptions import DltException, MissingDependencyException
from dlt.destinations.exceptions import DatabaseUndefinedRelation, DestinationConnectionError

from counterfoil.destinations.sql.errors import holder_of
from counterfoil.errors import CounterfoilError, DestinationBusy, DestinationRejected, SettingsError, TransientError
from counterfoil.logging import redacted

#: Pattern of an error text, and the hint, for errors that a retry does not fix.
_REFUSALS = (
    (
        r"password|authenticat|credential|login failed|incorrect username|jwt|invalid.{0,20}token|unauthorized|\b401\b",
        "Check the user and its secret. See: counterfoil docs warehouses",
    ),
    (r"permission|privilege|not authorized|access denied|forbidden|\b403\b", "Grant the user the missing permission."),
    (r"no space left|disk full|quota", "Free some space; the table is unchanged."),
    (
        r"(database|role) \S+ does not exist|unknown database|no such database",
        "Create it, or use another one.",
    ),
)
_UNREACHABLE = (
    r"connection (to server|refused|reset|timed out|lost|aborted|already closed)|could not (connect|translate)|"
    r"server closed|terminating connection|starting up|shutting down|too many (clients|connections)|"
    r"timed? ?out|unreachable|name or service not known|temporary failure|failed to resolve"
)
#: Conflicts of two concurrent loads. A later attempt finds the other load finished.
_MET = r"conflict|deadlock|could not serialize|lock (wait|timeout)|concurrent|1023"


@contextmanager
def mapped(place: str, warehouse: str, secrets: Iterable[str] = ()) -> Iterator[None]:
    """Maps all other errors to Counterfoil's errors. The caller's own code must not run inside."""
    try:
        yield
    except CounterfoilError:
        raise
    except Exception as error:  # noqa: BLE001 - the errors of the drivers share no base class
        raise error_of(error, place, warehouse, secrets) from None


def error_of(error: BaseException, place: str, warehouse: str, secrets: Iterable[str] = ()) -> CounterfoilError:
    """The Counterfoil error for an error of dlt or a driver."""
    causes = list(_chain(error))
    for cause in causes:
        if (plain := _plain(cause, place, warehouse)) is not None:
            return plain
    text = _first_line(causes, secrets)
    message = f"{place}: {text}"
    if _any(causes, ConfigurationException):
        hint = f"Set it in the URL, in a variable DESTINATION__{warehouse.upper()}__CREDENTIALS__…"
        return SettingsError(message, hint=f"{hint} or in ~/.dlt/secrets.toml. See: counterfoil docs warehouses")
    if _any(causes, DatabaseUndefinedRelation) or re.search(_MET, text, re.IGNORECASE):
        return TransientError(message, hint="Another load was writing to the table; the table is unchanged.")
    for pattern, hint in _REFUSALS:
        if re.search(pattern, text, re.IGNORECASE):
            return DestinationRejected(message, hint=hint)
    lost = _any(causes, DestinationConnectionError, ConnectionError, TimeoutError)
    if lost or re.search(_UNREACHABLE, text, re.IGNORECASE):
        return TransientError(message, hint="Check that the warehouse is reachable; the table is unchanged.")
    return DestinationRejected(message, hint="The table is unchanged.")


def _plain(cause: BaseException, place: str, warehouse: str) -> CounterfoilError | None:
    """The error for a cause with a known class or DuckDB message; None for others."""
    if isinstance(cause, CounterfoilError):
        return cause
    if isinstance(cause, MissingDependencyException | ImportError):
        return SettingsError(
            f"{place}: the driver of {warehouse} is not installed", hint=f"Run: pip install 'dlt[{warehouse}]'"
        )
    if isinstance(cause, ConfigFieldMissingException):
        names = _missing(cause.traces)
        variable = f"DESTINATION__{warehouse.upper()}__CREDENTIALS__{names[0].upper()}"
        return SettingsError(
            f"{place}: dlt does not find {', '.join(names)}",
            hint=f"Set it in the URL, in the variable {variable} or in ~/.dlt/secrets.toml.",
        )
    if (holder := holder_of(cause)) is not None:
        return DestinationBusy(f"{place} is held by {holder}", hint="Close that program, or try again later.")
    return None


def _missing(traces: Mapping[str, Iterable[Any]]) -> list[str]:
    """The names of missing settings. A group is replaced by its missing members."""
    names: dict[str, None] = {}
    for name, found in traces.items():
        within = [inner for trace in found if hasattr(trace, "traces") for inner in _missing(trace.traces)]
        names |= dict.fromkeys(within or [str(name)])
    return list(names)


def _any(causes: Iterable[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, innermost first."""
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in seen:
        seen.append(found)
        inner = getattr(found, "dbapi_exception", None) or getattr(found, "exception", None)
        found = inner if isinstance(inner, BaseException) and inner not in seen else found.__cause__
    return reversed(seen)


def _first_line(causes: Iterable[BaseException], secrets: Iterable[str]) -> str:
    """The first line of the innermost error with a message, without secrets."""
    lines = (line.strip() for cause in causes if not _is_wrapper(cause) for line in str(cause).splitlines())
    text = next((line for line in lines if line), "dlt failed without a message")
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "…")
    return redacted(text)[:500]


def _is_wrapper(error: BaseException) -> bool:
    return isinstance(error, DltException) and (error.__cause__ is not None or hasattr(error, "dbapi_exception"))
