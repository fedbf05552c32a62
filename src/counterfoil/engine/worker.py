"""The worker that works the queue off, on DBOS."""

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

#: Attempts at a time in one process.
WORKER_CONCURRENCY = 8
#: How often a worker looks for attempts, in seconds.
POLL_SECONDS = 0.5
#: How long an attempt waits for a state that is unavailable.
PATIENCE_SECONDS = 60.0
#: How often an attempt is taken up again after its process died, before it counts as one that kills its process.
MOST_RECOVERIES = 50

#: To Postgres, of a worker.
_WORKER_CONNECTIONS = 8

T = TypeVar("T")

_log = get_logger("engine")


class Interrupted(BaseException):
    """The service goes down. No `Exception`, since DBOS records those as the end of a step and of the workflow."""


class Worker:
    """Works attempts off in threads of this process, at most one worker in a process.

    `after` is called with a run that succeeded, as the last durable step of its attempt: what it does must bear being
    done again. Once `stopping` is set no further step begins, and an attempt whose step raises is left as it is.

    A step that finds the state unavailable is done again once it is back, within `patience_seconds`. `lost` is called
    when an attempt ended and could not be recorded; `settle` then ends it in the queue.
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
        #: Workflows that ended here, and whether the queue may not know that.
        self._over: dict[str, bool] = {}
        self._counting = threading.Lock()
        self._connections: Any = None
        #: Errors of attempts that could not be recorded in the state, by run.
        self.unrecorded: dict[str, Exception] = {}

    def start(self) -> None:
        """From here on attempts of the queue run."""
        from dbos import DBOS, DBOSPortableJSONSerializer

        def work(run: str, attempt: int, partition: str) -> str:  # DBOS marks it, which a method does not bear
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
        """Writes the queue's limits; raises when the queue can't be written, and no attempt can be taken from it."""
        self._queue.register(worker_concurrency=self._concurrency, poll_seconds=self._poll_seconds)

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
        if self._connections is not None:
            self._connections.dispose()
        return self._running == 0

    def _work(self, run: str, attempt: int, partition: str) -> str:
        """One attempt, as a workflow: what it does beside its steps is the same each time it is gone through."""
        from dbos import DBOS

        workflow, failed = str(DBOS.workflow_id), False
        with self._counting:
            self._running += 1
        try:
            return self._attempt(run, attempt, partition)
        except Exception as error:
            failed = not self._stopping.is_set()  # else it goes on after the next start
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
        """Keeps with the run why its attempt could not go on, or here if the state can't be written either."""
        told = self._queue.error(error)
        try:
            self._steps.failed(run, attempt, told)
        except Exception as unwritten:  # noqa: BLE001 - whatever it is, the run is not told
            _log.error("an attempt ended and its run could not be told", run=run, error=str(told))
            self.unrecorded[run] = unwritten if isinstance(unwritten, CounterfoilError) else told

    def settle(self) -> int:
        """Ends in the queue the attempts that ended here without a record there; how many.

        A full disk leaves such attempts: each would take one of its account's places until the process ends.
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
            # Recording the end takes a moment: only what still runs at the next look is stuck.
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
        """The reference, or that it failed: an error is dealt with inside the step, so that its class is known."""
        if self._stopping.is_set():
            raise Interrupted
        try:
            return {"reference": self._patiently(partial(getattr(self._steps, name), run, attempt))}
        except Exception as error:  # the one place where a run's errors end
            if self._stopping.is_set():
                raise Interrupted from error
            return {"again_seconds": self._patiently(partial(self._steps.failed, run, attempt, error))}

    def _patiently(self, call: Callable[[], T]) -> T:
        """The call's result, however often it has to be made again until the state is there."""
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
