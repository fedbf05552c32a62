"""Maps Postgres errors to Counterfoil's errors. Messages never contain passwords or values of rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pyarrow as pa

from counterfoil.destinations.sql.errors import error_of as duckdb_meaning
from counterfoil.errors import (
    CounterfoilError,
    DestinationBusy,
    DestinationRejected,
    QueryFailed,
    RunError,
    SchemaConflict,
    SettingsError,
    TransientError,
)

_LATER = "Try again later; the table is unchanged."
#: Prefix of an SQLSTATE, and the code of the error.
_CODES = {
    "53100": "disk_full", "53200": "out_of_memory", "53300": "too_many_connections", "55P03": "table_locked",
    "40": "concurrent_load", "57014": "statement_canceled", "57": "server_restarting", "08": "unreachable",
    "25006": "not_writable", "28": "authentication_failed", "3D000": "database_missing", "42501": "access_denied",
    "2BP01": "dependent_objects", "42701": "reserved_column", "23": "constraint_violated",
}  # fmt: skip
#: Prefix of an SQLSTATE, the error, its meaning, and the hint. The first match applies.
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_STATES: tuple[tuple[str, type[CounterfoilError], str, str], ...] = (
    ("53100", DestinationRejected, "has no space left: its disk is full", "Free some space; the table is unchanged."),
    ("53200", TransientError, "is out of memory", _LATER),
    ("53300", TransientError, "has no free connection", "Raise max_connections, or close some connections."),
    ("53", TransientError, "is short of resources", _LATER),
    ("55P03", DestinationBusy, "is busy: another program has the table locked", "Try again when it has finished."),
    ("55006", DestinationBusy, "is in use by another program", "Try again when it has finished."),
    ("40", TransientError, "ended the load because of a concurrent transaction", _LATER),
    ("57014", TransientError, "canceled the statement", _LATER),
    ("57", TransientError, "is shutting down or starting", _LATER),
    ("08", TransientError, "can't be reached, or the connection was lost", _LATER),
    ("58", TransientError, "has a system error", "Check the server's log."),
    ("25006", DestinationRejected, "is read-only", "Use the primary server, or a user with write access."),
    ("25P03", TransientError, "ended the session because it was idle", _LATER),
    ("28", SettingsError, "rejected this user", "Check the user, the password and pg_hba.conf."),
    ("3D000", SettingsError, "was not found: the server has no such database", "Create it: createdb NAME"),
    ("42501", SettingsError, "denied access to this user", "See: counterfoil docs destinations"),
    ("2BP01", DestinationRejected, "can't drop the table: something depends on it", "Drop or change that first."),
    ("42701", SchemaConflict, "reserves the name of a column in the data", "Leave out the column."),
    ("54011", SchemaConflict, "allows at most 1,600 columns", "Leave out some columns."),
    ("54", DestinationRejected, "can't store the rows: a limit is exceeded", "Leave out the largest columns."),
    ("23", DestinationRejected, "rejected the rows: they violate a constraint of the table", ""),
    ("22", DestinationRejected, "rejected the rows: a value does not fit its column", "Choose another table."),
)
#: Pattern of the text, the error, its code, its meaning, and the hint, before there is a connection with an SQLSTATE.
_WORDS: tuple[tuple[str, type[CounterfoilError], str, str, str], ...] = (
    (r"password authentication failed|no password supplied", SettingsError, "password_rejected",
     "rejected the user's password",
     "Check the password in the URL, in PGPASSWORD or in ~/.pgpass."),
    (r"no pg_hba\.conf entry|authentication failed|ident authentication", SettingsError,
     "authentication_failed", "rejected this user",
     "Check the user, and pg_hba.conf on the server."),
    (r"role .* does not exist|not permitted to log in", SettingsError, "user_missing", "has no such user",
     "Check the user."),
    (r"database .* does not exist", SettingsError, "database_missing", "was not found: the server has no such database",
     "Create it: createdb NAME"),
    (r"permission denied for database|does not have CONNECT", SettingsError, "access_denied",
     "does not allow this user to connect",
     "Run: GRANT CONNECT ON DATABASE … TO …;"),
    (r"certificate|does not support SSL|sslmode|GSSAPI", SettingsError, "insecure_connection",
     "can't be reached over a secure connection",
     "Check sslmode and sslrootcert."),
    (r"invalid (?:connection option|port|integer|sslmode|\w+ value)|unrecognized", SettingsError,
     "invalid_url", "can't be reached: the URL is invalid", "Check the URL's parameters."),
    (r"too many (?:clients|connections)|remaining connection slots", TransientError, "too_many_connections",
     "has no free connection",
     "Raise max_connections, or close some connections."),
)  # fmt: skip


def error_of(error: BaseException, name: str) -> CounterfoilError:
    """The Counterfoil error for a psycopg error."""
    if not isinstance(error, psycopg.Error):
        return duckdb_meaning(error, "the archive")
    state = error.sqlstate
    if state is None:
        return _unconnected(str(error), name)
    for start, kind, meaning, hint in _STATES:
        if state.startswith(start):
            code = next((code for prefix, code in _CODES.items() if state.startswith(prefix)), None)
            return kind(f"{name} {meaning}{_details(error, state)}", hint=hint or "Remove the constraint.", code=code)
    return DestinationRejected(f"{name} rejected the statement: {error.diag.message_primary} ({state})")


def _unconnected(text: str, name: str) -> CounterfoilError:
    for pattern, kind, code, meaning, hint in _WORDS:
        if re.search(pattern, text, re.IGNORECASE):
            return kind(f"{name} {meaning}", hint=hint, code=code)
    if re.search("resolve|translate host", text, re.IGNORECASE):
        return TransientError(
            f"the host of {name} can't be resolved", hint="Check the name of the host.", code="host_not_found"
        )
    return TransientError(
        f"{name} can't be reached, or the connection was lost",
        hint="Check that the server is running and reachable.",
        code="unreachable",
    )


def _details(error: psycopg.Error, state: str) -> str:
    """Postgres' own message, if it can't contain a value of a row."""
    if state.startswith(("22", "23")):
        column = error.diag.column_name or error.diag.constraint_name
        return f" ({column})" if column else ""
    messages = [error.diag.message_primary, error.diag.message_detail if state == "2BP01" else None]
    details = "; ".join(" ".join(text.split()) for text in messages if text)
    return f" ({details})" if details else ""


@contextmanager
def mapped(name: str) -> Iterator[None]:
    """Maps errors of psycopg, Arrow, the system and DuckDB to Counterfoil's errors, and passes those through."""
    import duckdb

    try:
        yield
    except (psycopg.Error, duckdb.Error, pa.ArrowException, OSError) as error:
        raise error_of(error, name) from error


@contextmanager
def mapped_query(name: str, seconds: float | None = None) -> Iterator[None]:
    """The same for a user's query: its mistakes are shown in Postgres' words."""
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate
        if state == "57014" and seconds is not None:
            raise RunError(
                f"the query took longer than {seconds:g} seconds",
                hint="Select fewer rows, or filter by date.",
                code="query_timeout",
            ) from error
        if state is None or state.startswith(("08", "28", "40", "53", "55", "57", "58", "3D")):
            raise error_of(error, name) from error
        messages = [error.diag.message_primary, error.diag.message_hint]
        raise QueryFailed(". ".join(each for each in messages if each), hint="Check the query.") from error
    except pa.ArrowException as error:
        raise QueryFailed(str(error), hint="Cast the column to text.") from error
