"""The one mapping from Postgres' errors to ours. Values of rows, and passwords, never get into a message."""

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

_AS_IT_WAS = "The table is as it was."
#: How an SQLSTATE begins, which error that is, what it means and what to do. The first that fits counts.
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_STATES: tuple[tuple[str, type[CounterfoilError], str, str], ...] = (
    ("53100", DestinationRejected, "has no room left: its disk is full", f"Free some space. {_AS_IT_WAS}"),
    ("53200", TransientError, "is out of memory", _AS_IT_WAS),
    ("53300", TransientError, "has no connection left", "Raise max_connections, or close some."),
    ("53", TransientError, "is short of resources", _AS_IT_WAS),
    ("55P03", DestinationBusy, "is held by another program, which has the table locked", "Try again when it is done."),
    ("55006", DestinationBusy, "is in use by another program", "Try again when it is done."),
    ("40", TransientError, "could not finish because of what others did at the same time", _AS_IT_WAS),
    ("57014", TransientError, "broke the statement off", _AS_IT_WAS),
    ("57", TransientError, "is shutting down or starting", _AS_IT_WAS),
    ("08", TransientError, "can't be reached, or the connection was lost", _AS_IT_WAS),
    ("58", TransientError, "has trouble with its system", "The server's log says what it is."),
    ("25006", DestinationRejected, "is read-only", "Name the primary server, or a user that may write."),
    ("25P03", TransientError, "ended the session, which had been idle", _AS_IT_WAS),
    ("28", SettingsError, "does not let this user in", "Check user, password and pg_hba.conf."),
    ("3D000", SettingsError, "is not there: the server has no such database", "Create it: createdb NAME"),
    ("42501", SettingsError, "does not let this user do that", "Ask for the rights that docs/destinations.md lists."),
    ("2BP01", DestinationRejected, "keeps the table, since something depends on it", "Drop or change that first."),
    ("42701", SchemaConflict, "has a name of its own for a column that the data brings", "Leave the column out."),
    ("54011", SchemaConflict, "takes 1,600 columns at most", "Leave some out."),
    ("54", DestinationRejected, "can't hold the rows: a limit is passed", "Leave out the largest columns."),
    ("23", DestinationRejected, "refuses the rows: the table has a constraint that they do not meet", ""),
    ("22", DestinationRejected, "refuses the rows: a value does not fit its column", "Choose another table."),
)
#: The same for what is said where there is no connection yet, and no SQLSTATE.
_WORDS: tuple[tuple[str, type[CounterfoilError], str, str], ...] = (
    (r"password authentication failed|no password supplied", SettingsError, "does not take the user's password",
     "Check it in the URL, in the variable PGPASSWORD or in ~/.pgpass."),
    (r"no pg_hba\.conf entry|authentication failed|ident authentication", SettingsError, "does not let this user in",
     "Check the user, and pg_hba.conf on the server."),
    (r"role .* does not exist|not permitted to log in", SettingsError, "knows no such user", "Check the user."),
    (r"database .* does not exist", SettingsError, "is not there: the server has no such database",
     "Create it: createdb NAME"),
    (r"permission denied for database|does not have CONNECT", SettingsError, "does not let this user connect",
     "GRANT CONNECT ON DATABASE … TO the user."),
    (r"certificate|does not support SSL|sslmode|GSSAPI", SettingsError, "can't be reached safely",
     "Check sslmode and sslrootcert."),
    (r"invalid (?:connection option|port|integer|sslmode|\w+ value)|unrecognized", SettingsError,
     "can't be reached: the URL is wrong", "Check its parameters."),
    (r"too many (?:clients|connections)|remaining connection slots", TransientError, "has no connection left",
     "Raise max_connections, or close some."),
)  # fmt: skip


def error_of(error: BaseException, name: str) -> CounterfoilError:
    """Our error for psycopg's."""
    if not isinstance(error, psycopg.Error):
        return duckdb_meaning(error, "the archive")
    state = error.sqlstate
    if state is None:
        return _unconnected(str(error), name)
    for start, kind, words, hint in _STATES:
        if state.startswith(start):
            return kind(f"{name} {words}{_told(error, state)}", hint=hint or "Choose another table, or remove it.")
    return DestinationRejected(f"{name} refuses: {error.diag.message_primary} ({state})")


def _unconnected(text: str, name: str) -> CounterfoilError:
    for pattern, kind, words, hint in _WORDS:
        if re.search(pattern, text, re.IGNORECASE):
            return kind(f"{name} {words}", hint=hint)
    if re.search("resolve|translate host", text, re.IGNORECASE):
        return TransientError(f"{name} can't be found by its name", hint="Check the host.")
    return TransientError(
        f"{name} can't be reached, or the connection was lost", hint="Check that the server runs and is reachable."
    )


def _told(error: psycopg.Error, state: str) -> str:
    """What Postgres says of it, where that can't hold a value of a row."""
    if state.startswith(("22", "23")):
        column = error.diag.column_name or error.diag.constraint_name
        return f" ({column})" if column else ""
    said = [error.diag.message_primary, error.diag.message_detail if state == "2BP01" else None]
    told = "; ".join(" ".join(text.split()) for text in said if text)
    return f" ({told})" if told else ""


@contextmanager
def mapped(name: str) -> Iterator[None]:
    """Lets our errors pass and turns those of psycopg, Arrow, the system and DuckDB (it reads the parts) into them."""
    import duckdb

    try:
        yield
    except (psycopg.Error, duckdb.Error, pa.ArrowException, OSError) as error:
        raise error_of(error, name) from error


@contextmanager
def mapped_query(name: str, seconds: float | None = None) -> Iterator[None]:
    """The same for the words of a person's query, whose mistakes are shown as Postgres tells them."""
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate
        if state == "57014" and seconds is not None:
            raise RunError(
                f"The question took longer than {seconds:g} seconds", hint="Ask for less, or narrow it by a date."
            ) from error
        if state is None or state.startswith(("08", "28", "40", "53", "55", "57", "58", "3D")):
            raise error_of(error, name) from error
        told = [error.diag.message_primary, error.diag.message_hint]
        raise QueryFailed(". ".join(each for each in told if each), hint="Check the query.") from error
    except pa.ArrowException as error:
        raise QueryFailed(str(error), hint="Cast the column to text.") from error
