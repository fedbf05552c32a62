"""The queue of attempts, and the worker that works it off. The only module that knows DBOS.

DBOS keeps the queue and which steps are done, in a SQLite file of ours or in Postgres. One workflow is one attempt of
one run. Importing it takes up to two seconds, so that happens when a queue is opened. It opens no port, and speaks to
nobody unless it is given a key for its makers' service, which it is not.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from counterfoil.engine.steps import ORDER, Job, Steps, job
from counterfoil.errors import SettingsError
from counterfoil.log import get_logger

if TYPE_CHECKING:
    from dbos import DBOSClient

__all__ = ["APPLICATION_VERSION", "PARTITION_CONCURRENCY", "Queue", "Worker", "engine_url"]

#: What workflows are marked with; a worker takes those of its own version only. Raised when the steps change.
APPLICATION_VERSION = "2"
#: Attempts of one Stripe account at a time, over all nodes.
PARTITION_CONCURRENCY = 4
#: Attempts at a time in one process.
WORKER_CONCURRENCY = 8
#: How often a worker looks for attempts, in seconds.
POLL_SECONDS = 0.5
#: How often an attempt is taken up again after its process died, before it counts as one that kills its process.
MOST_RECOVERIES = 50

#: To Postgres, of a process: its worker's, and its own.
_WORKER_CONNECTIONS = 8
_CONNECTIONS = 2

_NAME = "counterfoil"
_QUEUE = "attempts"
_WORKFLOW = "attempt"
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
        self._client.enqueue(
            {
                "workflow_name": _WORKFLOW,
                "queue_name": _QUEUE,
                "workflow_id": job.workflow,
                "app_version": APPLICATION_VERSION,
                "queue_partition_key": job.partition,
                **({"delay_seconds": delay_seconds} if delay_seconds > 0 else {}),  # type: ignore[typeddict-item]
            },
            job.run,
            job.attempt,
            job.partition,
        )

    def cancel(self, workflow: str) -> bool:
        """Takes it out if it waits; False when it does not, and the run itself has to be asked to stop.

        One that a worker takes in this very moment ends at its next step, without a word to its run: whoever cancels
        records that in the run, whose steps see it.
        """
        if self.statuses([workflow]).get(workflow) not in ("queued", "delayed"):
            return False
        self._client.cancel_workflow(workflow)
        return True

    def statuses(self, workflows: Collection[str]) -> dict[str, Status]:
        """What becomes of each; those that the queue does not know are left out."""
        names = list(workflows)
        return {
            found.workflow_id: _STATUS.get(found.status, "ended")
            for start in range(0, len(names), _BATCH)
            for found in self._client.list_workflows(
                workflow_ids=names[start : start + _BATCH], load_input=False, load_output=False
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
        while found := self._client.list_workflows(
            completed_before=before.astimezone(UTC).isoformat(), limit=_BATCH, load_input=False, load_output=False
        ):
            self._client.delete_workflows([workflow.workflow_id for workflow in found])
            removed += len(found)
        return removed

    def register(self, *, worker_concurrency: int, poll_seconds: float) -> None:
        """Writes the queue's limits into it."""
        self._client.register_queue(
            _QUEUE,
            partition_concurrency=PARTITION_CONCURRENCY,
            worker_concurrency=worker_concurrency,
            polling_interval_sec=poll_seconds,
        )

    def _unfinished(self, statuses: list[str]) -> list[Any]:
        return list(
            self._client.list_workflows(
                status=statuses, queue_name=_QUEUE, limit=10_000, load_input=False, load_output=False
            )
        )


class Interrupted(BaseException):
    """The service goes down. No `Exception`, since DBOS records those as the end of a step and of the workflow."""


class Worker:
    """Works attempts off in threads of this process, at most one worker in a process.

    `after` is called with a run that succeeded, as the last durable step of its attempt: what it does must bear being
    done again. Once `stopping` is set no further step begins, and an attempt whose step raises is left as it is.
    """

    def __init__(
        self,
        queue: Queue,
        steps: Steps,
        *,
        executor: str,
        stopping: threading.Event,
        after: Callable[[str], None] | None = None,
        concurrency: int = WORKER_CONCURRENCY,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._queue = queue
        self._steps = steps
        self._executor = executor
        self._stopping = stopping
        self._after = after
        self._concurrency = concurrency
        self._poll_seconds = poll_seconds
        self._running = 0
        self._counting = threading.Lock()

    def start(self) -> None:
        """From here on attempts of the queue run."""
        from dbos import DBOS, DBOSPortableJSONSerializer

        def work(run: str, attempt: int, partition: str) -> str:  # DBOS marks it, which a method does not bear
            return self._work(run, attempt, partition)

        self._queue.register(worker_concurrency=self._concurrency, poll_seconds=self._poll_seconds)
        DBOS(
            config={
                "name": _NAME,
                "system_database_url": self._queue.url,
                "serializer": DBOSPortableJSONSerializer(),
                "application_version": APPLICATION_VERSION,
                "executor_id": self._executor,
                "sys_db_pool_size": _WORKER_CONNECTIONS,
                "log_level": "WARNING",
                "enable_otlp": False,
            }
        )
        DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=MOST_RECOVERIES)(work)
        DBOS.launch()

    def recover(self, executors: Iterable[str]) -> int:
        """Puts what dead processes were running back into the queue, each where it was; how many attempts."""
        from dbos import DBOS

        # A public resume exists, but it asks neither whose the attempt is nor how often it was taken up before.
        return len(DBOS._recover_pending_workflows(list(executors)))

    def stop(self, *, grace_seconds: int = 8) -> bool:
        """Ends the work once attempts have come to a boundary; False when some have not, and their threads go on.

        What has not ended goes on after the next start, at the step where it was.
        """
        from dbos import DBOS

        self._stopping.set()
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=grace_seconds)
        return self._running == 0

    def _work(self, run: str, attempt: int, partition: str) -> str:
        """One attempt, as a workflow: what it does beside its steps is the same each time it is gone through."""
        with self._counting:
            self._running += 1
        try:
            return self._attempt(run, attempt, partition)
        finally:
            with self._counting:
                self._running -= 1

    def _attempt(self, run: str, attempt: int, partition: str) -> str:
        from dbos import DBOS

        for name in ORDER:
            outcome = DBOS.run_step({"name": name}, self._step, name, run, attempt)
            if "reference" in outcome:
                continue
            if outcome["again_seconds"] is None:
                return "failed"
            self._queue.enqueue(job(run, attempt + 1, partition), delay_seconds=outcome["again_seconds"])
            return "waiting"
        if self._after is not None:
            DBOS.run_step({"name": "after", "retries_allowed": True, "max_attempts": 5}, self._followed, run)
        return "succeeded"

    def _step(self, name: str, run: str, attempt: int) -> dict[str, Any]:
        """The reference, or that it failed: an error is dealt with inside the step, so that its class is known."""
        if self._stopping.is_set():
            raise Interrupted
        try:
            return {"reference": getattr(self._steps, name)(run, attempt)}
        except Exception as error:  # the one place where a run's errors end
            if self._stopping.is_set():
                raise Interrupted from error
            return {"again_seconds": self._steps.failed(run, attempt, error)}

    def _followed(self, run: str) -> None:
        if self._stopping.is_set():
            raise Interrupted
        if self._after is not None:
            self._after(run)


def _open(url: str) -> DBOSClient:
    """A connection to the queue at this address, which is made or brought up to date."""
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        try:
            _make_file(path)
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(
                f"The queue {path} can't be opened: {error}", hint="Choose another folder with COUNTERFOIL_HOME."
            ) from error
    _log_as_ours()
    from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer
    from sqlalchemy.exc import SQLAlchemyError

    try:
        DBOS.migrate(url)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise SettingsError(
            f"The queue can't be opened: {reason}", hint="It is kept with the state: see COUNTERFOIL_STATE_URL."
        ) from error
    return DBOSClient(
        system_database_url=url,
        serializer=DBOSPortableJSONSerializer(),
        application_name=_NAME,
        system_database_pool_size=_CONNECTIONS,
        lazy=True,
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
        say(record.getMessage(), **({"exc_info": record.exc_info} if record.exc_info else {}))


def _log_as_ours() -> None:
    logger = logging.getLogger("dbos")
    if not any(isinstance(handler, _Lines) for handler in logger.handlers):
        logger.handlers = [_Lines()]  # DBOS adds one that writes to the terminal only where it finds none
        logger.propagate = False
        logger.setLevel(logging.WARNING)
