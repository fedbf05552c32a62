"""The service that `counterfoil serve` runs: the due loop, the worker and the web server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from counterfoil.engine.dispatch import Datasets, Dispatch, Runs
from counterfoil.engine.health import MakeFront
from counterfoil.engine.nodes import Node
from counterfoil.engine.queue import Queue
from counterfoil.engine.scheduler import POLL_SECONDS, DueLoop
from counterfoil.engine.steps import Steps
from counterfoil.engine.worker import PATIENCE_SECONDS, WORKER_CONCURRENCY, Worker
from counterfoil.logging import get_logger

#: How long attempts have to finish a page or a part when the service shuts down.
GRACE_SECONDS = 8
#: The interval at which runs are compared with the queue, after a first time at the start.
MEND_SECONDS = 300.0

_log = get_logger("engine")


def utc_now() -> datetime:
    return datetime.now(UTC)


class Service:
    """One node: claims due datasets and executes queued attempts.

    `stopping` is set when the service shuts down; the steps check it between pages and parts. `node` is this process
    among those that share the state. `upkeep` is called in each turn of the due loop. The other values are those of
    `Dispatch`.
    """

    def __init__(
        self,
        *,
        node: Node,
        queue: Queue,
        steps: Steps,
        datasets: Datasets,
        runs: Runs,
        partition: Callable[[str], str],
        transaction: Callable[[], AbstractContextManager[object]],
        stopping: threading.Event,
        clock: Callable[[], datetime] = utc_now,
        upkeep: Callable[[], None] = lambda: None,
        concurrency: int = WORKER_CONCURRENCY,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.node = node
        self.queue = queue
        self.dispatch = Dispatch(
            datasets, runs, queue, partition=partition, transaction=transaction, failed=steps.failed
        )
        self.due = DueLoop(self.dispatch, next_due_at=datasets.next_due_at, clock=clock, upkeep=self._upkeep)
        self._worker = Worker(
            queue,
            steps,
            executor=self.node.id,
            stopping=stopping,
            after=self.dispatch.follow,
            concurrency=concurrency,
            patience_seconds=patience_seconds,
            lost=self.due.wake,
        )
        self._clock = clock
        self._more_upkeep = upkeep
        self._stopping = stopping
        self._mend_at = clock()
        self._loop = threading.Thread(target=self.due.run, name="due", daemon=True)

    def run(
        self,
        *,
        make_front: MakeFront | None = None,
        ready: Callable[[str], None] = lambda _link: None,
        started: Callable[[], None] = lambda: None,
    ) -> bool:
        """Serves until `stopping` or Ctrl-C; False if an attempt did not end within 8 seconds.

        Then its thread is still running, and the process must end with `os._exit`. The front is created first; `ready`
        is called with its link once it responds; `started` is called when the work has begun.
        """
        front = None if make_front is None else make_front(self.health)
        try:
            self.start()
            started()
            if front is not None:
                front.start()
                ready(front.link())
            self._stopping.wait()
        except KeyboardInterrupt:
            pass
        finally:
            _log.info("service stops")
            ended = self.stop()
            if front is not None:
                front.stop()
        return ended

    def start(self) -> None:
        """Starts the worker and the due loop, which also resumes the attempts of dead processes."""
        self.node.join()
        self._worker.start()
        self._loop.start()
        _log.info("service started", node=self.node.id)

    def stop(self) -> bool:
        """Stops the loop and the worker; returns whether every attempt ended or reached a boundary in time."""
        self._stopping.set()
        self.due.stop()
        if self._loop.is_alive():
            self._loop.join(GRACE_SECONDS)
        ended = self._worker.stop(grace_seconds=GRACE_SECONDS)
        if ended:  # otherwise this process is alive until its threads end
            self.node.leave()
        return ended

    def health(self) -> dict[str, Any]:
        """The health of the service. `ok` is false if the due loop has had no successful turn for a minute."""
        turn = self.due.last_turn_at
        return {
            "ok": turn is not None and self._clock() - turn < timedelta(seconds=4 * POLL_SECONDS),
            "node": self.node.id,
            "nodes": 1 + self.node.others(),
            "queue": self.queue.counts(),
            "last_due_at": None if turn is None else turn.isoformat(timespec="seconds"),
        }

    def _upkeep(self) -> None:
        with self.node.dead(self.queue.executors(), unknown=self.queue.is_local) as dead:
            if dead and (recovered := self._worker.recover(dead)):
                _log.warning("attempts of a process that ended were requeued", attempts=recovered)
        # After errors of the state or the queue, runs may be without an attempt.
        if self._worker.settle() or self.due.failed or self._clock() >= self._mend_at:
            self.dispatch.mend()
            self._mend_at = self._clock() + timedelta(seconds=MEND_SECONDS)
        self._more_upkeep()
