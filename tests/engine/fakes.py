"""In-memory fakes of the state and the queue as the engine uses them, and steps that report their calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from queue import Queue as Inbox

from counterfoil.engine.dispatch import Trigger
from counterfoil.engine.queue import Status
from counterfoil.engine.steps import Job

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


class FakeClock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(frozen=True, kw_only=True)
class FakeDataset:
    id: str
    account: str = "acc_1"
    every: timedelta | None = None
    after: str | None = None


@dataclass(frozen=True, kw_only=True)
class FakeRun:
    id: str
    dataset: str
    trigger: str
    status: str = "queued"
    due_at: datetime | None = None
    attempt: int = 0


@dataclass
class FakeState:
    """Datasets and runs; a transaction that raises is rolled back."""

    datasets_by_id: dict[str, FakeDataset] = field(default_factory=dict)
    due: dict[str, datetime] = field(default_factory=dict)
    runs_by_id: dict[str, FakeRun] = field(default_factory=dict)
    #: An error that the next `create` raises, once.
    broken: Exception | None = None

    def add(self, dataset: FakeDataset, due_at: datetime | None = None) -> FakeDataset:
        self.datasets_by_id[dataset.id] = dataset
        if due_at is not None:
            self.due[dataset.id] = due_at
        return dataset

    def change(self, run: str, **changes: object) -> FakeRun:
        self.runs_by_id[run] = replace(self.runs_by_id[run], **changes)  # type: ignore[arg-type]
        return self.runs_by_id[run]

    @contextmanager
    def begin(self) -> Iterator[None]:
        before = dict(self.due), dict(self.runs_by_id)
        try:
            yield
        except BaseException:
            self.due, self.runs_by_id = before
            raise


class FakeDatasets:
    def __init__(self, state: FakeState) -> None:
        self._state = state

    def claim_due(self, now: datetime, limit: int) -> Sequence[tuple[FakeDataset, datetime]]:
        due = [(self.get(name), at) for name, at in sorted(self._state.due.items()) if at <= now][:limit]
        for dataset, _ in due:
            if dataset.every is None:
                del self._state.due[dataset.id]
            else:
                self._state.due[dataset.id] = now + dataset.every
        return due

    def next_due_at(self) -> datetime | None:
        return min(self._state.due.values(), default=None)

    def followers(self, dataset: str) -> Sequence[FakeDataset]:
        return [other for other in self._state.datasets_by_id.values() if other.after == dataset]

    def get(self, dataset: str) -> FakeDataset:
        return self._state.datasets_by_id[dataset]


class FakeRuns:
    def __init__(self, state: FakeState) -> None:
        self._state = state

    def create(self, dataset: str, trigger: Trigger, due_at: datetime | None) -> FakeRun:
        if self._state.broken is not None:
            error, self._state.broken = self._state.broken, None
            raise error
        busy = any(run.dataset == dataset for run in self.unfinished())
        run = FakeRun(
            id=f"R{len(self._state.runs_by_id) + 1}",
            dataset=dataset,
            trigger=trigger,
            due_at=due_at,
            status="skipped" if busy else "queued",
        )
        self._state.runs_by_id[run.id] = run
        return run

    def get(self, run: str) -> FakeRun:
        return self._state.runs_by_id[run]

    def unfinished(self) -> list[FakeRun]:
        return [run for run in self._state.runs_by_id.values() if run.status in ("queued", "running", "waiting")]


class FakeQueue:
    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.status: dict[str, Status] = {}
        #: The delay of each job in seconds.
        self.delays: dict[str, float] = {}
        #: Called before each query of the queue, to simulate a concurrent change.
        self.in_between: Callable[[], object] = lambda: None

    def enqueue(self, job: Job, *, delay_seconds: float = 0) -> None:
        self.jobs.setdefault(job.workflow, job)
        self.status.setdefault(job.workflow, "delayed" if delay_seconds else "queued")
        self.delays.setdefault(job.workflow, delay_seconds)

    def cancel(self, workflow: str) -> bool:
        if self.status.get(workflow) not in ("queued", "delayed"):
            return False
        self.status[workflow] = "ended"
        return True

    def statuses(self, workflows: list[str]) -> dict[str, Status]:
        self.in_between()
        return {name: self.status[name] for name in workflows if name in self.status}


class FakeSteps:
    """Steps that put their calls into an inbox, and run the callbacks of a test."""

    def __init__(self) -> None:
        self.calls: Inbox[tuple[str, str, int]] = Inbox()
        self.callbacks: dict[str, Callable[[str, int], object]] = {}
        self.errors: list[Exception] = []
        #: The delays that `failed` returns, in seconds; None once they are used up.
        self.delays: list[float] = []

    def _do(self, name: str, run: str, attempt: int) -> str:
        self.calls.put((name, run, attempt))
        if name in self.callbacks:
            self.callbacks[name](run, attempt)
        return f"{name}/{run}/{attempt}"

    def plan(self, run: str, attempt: int) -> str:
        return self._do("plan", run, attempt)

    def extract(self, run: str, attempt: int) -> str:
        return self._do("extract", run, attempt)

    def load(self, run: str, attempt: int) -> str:
        return self._do("load", run, attempt)

    def prove(self, run: str, attempt: int) -> str:
        return self._do("prove", run, attempt)

    def finish(self, run: str, attempt: int) -> str:
        return self._do("finish", run, attempt)

    def failed(self, run: str, attempt: int, error: Exception) -> float | None:
        self.errors.append(error)
        self.calls.put(("failed", run, attempt))
        return self.delays.pop(0) if self.delays else None

    def hear(self, count: int) -> list[tuple[str, str, int]]:
        """Waits for the next N calls and returns them."""
        return [self.calls.get(timeout=20) for _ in range(count)]
