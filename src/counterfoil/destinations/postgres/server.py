"""Connections to one Postgres database, and transactions that wait for a lock and can be stopped or rejected.

A transaction makes all its settings itself, and locks end with it, so a transaction pooler can be in between.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from counterfoil.destinations.cancellation import check_stop, stoppable
from counterfoil.destinations.lock_wait import Locked, wait_for
from counterfoil.destinations.postgres.errors import mapped
from counterfoil.destinations.postgres.url import PostgresAddress
from counterfoil.destinations.protocol import Guard, Progress, Stop
from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.errors import RunError, SettingsError, TransientError

_CONNECT_SECONDS = 10
#: The oldest server version with the features that merges and histories need.
_OLDEST = 140_000
#: How soon the server detects that the client process has ended.
_LOOK_SECONDS = 2
_ALIVE = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
#: An arbitrary number, the same in every process: the first half of the keys of our advisory locks.
_LOCKS = 0x436F_756E
#: The holder of a lock, as far as the user can see it.
_HOLDER = """
    SELECT coalesce(nullif(activity.application_name, ''), 'another program'), locks.pid, activity.client_addr::text
    FROM pg_locks AS locks LEFT JOIN pg_stat_activity AS activity ON activity.pid = locks.pid
    WHERE locks.locktype = 'advisory' AND locks.granted AND locks.classid = %s::oid AND locks.objid = %s::oid
    AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1
"""


_READ_WRITE = "ISOLATION LEVEL READ COMMITTED, READ WRITE"
READ_ONLY = "ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    # Compiling a comparison of a hundred columns takes seconds, even for a few rows.
    "jit": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}


@dataclass(slots=True)
class Session:
    """One transaction: its connection, and the callbacks that interrupt other work on a stop."""

    connection: psycopg.Connection[Any]
    schema: str
    #: The SQL settings of each transaction, which override the defaults of the user and the database.
    settings: str
    stopped: threading.Event = field(default_factory=threading.Event)
    interrupts: list[Callable[[], None]] = field(default_factory=list)

    def begin(self, mode: str, *, seconds: float | None = None) -> None:
        """Begins a transaction. Statements are canceled after `seconds`."""
        limit = "" if seconds is None else f"; SET LOCAL statement_timeout TO {max(1, int(seconds * 1000))}"
        self.run(f"BEGIN {mode}; {self.settings}{limit}")

    def run(self, sql: str, values: list[Any] | None = None) -> int:
        """Executes a statement and returns the number of affected rows."""
        return self.connection.execute(sql, values).rowcount

    def all(self, sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a query with a small result."""
        return self.connection.execute(sql, values).fetchall()

    def one(self, sql: str, values: list[Any] | None = None) -> Any:
        """The only value of a query."""
        ((value,),) = self.all(sql, values)
        return value

    def named(self, table: str) -> str:
        """The quoted name of the table, with its schema."""
        return f"{quoted(self.schema)}.{quoted(table)}"

    def interrupt(self) -> None:
        """Cancels the current work, from another thread. Work that has just ended is not affected."""
        self.stopped.set()
        for interrupt in self.interrupts:
            interrupt()
        with contextlib.suppress(psycopg.Error):
            self.connection.cancel_safe(timeout=_LOOK_SECONDS)

    def check(self) -> None:
        """Raises RunError after an interrupt."""
        if self.stopped.is_set():
            raise RunError("the load was canceled", hint="The table is unchanged.", code="load_canceled")


class Server:
    """Opens connections on demand. Between two calls none is open, except inside `held`."""

    def __init__(self, place: PostgresAddress, busy_seconds: float) -> None:
        self._place = place
        self._busy_seconds = busy_seconds
        self._guard = threading.Lock()
        self._holders = 0
        self._idle: list[psycopg.Connection[Any]] = []

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps connections open for later calls, in any thread, until the block ends."""
        with self._guard:
            self._holders += 1
        try:
            with self.connected():
                pass
            yield
        finally:
            with self._guard:
                self._holders -= 1
                left = [] if self._holders else [self._idle.pop() for _ in range(len(self._idle))]
            for connection in left:
                connection.close()

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection that no other thread uses."""
        with mapped(self._place.name):
            with self._guard:
                connection = self._idle.pop() if self._idle else None
            if connection is None or connection.closed:
                connection = self._connect()
            with contextlib.ExitStack() as broken_off:
                broken_off.callback(_give_up, connection)
                yield connection
                broken_off.pop_all()
            with self._guard:
                if self._holders and not connection.closed:
                    self._idle.append(connection)
                    return
            connection.close()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read-only session on one snapshot of the database."""
        with self.connected() as connection:
            session = self._session(connection)
            session.begin(READ_ONLY)
            yield session
            session.run("ROLLBACK")

    @contextmanager
    def asking(self) -> Iterator[Session]:
        """A session for a query, which begins its own transactions. An open transaction is rolled back at the end."""
        with self.connected() as connection:
            yield self._session(connection)
            if connection.info.transaction_status == TransactionStatus.ACTIVE:
                connection.close()  # in the middle of a result
            else:
                connection.rollback()

    @contextmanager
    def writing(
        self, table: str, progress: Progress | None = None, guard: Guard | None = None, stop: Stop | None = None
    ) -> Iterator[Session]:
        """A transaction that is exclusive among loads into the table.

        It commits if the block and the guard raise nothing; otherwise it rolls back.
        """
        check_stop(stop)
        with self.connected() as connection:
            session = self._session(connection)
            place = f"{table} in {self._place.name}"
            wait_for(lambda: self._begin(session, table), place, self._busy_seconds, progress, stop)
            # Ends before the commit, which an interrupt must not hit.
            with stoppable(session.interrupt, stop):
                yield session
            if guard is not None:
                guard()
            # Postgres rolls back a failed transaction on COMMIT, without an error.
            if connection.execute("COMMIT").statusmessage != "COMMIT":
                raise TransientError(f"{place} rolled back the load", hint="Try again; the table is unchanged.")

    @contextmanager
    def committed(self) -> Iterator[Session]:
        """A short transaction that does not wait for the table."""
        with self.connected() as connection:
            session = self._session(connection)
            session.begin(_READ_WRITE)
            yield session
            session.run("COMMIT")

    def _begin(self, session: Session, table: str) -> None:
        """Begins the transaction with the table's lock. Locked if another session has it."""
        session.begin(_READ_WRITE)
        key = [_LOCKS, session.one("SELECT hashtext(%s)", [session.named(table)])]
        if session.one("SELECT pg_try_advisory_xact_lock(%s, %s)", key):
            return
        found = session.all(_HOLDER, [key[0], key[1] & 0xFFFF_FFFF])
        session.run("ROLLBACK")
        name, pid, address = found[0] if found else ("another program", None, None)
        raise Locked(f"{name}{f' at {address}' if address else ''}{f' (server process {pid})' if pid else ''}")

    def _session(self, connection: psycopg.Connection[Any]) -> Session:
        settings = {**_SETTINGS, "lock_timeout": f"{int(max(1, self._busy_seconds) * 1000)}"}
        if connection.info.server_version >= 170_000:
            settings["transaction_timeout"] = "0"
        statements = [f"SET LOCAL search_path TO {quoted(self._place.schema)}"]
        statements += [f"SET LOCAL {name} TO {literal(value)}" for name, value in settings.items()]
        return Session(connection, self._place.schema, "; ".join(statements))

    def _connect(self) -> psycopg.Connection[Any]:
        defaults = {"connect_timeout": f"{_CONNECT_SECONDS}", "application_name": "counterfoil", **_ALIVE}
        wanted: dict[str, Any] = {**defaults, **self._place.connection(), "client_encoding": "utf8"}
        # Prepared statements belong to a connection, and a pooler can switch connections.
        connection = psycopg.connect(**wanted, autocommit=True, prepare_threshold=None)
        if connection.info.server_version < _OLDEST:
            connection.close()
            raise SettingsError(
                f"{self._place.name} is Postgres {connection.info.server_version // 10_000}, which is too old",
                hint=f"Use Postgres {_OLDEST // 10_000} or newer.",
            )
        with contextlib.suppress(psycopg.Error):  # not supported on some systems
            connection.execute(f"SET client_connection_check_interval TO {_LOOK_SECONDS * 1000}")
        return connection


def _give_up(connection: psycopg.Connection[Any]) -> None:
    # A rollback releases the locks before we continue; otherwise the server first has to detect the lost client.
    with contextlib.suppress(psycopg.Error):
        if connection.info.transaction_status != TransactionStatus.ACTIVE:
            connection.rollback()
    connection.close()
