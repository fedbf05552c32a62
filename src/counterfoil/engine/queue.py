"""The queue of attempts. With the worker the only module that knows DBOS.

DBOS keeps the queue and which steps are done, in a SQLite file of ours or in Postgres. One workflow is one attempt of
one run. Importing it takes up to two seconds, so that happens when a queue is opened. It opens no port, and speaks to
nobody unless it is given a key for its makers' service, which it is not.
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
from counterfoil.logging import get_logger

if TYPE_CHECKING:
    from dbos import DBOSClient, EnqueueOptions
    from sqlalchemy.engine import Engine, ExceptionContext

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["APPLICATION_VERSION", "PARTITION_CONCURRENCY", "Queue", "engine_url"]

#: What workflows are marked with; a worker takes those of its own version only. Raised when the steps change.
APPLICATION_VERSION = "2"
#: Attempts of one Stripe account at a time, over all nodes.
PARTITION_CONCURRENCY = 4
#: The program's name in DBOS, and that of its one workflow.
NAME = "counterfoil"
WORKFLOW = "attempt"

#: Connections to Postgres of a process, beside its worker's.
_CONNECTIONS = 2

_QUEUE = "attempts"
_BATCH = 500

Status = Literal["queued", "delayed", "running", "ended"]
_STATUS: Mapping[str, Status] = {"ENQUEUED": "queued", "DELAYED": "delayed", "PENDING": "running"}
_log = get_logger("engine")


def engine_url(home: Path, state_url: str | None = None) -> str:
    """Where the queue is kept: beside the state in Postgres, else in `engine.db`."""
    if state_url is not None and state_url.startswith("postgres"):
        return state_url
    return f"sqlite:///{home.absolute() / 'engine.db'}"


class Queue:
    """Attempts that wait for a worker. Any process may open it, and put attempts in and take them out."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = _open(url)

    @property
    def is_local(self) -> bool:
        """Whether only processes of this machine can work on it."""
        return self.url.startswith("sqlite")

    def close(self) -> None:
        self._client.destroy()

    def enqueue(self, job: Job, *, delay_seconds: float = 0) -> None:
        """Puts it in, once: an attempt whose workflow id is there already, waiting or ended, is left as it is."""
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
        """Takes it out if it waits; False when it does not, and the run itself has to be asked to stop.

        One that a worker takes in this very moment ends at its next step, without a word to its run: whoever cancels
        records that in the run, whose steps see it.
        """
        if self.statuses([workflow]).get(workflow) not in ("queued", "delayed"):
            return False
        self.end(workflow)
        return True

    def end(self, workflow: str) -> None:
        """Ends it, whether it waits or runs."""
        self._ask(self._client.cancel_workflow, workflow)

    def statuses(self, workflows: Collection[str]) -> dict[str, Status]:
        """What becomes of each; those that the queue does not know are left out."""
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
        """How many wait, wait for their time, and run; at most 10,000 are counted."""
        counts: dict[Status, int] = {"queued": 0, "delayed": 0, "running": 0}
        for found in self._unfinished(list(_STATUS)):
            counts[_STATUS[found.status]] += 1
        return counts

    def executors(self) -> set[str]:
        """The processes that took the attempts which run."""
        return {found.executor_id for found in self._unfinished(["PENDING"]) if found.executor_id}

    def sharing(self) -> dict[str, int]:
        """How many processes have attempts of a partition, of those that run."""
        found: dict[str, set[str]] = {}
        for one in self._unfinished(["PENDING"]):
            found.setdefault(one.queue_partition_key or "", set()).add(one.executor_id or "")
        return {partition: len(executors) for partition, executors in found.items()}

    def purge(self, before: datetime) -> int:
        """Forgets the attempts that ended before then; how many there were."""
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

        DBOS waits for a database that it lost, but knows that by the driver's words, and not those of a refused
        connection. Here each connection that fails counts as lost.
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
        """Writes the queue's limits into it."""
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
        """The call's result; its errors are ours."""
        from sqlalchemy.exc import DBAPIError

        try:
            return call(*args, **given)
        except DBAPIError as error:
            raise self.error(error) from error

    def error(self, error: Exception) -> Exception:
        """The same, or ours if it is the database's."""
        from sqlalchemy.exc import DBAPIError

        return _queue_error(self.url, error) if isinstance(error, DBAPIError) else error


def _open(url: str) -> DBOSClient:
    """A connection to the queue at this address, which is made or brought up to date."""
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
        # Whoever asks knows better how long to wait for a database that is unavailable.
        retry_connection_errors=False,
    )


def _queue_error(url: str, error: BaseException) -> CounterfoilError:
    """Our error for one of the queue's database."""
    from sqlalchemy.engine import make_url

    from counterfoil.state.database_errors import database_error

    path = url.removeprefix("sqlite:///")
    return database_error(
        error,
        path if path != url else make_url(url).render_as_string(hide_password=True),
        noun="queue",
        if_damaged=f"Stop counterfoil, then delete {path}, {path}-wal and {path}-shm. They hold the queue only: it is "
        "created anew, and runs that are not over are queued again.",
    )


def _make_file(path: Path) -> None:
    from counterfoil.state.sqlite_file import make_file

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_file(path)
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # stays with the file; DBOS itself sets none


class _Lines(logging.Handler):
    """DBOS's own lines as ours."""

    def emit(self, record: logging.LogRecord) -> None:
        say = getattr(_log, record.levelname.lower(), _log.warning)
        first, *more = [line for line in record.getMessage().splitlines() if line]
        # A traceback in a message ends with what went wrong, and SQLAlchemy's address of more about it.
        reason = [line for line in more if not line.startswith((" ", "("))][-1:]
        say(" ".join([first, *reason]), **({"exc_info": record.exc_info} if record.exc_info else {}))


def _log_as_ours() -> None:
    logger = logging.getLogger("dbos")
    if not any(isinstance(handler, _Lines) for handler in logger.handlers):
        logger.handlers = [_Lines()]  # DBOS adds one that writes to the terminal only where it finds none
        logger.propagate = False
        logger.setLevel(logging.WARNING)
