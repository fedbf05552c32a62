"""What `counterfoil serve` runs: the due loop, the worker and what stands before them, until it is stopped."""

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

#: How long attempts have to come to a page's or part's end when the service goes down.
GRACE_SECONDS = 8
#: How often runs are compared with the queue, beside once at the start.
MEND_SECONDS = 300.0

_log = get_logger("engine")


def utc_now() -> datetime:
    return datetime.now(UTC)


class Service:
    """One node: it claims what is due and works off what is queued.

    `stopping` is set when the service goes down, and the steps look at it between pages and parts. The other values
    are those of `Dispatch`; `node` is this process among those that work on the same state. `upkeep` is done
    in each turn of the due loop.
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
        """Serves until `stopping` or Ctrl-C; False when an attempt did not come to an end within 8 seconds.

        Then its thread still runs, and the process is to be left with `os._exit`. The front is made before anything
        begins, and `ready` is told its link once it answers; `started` is called when the work has begun.
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
        """Takes up what dead processes of this machine left, then claims and works."""
        self.node.join()
        self._worker.start()
        self._loop.start()
        _log.info("service started", node=self.node.id)

    def stop(self) -> bool:
        """Ends the loop and the work; whether every attempt came to an end or to a boundary in time."""
        self._stopping.set()
        self.due.stop()
        if self._loop.is_alive():
            self._loop.join(GRACE_SECONDS)
        ended = self._worker.stop(grace_seconds=GRACE_SECONDS)
        if ended:  # else this process is alive for as long as its threads are
            self.node.leave()
        return ended

    def health(self) -> dict[str, Any]:
        """How the service fares. `ok` is false when the due loop has not come round for a minute."""
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
                _log.warning("attempts of a process that ended are taken up", attempts=recovered)
        # After trouble with the state or the queue, runs may be without an attempt.
        if self._worker.settle() or self.due.failed or self._clock() >= self._mend_at:
            self.dispatch.mend()
            self._mend_at = self._clock() + timedelta(seconds=MEND_SECONDS)
        self._more_upkeep()
