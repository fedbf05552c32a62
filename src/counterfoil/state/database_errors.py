"""Converts errors of the databases of the state and the queue into our errors, by their codes."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import DBAPIError, OperationalError

from counterfoil.errors import CounterfoilError, SettingsError, StateUnavailable, TransientError

Problem = Literal["away", "busy", "full", "damaged"]

_SQLITE: dict[int, Problem] = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
#: SQLite reports these if a full disk prevents it from creating the files next to the database.
_SQLITE_VAGUE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_LEAST_BYTES = 256 * 1024
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: SQLSTATEs: serialization, deadlock, lock and connection limit; out of disk; connection lost, server stops or starts.
_SERVER: dict[str, Problem] = {"40001": "busy", "40P01": "busy", "55P03": "busy", "53300": "busy", "53100": "full"}
_SERVER_AWAY = ("08", "57P")
_RESTORE = (
    "Stop counterfoil and restore the file from a backup, or move it away to start without accounts, datasets and "
    "runs; tables stay."
)
_WHERE = "Set COUNTERFOIL_STATE_URL or COUNTERFOIL_HOME to a database that this user can write to."


def database_error(
    error: BaseException, name: str, *, noun: str = "state", if_damaged: str = _RESTORE
) -> CounterfoilError:
    """Our error for one of SQLAlchemy, sqlite3 or the file system. `name` is a path, or a URL without a password."""
    cause = getattr(error, "orig", None) or error
    reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    match _server_problem(error, cause) if name.startswith("postgres") else _file_problem(cause, Path(name)):
        case "away":
            return StateUnavailable(
                f"the {noun} {name} can't be reached: {reason}",
                hint="Start its database, or correct host, port, user and password in COUNTERFOIL_STATE_URL.",
            )
        case "busy":
            return TransientError(
                f"the {noun} {name} is in use: {reason}",
                hint="Try again, and check the other processes that use it if the error persists.",
            )
        case "full":
            return TransientError(
                f"the {noun} {name} can't be written because its disk is full: {reason}",
                hint="Free some space, then try again.",
            )
        case "damaged":
            return SettingsError(f"the {noun} {name} is damaged: {reason}", hint=if_damaged)
    return SettingsError(f"the {noun} {name} can't be used: {reason}", hint=_WHERE)


def _file_problem(cause: BaseException, path: Path) -> Problem | None:
    if isinstance(cause, OSError):
        return "full" if cause.errno in _NO_ROOM else None
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code in _SQLITE_VAGUE:
        return "full" if path.parent.is_dir() and shutil.disk_usage(path.parent).free < _LEAST_BYTES else None
    return _SQLITE.get(code)


def _server_problem(error: BaseException, cause: BaseException) -> Problem | None:
    code = getattr(cause, "sqlstate", None)
    if code is None:  # no server has answered
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        return "away" if lost or isinstance(error, OperationalError) else None
    return "away" if code.startswith(_SERVER_AWAY) else _SERVER.get(code)
