"""The worker that executes the attempts of the queue with DBOS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from counterfoil.engine.queue import APPLICATION_VERSION, NAME, WORKFLOW, Queue
from counterfoil.engine.state_wait import patiently
from counterfoil.engine.steps import ORDER, Steps, job
from counterfoil.errors import CounterfoilError, StateUnavailable
from counterfoil.logging import get_logger

#: Concurrent attempts in one process.
WORKER_CONCURRENCY = 8
#: The interval at which a worker looks for attempts.
POLL_SECONDS = 0.5
#: How long an attempt waits for an unavailable state.
PATIENCE_SECONDS = 60.0
#: How often an attempt is resumed after its process died; after that, the attempt counts as the cause.
MOST_RECOVERIES = 50

#: Connections of a worker to Postgres.
_WORKER_CONNECTIONS = 8

T = TypeVar("T")

_log = get_logger("engine")


class Interrupted(BaseException):
    """The service is shutting down. No `Exception`, since DBOS records those as the end of the step and workflow."""


class Worker:
    """Executes attempts in threads of this process; at most one worker per process.

    `after` is called with a run that succeeded, as the last durable step of its attempt, and must be idempotent. Once
    `stopping` is set, no further step begins, and an attempt whose step raises is left unchanged.

    A step that finds the state unavailable is repeated for up to `patience_seconds`. `lost` is called if the end of an
    attempt could not be recorded; `settle` then ends it in the queue.
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
        patience_seconds: float = PATIENCE_SECONDS,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._queue = queue
        self._steps = steps
        self._executor = executor
        self._stopping = stopping
        self._after = after
        self._concurrency = concurrency
        self._poll_seconds = poll_seconds
        self._patience_seconds = patience_seconds
        self._lost = lost
        self._running = 0
        #: Workflows that ended here, and whether the queue may lack the record of that.
        self._over: dict[str, bool] = {}
        self._counting = threading.Lock()
        self._connections: Any = None
        #: Errors of attempts that could not be recorded in the state, by run.
        self.unrecorded: dict[str, Exception] = {}

    def start(self) -> None:
        """Starts to execute attempts of the queue."""
        from dbos import DBOS, DBOSPortableJSONSerializer

        def work(run: str, attempt: int, partition: str) -> str:  # DBOS sets attributes, which methods can't have
            return self._work(run, attempt, partition)

        self._connections = self._queue.connections(_WORKER_CONNECTIONS)
        self.check_queue()
        DBOS(
            config={
                "name": NAME,
                "system_database_url": self._queue.url,
                "system_database_engine": self._connections,
                "serializer": DBOSPortableJSONSerializer(),
                "application_version": APPLICATION_VERSION,
                "executor_id": self._executor,
                "sys_db_pool_size": _WORKER_CONNECTIONS,
                "log_level": "WARNING",
                "enable_otlp": False,
            }
        )
        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=MOST_RECOVERIES)(work)
        DBOS.launch()

    def check_queue(self) -> None:
        """Stores the queue's limits; raises if the queue can't be written, in which case no attempt can start."""
        self._queue.register(worker_concurrency=self._concurrency, poll_seconds=self._poll_seconds)

    def recover(self, executors: Iterable[str]) -> int:
        """Requeues the running attempts of dead processes, each at its current step; returns their number."""
        from dbos import DBOS

        # The public resume function checks neither the owner of the attempt nor the number of its recoveries.
        return len(DBOS._recover_pending_workflows(list(executors)))

    def stop(self, *, grace_seconds: int = 8) -> bool:
        """Ends the work once attempts have reached a boundary; False if some have not and their threads still run.

        Unfinished attempts resume at their step after the next start.
        """
        from dbos import DBOS

        self._stopping.set()
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=grace_seconds)
        if self._connections is not None:
            self._connections.dispose()
        return self._running == 0

    def _work(self, run: str, attempt: int, partition: str) -> str:
        """One attempt as a workflow; apart from its steps, it does the same each time that it is repeated."""
        from dbos import DBOS

        workflow, failed = str(DBOS.workflow_id), False
        with self._counting:
            self._running += 1
        try:
            return self._attempt(run, attempt, partition)
        except Exception as error:
            failed = not self._stopping.is_set()  # otherwise it resumes after the next start
            if failed:
                self._record(run, attempt, error)
            raise
        finally:
            with self._counting:
                self._running -= 1
                self._over[workflow] = failed
            if failed:
                self._lost()

    def _record(self, run: str, attempt: int, error: Exception) -> None:
        """Stores the error of the attempt in its run, or in `unrecorded` if the state can't be written either."""
        cause = self._queue.error(error)
        try:
            self._steps.failed(run, attempt, cause)
        except Exception as unwritten:  # noqa: BLE001 - after any error, the run lacks the record
            _log.error("the error of an attempt could not be recorded in its run", run=run, error=str(cause))
            self.unrecorded[run] = unwritten if isinstance(unwritten, CounterfoilError) else cause

    def settle(self) -> int:
        """Ends attempts in the queue that ended here without a record there; returns their number.

        A full disk leaves such attempts. Each would count as a running attempt of its account until the process ends.
        """
        with self._counting:
            over = dict(self._over)
        statuses = self._queue.statuses(over) if over else {}
        left = {workflow: known for workflow, known in over.items() if statuses.get(workflow) == "running"}
        for workflow, known in left.items():
            if known:
                self._queue.end(workflow)
        with self._counting:
            for workflow in over:
                del self._over[workflow]
            # Recording the end takes a moment: only attempts that still run at the next check are stuck.
            self._over.update((workflow, True) for workflow, known in left.items() if not known)
        return sum(over.values())

    def _attempt(self, run: str, attempt: int, partition: str) -> str:
        from dbos import DBOS

        for name in ORDER:
            outcome = DBOS.run_step({"name": name}, self._step, name, run, attempt)
            if "reference" in outcome:
                continue
            if outcome["again_seconds"] is None:
                return "failed"
            again = partial(
                self._queue.enqueue, job(run, attempt + 1, partition), delay_seconds=outcome["again_seconds"]
            )
            self._patiently(again)
            return "waiting"
        if self._after is not None:
            DBOS.run_step({"name": "after", "retries_allowed": True, "max_attempts": 5}, self._followed, run)
        return "succeeded"

    def _step(self, name: str, run: str, attempt: int) -> dict[str, Any]:
        """The reference, or the delay of the retry: errors are handled inside the step, where their class is known."""
        if self._stopping.is_set():
            raise Interrupted
        try:
            return {"reference": self._patiently(partial(getattr(self._steps, name), run, attempt))}
        except Exception as error:  # the only place that handles a run's errors
            if self._stopping.is_set():
                raise Interrupted from error
            return {"again_seconds": self._patiently(partial(self._steps.failed, run, attempt, error))}

    def _patiently(self, call: Callable[[], T]) -> T:
        """The call's result; repeats the call while the state is unavailable."""
        try:
            return patiently(call, self._patience_seconds, self._stopping.wait)
        except StateUnavailable as error:
            if self._stopping.is_set():
                raise Interrupted from error
            raise

    def _followed(self, run: str) -> None:
        if self._stopping.is_set():
            raise Interrupted
        if self._after is not None:
            self._after(run)
