"""The state's database: its location, its schema, and its transactions.

SQLite in WAL mode by default, Postgres by URL. Database errors are raised as our errors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import URL, make_url

from counterfoil.errors import SettingsError, TransientError
from counterfoil.settings import Settings
from counterfoil.state.database_errors import database_error
from counterfoil.state.sqlite_file import make_file
from counterfoil.state.tables import SCHEMA, SCHEMA_TABLE, metadata
from counterfoil.state.tables import settings as settings_table

Clock = Callable[[], datetime]

#: How long a transaction waits for that of another process, in SQLite.
_BUSY_SECONDS = 30
#: Connections to Postgres that are kept open, and as many more under load. With those of the queue, a process uses
#: about twenty at most; a server allows a hundred by default.
_CONNECTIONS = 6
#: An arbitrary number, the same in every process: the key of the Postgres lock for changes of the schema.
_SCHEMA_LOCK = 0x636F756E746572


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def open_state(settings: Settings, *, clock: Clock = utc_now) -> State:
    """The state, created if it does not exist; SettingsError if its schema is not that of this program."""
    state = _unchecked(settings, clock)
    try:
        with state.alone():
            found = state.schema()
            if found is None:
                state.migrate()
            elif found != SCHEMA:
                _refuse(found, state.name)
    except BaseException:
        state.close()
        raise
    return state


def upgrade_state(settings: Settings) -> tuple[str | None, str]:
    """Upgrades the schema to this program's, or creates it; returns the old and the new version."""
    with _unchecked(settings, utc_now) as state, state.alone():
        found = state.schema()
        if found is not None and found > SCHEMA:
            _refuse(found, state.name)
        if found != SCHEMA:
            state.migrate()
        return found, SCHEMA


def _refuse(found: str, name: str) -> None:
    if found < SCHEMA:
        raise SettingsError(
            f"the state {name} has the older schema {found}, but this program needs {SCHEMA}",
            hint="Stop other counterfoil processes, then run: counterfoil state upgrade",
        )
    raise SettingsError(
        f"the state {name} has the schema {found}, which is newer than this program's {SCHEMA}",
        hint="Install a newer counterfoil: pip install --upgrade counterfoil",
    )


class State:
    """The records of the program, in one database. Safe to share between threads."""

    def __init__(self, url: URL, settings: Settings, clock: Clock) -> None:
        self.url = url
        self.settings = settings
        self.now = clock
        #: For messages; without a password.
        self.name = str(url.database) if url.drivername == "sqlite" else url.render_as_string(hide_password=True)
        self._engine = _engine(url)
        self._reader = self._engine.execution_options(**_READING[self._engine.dialect.name])
        self._open = threading.local()

    def __repr__(self) -> str:
        return f"State({self.name})"

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction that may write: committed at the end, rolled back after an error.

        Inside another transaction of the same thread it is a part of that one, and only this part is rolled back.
        SQLite allows one writer at a time, so rows that are read here can't change before they are written.
        """
        outer: sa.Connection | None = getattr(self._open, "connection", None)
        with self._telling():
            if outer is not None:
                with outer.begin_nested():
                    yield outer
                return
            with self._engine.begin() as connection:
                self._open.connection = connection
                try:
                    yield connection
                finally:
                    self._open.connection = None

    @contextmanager
    def trying(self) -> Iterator[sa.Connection]:
        """A transaction that is always rolled back, for a dry run of changes."""
        with suppress(_Undo), self.begin() as connection:
            yield connection
            raise _Undo

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A read-only transaction with a consistent snapshot, which never waits for a lock."""
        outer: sa.Connection | None = getattr(self._open, "connection", None)
        with self._telling(), nullcontext(outer) if outer is not None else self._reader.begin() as connection:
            yield connection

    def insert(self, table: sa.Table) -> Any:
        """An INSERT with `on_conflict_do_update`, which both dialects support in the same way."""
        return (sqlite_insert if self._engine.dialect.name == "sqlite" else postgres_insert)(table)

    def setting(self, name: str) -> Any:
        """The value that is stored under a name; None if there is none."""
        with self.read() as connection:
            return connection.scalar(sa.select(settings_table.c.value).where(settings_table.c.name == name))

    def keep_setting(self, name: str, value: Any) -> None:
        """Stores a JSON value under a name."""
        values = {"value": value, "updated_at": self.now()}
        with self.begin() as connection:
            insert = self.insert(settings_table).values(name=name, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))

    def schema(self) -> str | None:
        """The version of the schema; None for an empty database. SettingsError if another program made its tables."""
        with self.read() as connection:
            inspector = sa.inspect(connection)
            if inspector.has_table(SCHEMA_TABLE):
                found = connection.scalar(sa.text(f"SELECT max(version_num) FROM {SCHEMA_TABLE}"))  # noqa: S608 - ours
                if found is not None:
                    return str(found)
            taken = sorted(set(inspector.get_table_names()) & set(metadata.tables))
        if taken:
            raise SettingsError(
                f"the database {self.name} already contains the table {taken[0]} of another program",
                hint="Set COUNTERFOIL_STATE_URL to a separate database.",
            )
        return None

    def migrate(self, to: str = SCHEMA) -> None:
        """Upgrades or downgrades the schema to a version, in one transaction."""
        from counterfoil.state.migrations import migrate

        down = to == "base" or to < (self.schema() or "")
        # Tables with references to each other are recreated one by one, which enforced foreign keys would prevent.
        engine = _engine(self.url, references=False)
        try:
            with self._telling(), engine.begin() as connection:
                migrate(connection, to, down=down)
                if engine.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise RuntimeError("a migration left rows with dangling references")
        finally:
            engine.dispose()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Locks out other processes that create or change the schema."""
        if self.url.drivername == "sqlite":
            lock = _locked(Path(str(self.url.database)))
            try:
                yield
            finally:
                lock.release()
            return
        with self._telling(), self._engine.begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
            yield

    def close(self) -> None:
        """Closes all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Raises our errors for those of the database, except for IntegrityError, which the callers handle."""
        try:
            yield
        except sa.exc.IntegrityError:
            raise
        except sa.exc.DBAPIError as error:
            raise database_error(error, self.name) from error
        except sa.exc.TimeoutError as error:
            raise TransientError(f"every connection to the state {self.name} is in use") from error


class _Undo(Exception):  # noqa: N818 - not an error
    """Rolls a transaction back."""


def _unchecked(settings: Settings, clock: Clock) -> State:
    url = _url(settings)
    # The home directory has other files too, so it is created even if the state is elsewhere.
    folders = [settings.home, *([Path(str(url.database)).parent] if url.drivername == "sqlite" else [])]
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"can't create the folder {folder} for the state: {error.strerror}",
                hint="Set COUNTERFOIL_HOME to a folder that this user can write to.",
            ) from error
    return State(url, settings, clock)


def _url(settings: Settings) -> URL:
    given = settings.secret("state_url")
    if given is None:
        return URL.create("sqlite", database=str(settings.home.absolute() / "state.db"))
    hint = "Use sqlite:///state.db (in COUNTERFOIL_HOME), sqlite:////var/state.db or postgresql://user@host/database."
    try:
        url = make_url(given)
    except (sa.exc.ArgumentError, ValueError) as error:
        # Not chained: the cause may contain the value, with a password.
        raise SettingsError(f"COUNTERFOIL_STATE_URL is not a valid URL ({type(error).__name__})", hint=hint) from None
    kind = url.get_backend_name()
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise SettingsError(f"unsupported database for the state: {kind}", hint=hint)
    if url.database in (None, "", ":memory:") or url.query:
        raise SettingsError("COUNTERFOIL_STATE_URL does not name a file", hint=hint)
    return URL.create("sqlite", database=str(settings.home.absolute() / Path(str(url.database)).expanduser()))


def _locked(path: Path) -> FileLock:
    """The acquired lock for the file, which is created."""
    lock = FileLock(f"{path}.lock", mode=0o600)
    try:
        lock.acquire()
        make_file(path)
    except OSError as error:
        lock.release()
        raise database_error(error, str(path)) from error
    return lock


#: Options of libpq: a vanished server is noticed within half a minute instead of a quarter of an hour.
CONNECT = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
#: The options of read-only transactions.
_READING: dict[str, dict[str, Any]] = {
    "sqlite": {"begin": "BEGIN"},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def _engine(url: URL, *, references: bool = True) -> sa.Engine:
    if url.drivername != "sqlite":
        engine = sa.create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=_CONNECTIONS,
            max_overflow=_CONNECTIONS,
            connect_args={name: value for name, value in CONNECT.items() if name not in url.query},
        )
        sa.event.listen(engine, "connect", _speak_plainly)
        return engine
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": _BUSY_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        # Python's sqlite3 would begin a transaction only at the first write; `begin` below does it.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        # Each commit is on the disk when it returns: a claimed due time stays claimed after a power failure.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if references else 'OFF'}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # Takes the write lock at once: SQLite denies it to a transaction that has read if another process wrote
        # in between.
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN IMMEDIATE"))

    return engine


def _speak_plainly(connection: Any, _record: object) -> None:
    """Sets the format of instants that the driver reads, whatever the defaults of the server and the user are."""
    connection.execute("SET DateStyle = ISO")
    connection.execute("SET TimeZone = UTC")
    connection.commit()
