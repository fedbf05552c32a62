"""This process as a node: connects the engine with the state and the steps of runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Self

from counterfoil.app.cluster import check_beside_others
from counterfoil.app.notifier import Sender
from counterfoil.engine.dispatch import Dispatch
from counterfoil.engine.health import MakeFront
from counterfoil.engine.nodes import Node, Role, SharedNode
from counterfoil.engine.queue import Queue, engine_url
from counterfoil.engine.service import Service
from counterfoil.engine.worker import Worker
from counterfoil.errors import SettingsError
from counterfoil.runs import notifications
from counterfoil.runs.attempt import Attempt
from counterfoil.runs.retention import remove_expired
from counterfoil.runs.run_context import RunContext
from counterfoil.state import State
from counterfoil.state.datasets import Dataset, Datasets
from counterfoil.state.nodes import BEAT_SECONDS, Nodes
from counterfoil.stripe.limiter import share_rates

#: Interval between checks for late datasets.
_LOOK_EVERY = timedelta(minutes=1)
#: Interval between deletions of expired archives.
_CLEAN_EVERY = timedelta(hours=1)
#: Retention of ended attempts in the queue.
_REMEMBERED = timedelta(days=30)


def node_of(state: State, role: Role) -> Node:
    """The node of this process."""
    folder = state.settings.home / "nodes"
    if state.url.drivername == "sqlite":
        return Node(folder, role=role)
    return SharedNode(folder, Nodes(state), role=role, beat_seconds=BEAT_SECONDS)


def open_queue(state: State) -> Queue:
    """The queue of the state."""
    return Queue(engine_url(state.settings.home, state.settings.secret("state_url")))


def dispatch_of(state: State, records: RunContext, queue: Queue, attempt: Attempt) -> Dispatch:
    """The dispatcher, which adds runs to the queue."""
    return Dispatch(
        _Running(records.datasets),
        records.runs,
        queue,
        partition=_partition(records),
        transaction=state.begin,
        failed=attempt.failed,
    )


def serve(
    state: State,
    records: RunContext,
    *,
    make_front: MakeFront | None = None,
    ready: Callable[[str], None] = lambda _link: None,
    started: Callable[[str], None] = lambda _node: None,
    stopping: threading.Event | None = None,
) -> bool:
    """Runs the service until `stopping` is set; see `Service.run`. `started` receives the id of the node.

    SettingsError if the node cannot work together with nodes on other machines.
    """
    check_beside_others(state, records)
    stopping = stopping or threading.Event()
    queue = open_queue(state)
    node = node_of(state, "serve")
    upkeep = _Upkeep(state, records, queue, node)
    service = Service(
        node=node,
        queue=queue,
        steps=Attempt(records, stopping=stopping),
        datasets=_Running(records.datasets),
        runs=records.runs,
        partition=_partition(records),
        transaction=state.begin,
        stopping=stopping,
        clock=state.now,
        upkeep=upkeep.turn,
        patience_seconds=state.settings.state_wait_seconds,
    )
    try:
        return service.run(make_front=make_front, ready=ready, started=partial(started, node.id))
    finally:
        queue.close()


class OneRun:
    """A worker for the duration of one run, if no service is running."""

    def __init__(self, state: State, records: RunContext, queue: Queue) -> None:
        stopping = threading.Event()
        attempt = Attempt(records, stopping=stopping)
        self._queue = queue
        self._node = node_of(state, "run")
        self.dispatch = dispatch_of(state, records, queue, attempt)
        self._worker = Worker(
            queue,
            attempt,
            executor=self._node.id,
            stopping=stopping,
            after=self.dispatch.follow,
            poll_seconds=0.1,
            patience_seconds=state.settings.state_wait_seconds,
        )
        self._upkeep = _Upkeep(state, records, queue, self._node)
        self.works = False
        #: False if an attempt did not end in time: the process must exit by `os._exit`.
        self.ended = True

    def served(self) -> bool:
        """Whether a service is running."""
        return self._node.others("serve") > 0

    def alone(self) -> bool:
        """Whether no other node is running."""
        return self._node.others() == 0

    def keep_up(self) -> None:
        """Starts the worker if no service is running, and requeues the work of dead nodes."""
        if not self.works and not self.served():
            self._node.join()
            self._worker.start()
            self.works = True
        if self.works:
            with self._node.dead(self._queue.executors(), unknown=self._queue.is_local) as dead:
                if dead:
                    self._worker.recover(dead)

    def check(self, run: str) -> None:
        """Raises the error of an attempt of this process if the run could not store it."""
        if run in self._worker.unrecorded:
            raise self._worker.unrecorded[run]

    def check_queue(self) -> None:
        """Raises an error if the worker of this process cannot use the queue, because the disk is full."""
        if self.works:
            self._worker.check_queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.works:
            if kind is None:
                self._upkeep.once()
            self.ended = self._worker.stop()
            if self.ended:
                self._node.leave()


class _Running:
    """The datasets for the engine: paused datasets do not run after others."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets
        self.claim_due = datasets.claim_due
        self.next_due_at = datasets.next_due_at
        self.get = datasets.get

    def followers(self, dataset: str, /) -> Sequence[Dataset]:
        return [one for one in self._datasets.followers(dataset) if one.pause is None]


class _Upkeep:
    """Background tasks: sends alerts and deletes expired archives."""

    def __init__(self, state: State, records: RunContext, queue: Queue, node: Node) -> None:
        self._state = state
        self._records = records
        self._queue = queue
        self._node = node
        self._sender = Sender(records.alerts)
        self._clean_at = self._look_at = datetime.min.replace(tzinfo=UTC)

    def turn(self) -> None:
        """Runs in each cycle of a service, and mostly does nothing."""
        now = self._state.now()
        if isinstance(self._node, SharedNode):
            share_rates(1 + self._node.others("serve"), self._queue.sharing())
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            self._tell_late(now)
        self._sender.now_and_then(now)
        self._clean(now)

    def once(self) -> None:
        """Deletes expired archives and sends pending alerts before the process ends."""
        self._clean(self._state.now())
        self._sender.send_due()

    def _clean(self, now: datetime) -> None:
        if now >= self._clean_at:
            self._clean_at = now + _CLEAN_EVERY
            remove_expired(self._records.runs, self._records.settings)
            self._queue.purge(now - _REMEMBERED)

    def _tell_late(self, now: datetime) -> None:
        if not self._records.alerts.list():
            return
        updated_at = self._records.runs.updated_at()
        for dataset in self._records.datasets.list():
            notifications.late(self._records.alerts, dataset, updated_at.get(dataset.id), now)


def _partition(records: RunContext) -> Callable[[str], str]:
    def partition(account: str) -> str:
        try:
            return records.accounts.get(account).stripe_id or account
        except SettingsError:
            return account  # the account was removed; its last run still needs a partition

    return partition
