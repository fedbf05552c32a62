"""The state's database: where it is, that its schema is ours, and transactions on it.

SQLite in WAL by default, Postgres by URL. Whatever goes wrong in the database leaves here as one of our errors.
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

#: How long a transaction waits for another process's, in SQLite.
_BUSY_SECONDS = 30
#: To Postgres, kept open and besides when much goes on; with the queue's own some twenty of a process at most, where a
#: server takes a hundred in all unless told otherwise.
_CONNECTIONS = 6
#: Any number, the same in every process: holds back others while a schema is made in Postgres.
_SCHEMA_LOCK = 0x636F756E746572


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def open_state(settings: Settings, *, clock: Clock = utc_now) -> State:
    """The state, made if it is not there yet; SettingsError when its schema is older or newer than this program's."""
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
    """Brings an older schema up to this program's; from which step to which. Made anew when there is none."""
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
            f"The state {name} has the older schema {found}; this program needs {SCHEMA}",
            hint="Stop other counterfoil processes, then run: counterfoil state upgrade",
        )
    raise SettingsError(
        f"The state {name} has the schema {found}, which is newer than this program's {SCHEMA}",
        hint="Install a newer counterfoil: pip install --upgrade counterfoil",
    )


class State:
    """What is remembered between runs, in one database. Safe to share between threads."""

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
        """A transaction that may write: it is committed at the end, and undone when an error leaves it.

        Inside another one of the same thread it is part of that one, and only its own part is undone.
        SQLite lets one process write at a time: what is read here can't change before it is written.
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
        """The same, undone at its end: what would come of it can be looked at, and is not there afterwards."""
        with suppress(_Undo), self.begin() as connection:
            yield connection
            raise _Undo

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads, and sees one moment. It waits for nobody."""
        outer: sa.Connection | None = getattr(self._open, "connection", None)
        with self._telling(), nullcontext(outer) if outer is not None else self._reader.begin() as connection:
            yield connection

    def insert(self, table: sa.Table) -> Any:
        """An INSERT that knows `on_conflict_do_update`, which both dialects spell in the same way."""
        return (sqlite_insert if self._engine.dialect.name == "sqlite" else postgres_insert)(table)

    def setting(self, name: str) -> Any:
        """A value that was kept under a name; None when there is none."""
        with self.read() as connection:
            return connection.scalar(sa.select(settings_table.c.value).where(settings_table.c.name == name))

    def keep_setting(self, name: str, value: Any) -> None:
        """Keeps a value, anything that JSON can hold, under a name."""
        values = {"value": value, "updated_at": self.now()}
        with self.begin() as connection:
            insert = self.insert(settings_table).values(name=name, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))

    def schema(self) -> str | None:
        """The step that the schema is at; None when there is nothing. SettingsError when its tables are not ours."""
        with self.read() as connection:
            inspector = sa.inspect(connection)
            if inspector.has_table(SCHEMA_TABLE):
                found = connection.scalar(sa.text(f"SELECT max(version_num) FROM {SCHEMA_TABLE}"))  # noqa: S608 - ours
                if found is not None:
                    return str(found)
            taken = sorted(set(inspector.get_table_names()) & set(metadata.tables))
        if taken:
            raise SettingsError(
                f"{self.name} holds a table {taken[0]} that counterfoil did not make",
                hint="Give COUNTERFOIL_STATE_URL a database of its own.",
            )
        return None

    def migrate(self, to: str = SCHEMA) -> None:
        """Takes the schema up or down to a step, in one transaction."""
        from counterfoil.state.migrations import migrate

        down = to == "base" or to < (self.schema() or "")
        # Tables that refer to one another are made anew one by one, which enforced references would undo.
        engine = _engine(self.url, references=False)
        try:
            with self._telling(), engine.begin() as connection:
                migrate(connection, to, down=down)
                if engine.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise RuntimeError("a migration left rows that refer to nothing")
        finally:
            engine.dispose()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds back other processes that want to make or change the schema."""
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
        """Gives every connection back."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Broken constraints stay as they are: who wrote the statement knows what they mean."""
        try:
            yield
        except sa.exc.IntegrityError:
            raise
        except sa.exc.DBAPIError as error:
            raise database_error(error, self.name) from error
        except sa.exc.TimeoutError as error:
            raise TransientError(f"Every connection to the state {self.name} is in use") from error


class _Undo(Exception):  # noqa: N818 - it is no error
    """Leaves a transaction without a trace."""


def _unchecked(settings: Settings, clock: Clock) -> State:
    url = _url(settings)
    # The home is there for what else is in it, wherever the state is.
    folders = [settings.home, *([Path(str(url.database)).parent] if url.drivername == "sqlite" else [])]
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The folder of the state can't be made: {folder}: {error.strerror}",
                hint="Set COUNTERFOIL_HOME to a folder that this user may write.",
            ) from error
    return State(url, settings, clock)


def _url(settings: Settings) -> URL:
    given = settings.secret("state_url")
    if given is None:
        return URL.create("sqlite", database=str(settings.home.absolute() / "state.db"))
    hint = "Give sqlite:///state.db (below the home), sqlite:////var/lib/state.db or postgresql://user@host/database."
    try:
        url = make_url(given)
    except (sa.exc.ArgumentError, ValueError) as error:
        # Not chained: the cause may repeat what was given, with a password in it.
        raise SettingsError(f"COUNTERFOIL_STATE_URL is not a URL ({type(error).__name__})", hint=hint) from None
    kind = url.get_backend_name()
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise SettingsError(f"The state can't be kept in {kind}", hint=hint)
    if url.database in (None, "", ":memory:") or url.query:
        raise SettingsError("COUNTERFOIL_STATE_URL names no file", hint=hint)
    return URL.create("sqlite", database=str(settings.home.absolute() / Path(str(url.database)).expanduser()))


def _locked(path: Path) -> FileLock:
    """The lock beside the file, held; the file is made."""
    lock = FileLock(f"{path}.lock", mode=0o600)
    try:
        lock.acquire()
        make_file(path)
    except OSError as error:
        lock.release()
        raise database_error(error, str(path)) from error
    return lock


#: Of libpq: a server that vanished without a word is noticed within half a minute instead of a quarter of an hour.
CONNECT = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
#: How a transaction that only reads is begun.
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
        # Each commit is on the disk when it returns: a due time that was handed out stays so after a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if references else 'OFF'}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # The write lock is taken at once: a transaction that reads first and writes later would be refused it
        # when another process wrote in between.
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN IMMEDIATE"))

    return engine


def _speak_plainly(connection: Any, _record: object) -> None:
    """Instants in the one form that the driver reads, whatever the server's or the user's own is."""
    connection.execute("SET DateStyle = ISO")
    connection.execute("SET TimeZone = UTC")
    connection.commit()
