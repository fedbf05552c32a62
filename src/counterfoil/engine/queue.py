"""The queue of attempts. Only this module and the worker use DBOS.

DBOS stores the queue and the completed steps, in a SQLite file or in Postgres. One workflow is one attempt of one run.
Importing DBOS takes up to two seconds, so it is imported when a queue is opened. It opens no port, and connects to its
vendor's service only with a key, which it does not get.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from counterfoil.engine.steps import Job
from counterfoil.errors import CounterfoilError
from counterfoil.logging import get_logger, in_command

if TYPE_CHECKING:
    from dbos import DBOSClient, EnqueueOptions
    from sqlalchemy.engine import Engine, ExceptionContext

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["APPLICATION_VERSION", "PARTITION_CONCURRENCY", "Queue", "engine_url"]

#: The version of workflows; a worker takes only those of its own version. Increased when the steps change.
APPLICATION_VERSION = "2"
#: Concurrent attempts of one Stripe account, over all nodes.
PARTITION_CONCURRENCY = 4
#: The program's name in DBOS, and the name of its only workflow.
NAME = "counterfoil"
WORKFLOW = "attempt"

#: Connections of a process to Postgres, in addition to its worker's.
_CONNECTIONS = 2

_QUEUE = "attempts"
_BATCH = 500

Status = Literal["queued", "delayed", "running", "ended"]
_STATUS: Mapping[str, Status] = {"ENQUEUED": "queued", "DELAYED": "delayed", "PENDING": "running"}
_log = get_logger("engine")


def engine_url(home: Path, state_url: str | None = None) -> str:
    """The URL of the queue: the state's database for Postgres, otherwise the file `engine.db`."""
    if state_url is not None and state_url.startswith("postgres"):
        return state_url
    return f"sqlite:///{home.absolute() / 'engine.db'}"


class Queue:
    """Attempts that wait for a worker. Any process may open it, and add and remove attempts."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = _open(url)

    @property
    def is_local(self) -> bool:
        """Whether only processes of this machine can use it."""
        return self.url.startswith("sqlite")

    def close(self) -> None:
        self._client.destroy()

    def enqueue(self, job: Job, *, delay_seconds: float = 0) -> None:
        """Adds an attempt; does nothing if the queue has its workflow id already, whether it waits or has ended."""
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": _QUEUE,
            "workflow_id": job.workflow,
            "app_version": APPLICATION_VERSION,
            "queue_partition_key": job.partition,
            **({"delay_seconds": delay_seconds} if delay_seconds > 0 else {}),  # type: ignore[typeddict-item]
        }
        self._ask(lambda: self._client.enqueue(options, job.run, job.attempt, job.partition))

    def cancel(self, workflow: str) -> bool:
        """Removes an attempt that waits; False if it does not wait, so that the run itself must be asked to stop.

        An attempt that a worker takes at this moment ends at its next step without a record in its run. The caller
        therefore records the cancellation in the run, where the steps see it.
        """
        if self.statuses([workflow]).get(workflow) not in ("queued", "delayed"):
            return False
        self.end(workflow)
        return True

    def end(self, workflow: str) -> None:
        """Ends an attempt, whether it waits or runs."""
        self._ask(self._client.cancel_workflow, workflow)

    def statuses(self, workflows: Collection[str]) -> dict[str, Status]:
        """The status of each attempt; attempts that the queue does not have are omitted."""
        names = list(workflows)
        return {
            found.workflow_id: _STATUS.get(found.status, "ended")
            for start in range(0, len(names), _BATCH)
            for found in self._ask(
                self._client.list_workflows,
                workflow_ids=names[start : start + _BATCH],
                load_input=False,
                load_output=False,
            )
        }

    def counts(self) -> dict[Status, int]:
        """The numbers of queued, delayed and running attempts; counts at most 10,000."""
        counts: dict[Status, int] = {"queued": 0, "delayed": 0, "running": 0}
        for found in self._unfinished(list(_STATUS)):
            counts[_STATUS[found.status]] += 1
        return counts

    def executors(self) -> set[str]:
        """The processes that have running attempts."""
        return {found.executor_id for found in self._unfinished(["PENDING"]) if found.executor_id}

    def sharing(self) -> dict[str, int]:
        """The number of processes with running attempts, by partition."""
        found: dict[str, set[str]] = {}
        for one in self._unfinished(["PENDING"]):
            found.setdefault(one.queue_partition_key or "", set()).add(one.executor_id or "")
        return {partition: len(executors) for partition, executors in found.items()}

    def purge(self, before: datetime) -> int:
        """Deletes the attempts that ended before the given time; returns their number."""
        removed = 0
        while found := self._ask(
            self._client.list_workflows,
            completed_before=before.astimezone(UTC).isoformat(),
            limit=_BATCH,
            load_input=False,
            load_output=False,
        ):
            self._ask(self._client.delete_workflows, [workflow.workflow_id for workflow in found])
            removed += len(found)
        return removed

    def connections(self, most: int) -> Engine | None:
        """Connections to Postgres for a worker; None for SQLite, where DBOS opens its own.

        DBOS waits for a lost database, but it recognizes one by the driver's message, and not by that of a refused
        connection. Here each failed connection counts as lost.
        """
        if self.is_local:
            return None
        from sqlalchemy import create_engine, event
        from sqlalchemy.engine import make_url

        from counterfoil.state.database import CONNECT

        engine = create_engine(
            make_url(self.url).set(drivername="postgresql+psycopg"),
            connect_args={"application_name": NAME, **CONNECT},
            hide_parameters=True,
            max_overflow=0,
            pool_pre_ping=True,
            pool_size=most,
        )

        @event.listens_for(engine, "handle_error")
        def is_lost(context: ExceptionContext) -> None:
            if context.connection is None:
                context.is_disconnect = True

        return engine

    def register(self, *, worker_concurrency: int, poll_seconds: float) -> None:
        """Stores the queue's limits in it."""
        self._ask(
            self._client.register_queue,
            _QUEUE,
            partition_concurrency=PARTITION_CONCURRENCY,
            worker_concurrency=worker_concurrency,
            polling_interval_sec=poll_seconds,
        )

    def _unfinished(self, statuses: list[str]) -> list[Any]:
        return list(
            self._ask(
                self._client.list_workflows,
                status=statuses,
                queue_name=_QUEUE,
                limit=10_000,
                load_input=False,
                load_output=False,
            )
        )

    def _ask(self, call: Callable[P, T], /, *args: P.args, **given: P.kwargs) -> T:
        """The call's result; raises our errors for those of the database."""
        from sqlalchemy.exc import DBAPIError

        try:
            return call(*args, **given)
        except DBAPIError as error:
            raise self.error(error) from error

    def error(self, error: Exception) -> Exception:
        """The same error, or ours for an error of the database."""
        from sqlalchemy.exc import DBAPIError

        return _queue_error(self.url, error) if isinstance(error, DBAPIError) else error


def _open(url: str) -> DBOSClient:
    """A client of the queue at this URL, which is created or migrated."""
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        try:
            _make_file(path)
        except (OSError, sqlite3.Error) as error:
            raise _queue_error(url, error) from error
    _log_as_ours()
    from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer
    from sqlalchemy.exc import SQLAlchemyError

    try:
        DBOS.migrate(url)
    except SQLAlchemyError as error:
        raise _queue_error(url, error) from error
    return DBOSClient(
        system_database_url=url,
        serializer=DBOSPortableJSONSerializer(),
        application_name=NAME,
        system_database_pool_size=_CONNECTIONS,
        lazy=True,
        # The callers decide how long to wait for an unavailable database.
        retry_connection_errors=False,
    )


def _queue_error(url: str, error: BaseException) -> CounterfoilError:
    """Our error for an error of the queue's database."""
    from sqlalchemy.engine import make_url

    from counterfoil.state.database_errors import database_error

    path = url.removeprefix("sqlite:///")
    return database_error(
        error,
        path if path != url else make_url(url).render_as_string(hide_password=True),
        noun="queue",
        if_damaged=f"Stop counterfoil, then delete {path}, {path}-wal and {path}-shm: they hold only the queue, which "
        "is recreated, and unfinished runs are queued again.",
    )


def _make_file(path: Path) -> None:
    from counterfoil.state.sqlite_file import make_file

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_file(path)
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # persists in the file; DBOS sets none


class _Lines(logging.Handler):
    """Writes the log records of DBOS to our log. A command omits them: it prints the error that they precede."""

    def emit(self, record: logging.LogRecord) -> None:
        if in_command():
            return
        say = getattr(_log, record.levelname.lower(), _log.warning)
        first, *more = [line for line in record.getMessage().splitlines() if line]
        # A traceback in a message ends with the error, and with SQLAlchemy's link to its documentation.
        reason = [line for line in more if not line.startswith((" ", "("))][-1:]
        say(" ".join([first, *reason]), **({"exc_info": record.exc_info} if record.exc_info else {}))


def _log_as_ours() -> None:
    logger = logging.getLogger("dbos")
    if not any(isinstance(handler, _Lines) for handler in logger.handlers):
        logger.handlers = [_Lines()]  # without a handler, DBOS adds one that writes to the terminal
        logger.propagate = False
        logger.setLevel(logging.WARNING)
