"""Errors of the databases that keep the state and the queue, as ours: decided by their codes."""

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
#: What SQLite reports where a full disk keeps it from making the files beside the database.
_SQLITE_VAGUE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_LEAST_BYTES = 256 * 1024
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: SQLSTATEs: serialization, deadlock, lock and connection limit; out of disk; connection lost, server stops or starts.
_SERVER: dict[str, Problem] = {"40001": "busy", "40P01": "busy", "55P03": "busy", "53300": "busy", "53100": "full"}
_SERVER_AWAY = ("08", "57P")
_RESTORE = (
    "Stop counterfoil and restore the file from a backup. Without one, move it away: accounts, datasets and runs are "
    "then created anew; tables stay."
)
_WHERE = "COUNTERFOIL_STATE_URL or COUNTERFOIL_HOME says where it is. It needs a database that this user may write."


def database_error(
    error: BaseException, name: str, *, noun: str = "state", if_damaged: str = _RESTORE
) -> CounterfoilError:
    """Our error for one of SQLAlchemy's, of sqlite3's or of the file system's. `name` is a path, or a URL to show."""
    cause = getattr(error, "orig", None) or error
    reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    match _server_problem(error, cause) if name.startswith("postgres") else _file_problem(cause, Path(name)):
        case "away":
            return StateUnavailable(
                f"The {noun} {name} can't be reached: {reason}",
                hint="Start its database, or correct host, port, user and password in COUNTERFOIL_STATE_URL.",
            )
        case "busy":
            return TransientError(
                f"The {noun} {name} is in use: {reason}",
                hint="Another process holds it. Try again; if it stays so, look at that process.",
            )
        case "full":
            return TransientError(
                f"The {noun} {name} can't be written, its disk is full: {reason}",
                hint="Free some space, then try again.",
            )
        case "damaged":
            return SettingsError(f"The {noun} {name} is damaged: {reason}", hint=if_damaged)
    return SettingsError(f"The {noun} {name} can't be used: {reason}", hint=_WHERE)


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
