"""What dlt and the drivers raise, as errors of ours. No secret of theirs ever gets into them."""

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

_AS_IT_WAS = "The table is as it was."
#: What an error says, and what to do about it, where trying again does not help.
_REFUSALS = (
    (
        r"password|authenticat|credential|login failed|incorrect username|jwt|invalid.{0,20}token|unauthorized|\b401\b",
        "Check the user and where its secret is found; docs/warehouses.md says what the warehouse needs.",
    ),
    (r"permission|privilege|not authorized|access denied|forbidden|\b403\b", "Give the user the rights it lacks."),
    (r"no space left|disk full|quota", f"Free some space. {_AS_IT_WAS}"),
    (
        r"(database|role) \S+ does not exist|unknown database|no such database",
        "Make what is missing, or name another one.",
    ),
)
_UNREACHABLE = (
    r"connection (to server|refused|reset|timed out|lost|aborted|already closed)|could not (connect|translate)|"
    r"server closed|terminating connection|starting up|shutting down|too many (clients|connections)|"
    r"timed? ?out|unreachable|name or service not known|temporary failure|failed to resolve"
)
#: Two loads met, or one took the rows of the other: the later try finds the other done.
_MET = r"conflict|deadlock|could not serialize|lock (wait|timeout)|concurrent|1023"


@contextmanager
def mapped(place: str, warehouse: str, secrets: Iterable[str] = ()) -> Iterator[None]:
    """Lets our errors pass and turns all others into them; no code of the caller's may run inside."""
    try:
        yield
    except CounterfoilError:
        raise
    except Exception as error:  # noqa: BLE001 - each driver has errors of its own, which share no class
        raise error_of(error, place, warehouse, secrets) from None


def error_of(error: BaseException, place: str, warehouse: str, secrets: Iterable[str] = ()) -> CounterfoilError:
    """Our error for theirs."""
    causes = list(_chain(error))
    for cause in causes:
        if (told := _plain(cause, place, warehouse)) is not None:
            return told
    text = _told(causes, secrets)
    words = f"{place}: {text}"
    if _any(causes, ConfigurationException):
        hint = f"Say it in the URL, or where dlt looks: variables DESTINATION__{warehouse.upper()}__CREDENTIALS__…"
        return SettingsError(words, hint=f"{hint}, or ~/.dlt/secrets.toml. See docs/warehouses.md.")
    if _any(causes, DatabaseUndefinedRelation) or re.search(_MET, text, re.IGNORECASE):
        return TransientError(words, hint=f"Another load of the table was in the way. {_AS_IT_WAS}")
    for pattern, hint in _REFUSALS:
        if re.search(pattern, text, re.IGNORECASE):
            return DestinationRejected(words, hint=hint)
    lost = _any(causes, DestinationConnectionError, ConnectionError, TimeoutError)
    if lost or re.search(_UNREACHABLE, text, re.IGNORECASE):
        return TransientError(words, hint=f"The warehouse can't be reached. {_AS_IT_WAS}")
    return DestinationRejected(words, hint=_AS_IT_WAS)


def _plain(cause: BaseException, place: str, warehouse: str) -> CounterfoilError | None:
    """Our error for one whose class, or DuckDB's words, say all."""
    if isinstance(cause, CounterfoilError):
        return cause
    if isinstance(cause, MissingDependencyException | ImportError):
        return SettingsError(
            f"{place}: the driver of {warehouse} is not installed", hint=f"pip install 'dlt[{warehouse}]'"
        )
    if isinstance(cause, ConfigFieldMissingException):
        names = _missing(cause.traces)
        variable = f"DESTINATION__{warehouse.upper()}__CREDENTIALS__{names[0].upper()}"
        return SettingsError(
            f"{place}: dlt does not find {', '.join(names)}",
            hint=f"Say it in the URL, or where dlt looks: the variable {variable}, or ~/.dlt/secrets.toml.",
        )
    if (holder := holder_of(cause)) is not None:
        return DestinationBusy(f"{place} is held by {holder}", hint="Close that program, or try again when it is done.")
    return None


def _missing(traces: Mapping[str, Iterable[Any]]) -> list[str]:
    """The settings that were looked for in vain: those within another one instead of it."""
    names: dict[str, None] = {}
    for name, found in traces.items():
        within = [inner for trace in found if hasattr(trace, "traces") for inner in _missing(trace.traces)]
        names |= dict.fromkeys(within or [str(name)])
    return list(names)


def _any(causes: Iterable[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, the cause first that knows most."""
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in seen:
        seen.append(found)
        inner = getattr(found, "dbapi_exception", None) or getattr(found, "exception", None)
        found = inner if isinstance(inner, BaseException) and inner not in seen else found.__cause__
    return reversed(seen)


def _told(causes: Iterable[BaseException], secrets: Iterable[str]) -> str:
    """The first line of the innermost error that says something."""
    lines = (line.strip() for cause in causes if not _is_wrapper(cause) for line in str(cause).splitlines())
    text = next((line for line in lines if line), "dlt failed without a word")
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "…")
    return redacted(text)[:500]


def _is_wrapper(error: BaseException) -> bool:
    return isinstance(error, DltException) and (error.__cause__ is not None or hasattr(error, "dbapi_exception"))
