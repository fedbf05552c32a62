"""The queue and the worker with DBOS, SQLite and steps that report their calls."""

from __future__ import annotations

import logging
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from counterfoil import logging as log
from counterfoil.engine.queue import PARTITION_CONCURRENCY, Queue, engine_url
from counterfoil.engine.steps import Job, job
from counterfoil.engine.worker import Worker
from counterfoil.errors import SettingsError, StateUnavailable, StripeUnavailable
from tests.engine.fakes import FakeSteps

STEPS = ["plan", "extract", "load", "prove", "finish"]
#: The calls of a successful attempt: its steps, and `after`.
ALL = len(STEPS) + 1
TOMORROW = timedelta(days=1)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    opened = Queue(engine_url(tmp_path))
    yield opened
    opened.close()


Start = Callable[..., Worker]


@pytest.fixture
def start(queue: Queue) -> Iterator[Start]:
    started: list[Worker] = []

    def begin(steps: FakeSteps, executor: str = "here", **options: object) -> Worker:
        worker = Worker(
            queue,
            steps,
            executor=executor,
            stopping=threading.Event(),
            poll_seconds=0.05,
            after=lambda run: steps.calls.put(("after", run, 0)),
            **options,  # type: ignore[arg-type]
        )
        started.append(worker)
        worker.start()
        return worker

    yield begin
    for worker in started:
        worker.stop(grace_seconds=0)


def test_attempt_executes_its_steps_in_order(queue: Queue, start: Start) -> None:
    steps = FakeSteps()
    queue.enqueue(job("R1", 1, "acct_1"))
    start(steps)

    assert steps.hear(ALL) == [*((name, "R1", 1) for name in STEPS), ("after", "R1", 0)]


def test_due_time_enqueued_twice_runs_once(queue: Queue, start: Start) -> None:
    steps = FakeSteps()
    start(steps)
    due = "run-ds_1-2027-03-01T12:00:00Z"
    queue.enqueue(Job(run="R1", attempt=1, partition="acct_1", workflow=due))
    queue.enqueue(Job(run="R2", attempt=1, partition="acct_1", workflow=due))
    assert [run for _, run, _ in steps.hear(ALL)] == ["R1"] * ALL

    queue.enqueue(Job(run="R3", attempt=1, partition="acct_1", workflow=due))
    queue.enqueue(job("R4", 1, "acct_1"))

    assert [run for _, run, _ in steps.hear(ALL)] == ["R4"] * ALL


def test_error_ends_the_attempt_and_enqueues_the_next_one(queue: Queue, start: Start) -> None:
    steps = FakeSteps()
    unavailable = StripeUnavailable("Stripe is unavailable")

    def load(run: str, attempt: int) -> None:
        if attempt == 1:
            raise unavailable

    steps.callbacks["load"], steps.delays = load, [0.01]
    queue.enqueue(job("R1", 1, "acct_1"))
    start(steps)

    assert steps.hear(4 + ALL)[3:] == [
        ("failed", "R1", 1),
        *((name, "R1", 2) for name in STEPS),
        ("after", "R1", 0),
    ]
    assert steps.errors == [unavailable]


def test_error_without_a_next_attempt_ends_the_run(queue: Queue, start: Start) -> None:
    steps = FakeSteps()

    def refuse(run: str, attempt: int) -> None:
        raise ValueError("not a table")

    steps.callbacks["plan"] = refuse
    queue.enqueue(job("R1", 1, "acct_1"))
    worker = start(steps)

    assert steps.hear(2) == [("plan", "R1", 1), ("failed", "R1", 1)]
    assert worker.stop()
    assert queue.statuses(["R1-1", "R1-2"]) == {"R1-1": "ended"}


def test_errors_of_steps_are_not_stored_in_the_queue(queue: Queue, start: Start, tmp_path: Path) -> None:
    steps = FakeSteps()

    def refuse(run: str, attempt: int) -> None:
        raise ValueError("a sentence with data")

    steps.callbacks["plan"] = refuse
    queue.enqueue(job("R1", 1, "acct_1"))
    start(steps)
    steps.hear(2)

    assert b"a sentence with data" not in b"".join(path.read_bytes() for path in tmp_path.glob("engine.db*"))


def test_delayed_attempts_do_not_block_others_of_their_account(queue: Queue, start: Start) -> None:
    steps = FakeSteps()
    for number in range(PARTITION_CONCURRENCY + 1):
        queue.enqueue(job(f"R{number}", 2, "acct_1"), delay_seconds=3600)
    queue.enqueue(job("now", 1, "acct_1"))
    start(steps)

    assert {run for _, run, _ in steps.hear(ALL)} == {"now"}
    assert queue.counts()["delayed"] == PARTITION_CONCURRENCY + 1


def test_account_has_four_concurrent_attempts_and_does_not_block_another_account(queue: Queue, start: Start) -> None:
    steps, go = FakeSteps(), threading.Event()

    def wait(run: str, attempt: int) -> None:
        if run.startswith("many"):
            go.wait(20)

    steps.callbacks["plan"] = wait
    for number in range(PARTITION_CONCURRENCY + 2):
        queue.enqueue(job(f"many{number}", 1, "acct_1"))
    start(steps)
    assert len({run for _, run, _ in steps.hear(PARTITION_CONCURRENCY)}) == PARTITION_CONCURRENCY

    queue.enqueue(job("other", 1, "acct_2"))

    assert {run for _, run, _ in steps.hear(ALL)} == {"other"}
    assert queue.counts()["queued"] == 2
    go.set()
    rest = steps.hear((ALL - 1) * PARTITION_CONCURRENCY + ALL * 2)
    assert {run for name, run, _ in rest if name == "finish"} == {f"many{n}" for n in range(PARTITION_CONCURRENCY + 2)}


def test_worker_limits_its_concurrent_attempts(queue: Queue, start: Start) -> None:
    steps, go = FakeSteps(), threading.Event()
    steps.callbacks["plan"] = lambda run, attempt: go.wait(20)
    for number in range(5):
        queue.enqueue(job(f"R{number}", 1, f"acct_{number}"))
    start(steps, concurrency=2)
    steps.hear(2)

    assert queue.counts() == {"queued": 3, "delayed": 0, "running": 2}
    go.set()
    steps.hear(5 * ALL - 2)


def test_only_queued_and_delayed_attempts_can_be_canceled(queue: Queue, start: Start) -> None:
    steps, go = FakeSteps(), threading.Event()
    steps.callbacks["plan"] = lambda run, attempt: go.wait(20)
    queue.enqueue(job("queued", 1, "acct_1"))
    queue.enqueue(job("delayed", 2, "acct_1"), delay_seconds=3600)

    assert queue.cancel("queued-1")
    assert queue.cancel("delayed-2")
    assert queue.statuses(["queued-1", "delayed-2"]) == {"queued-1": "ended", "delayed-2": "ended"}

    queue.enqueue(job("running", 1, "acct_1"))
    start(steps)
    assert steps.hear(1) == [("plan", "running", 1)]
    assert not queue.cancel("running-1")
    assert not queue.cancel("unknown-1")
    go.set()
    assert steps.hear(ALL - 1)[-1] == ("after", "running", 0)


def test_only_ended_attempts_are_purged(queue: Queue, start: Start, tmp_path: Path) -> None:
    steps = FakeSteps()
    queue.enqueue(job("R1", 1, "acct_1"))
    queue.enqueue(job("R2", 1, "acct_1"), delay_seconds=3600)
    worker = start(steps)
    steps.hear(ALL)
    worker.stop()

    assert queue.purge(datetime.now(UTC) - TOMORROW) == 0
    assert queue.purge(datetime.now(UTC) + TOMORROW) == 1

    assert queue.statuses(["R1-1", "R2-1"]) == {"R2-1": "delayed"}
    with closing(sqlite3.connect(tmp_path / "engine.db")) as connection:
        assert connection.execute("SELECT count(*) FROM operation_outputs").fetchone() == (0,)


def test_attempt_interrupted_by_a_stop_resumes_in_the_next_worker(queue: Queue, start: Start) -> None:
    steps, stopped = FakeSteps(), threading.Event()

    def extract(run: str, attempt: int) -> None:
        if not stopped.is_set():
            assert stopped.wait(20)
            raise RuntimeError("stopped after a page")

    steps.callbacks["extract"] = extract
    queue.enqueue(job("R1", 1, "acct_1"))
    first = start(steps, executor="first")
    steps.hear(2)
    threading.Timer(0.05, stopped.set).start()

    assert first.stop()

    assert steps.errors == []
    assert queue.executors() == {"first"}
    assert queue.sharing() == {"acct_1": 1}
    second = start(steps, executor="second")
    assert second.recover(["first"]) == 1
    assert second.recover(["first"]) == 0
    assert [name for name, _, _ in steps.hear(ALL - 1)] == ["extract", "load", "prove", "finish", "after"]


def test_stop_reports_an_attempt_that_still_runs(queue: Queue, start: Start) -> None:
    steps, go = FakeSteps(), threading.Event()
    steps.callbacks["plan"] = lambda run, attempt: go.wait(20)
    queue.enqueue(job("R1", 1, "acct_1"))
    worker = start(steps)
    steps.hear(1)

    assert not worker.stop(grace_seconds=0)
    go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("dbos-executor"):
            thread.join(10)


def test_queue_stores_json(queue: Queue, start: Start, tmp_path: Path) -> None:
    steps = FakeSteps()
    queue.enqueue(job("R1", 1, "acct_1"))
    start(steps)
    steps.hear(ALL)
    with closing(sqlite3.connect(tmp_path / "engine.db")) as connection:
        outputs = connection.execute("SELECT output FROM operation_outputs ORDER BY function_id").fetchall()
        assert outputs[0] == ('{"reference":"plan/R1/1"}',)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert stat.S_IMODE((tmp_path / "engine.db").stat().st_mode) == 0o600


def test_invalid_folder_for_the_queue_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match=r"engine\.db"):
        Queue(engine_url(tmp_path / "file"))


@pytest.mark.parametrize("keep", [0, 100])
def test_damaged_queue_is_recreated_after_its_files_are_deleted(tmp_path: Path, keep: int) -> None:
    Queue(engine_url(tmp_path)).close()
    file = tmp_path / "engine.db"
    file.write_bytes(file.read_bytes()[:keep] + b"milk, bread, butter; " * 10_000)

    with pytest.raises(SettingsError) as caught:
        Queue(engine_url(tmp_path))

    assert str(file) in (caught.value.hint or "")
    assert "COUNTERFOIL" not in (caught.value.hint or "")
    for file in tmp_path.glob("engine.db*"):
        file.unlink()
    queue = Queue(engine_url(tmp_path))
    queue.enqueue(job("R1", 1, "acct_1"))
    queue.close()


def test_attempt_waits_for_an_unavailable_state(queue: Queue, start: Start) -> None:
    steps, away = FakeSteps(), iter(range(1))

    def extract(run: str, attempt: int) -> None:
        for _ in away:
            raise StateUnavailable("the state is unavailable")

    steps.callbacks["extract"] = extract
    queue.enqueue(job("R1", 1, "acct_1"))
    start(steps)

    assert [name for name, _, _ in steps.hear(ALL + 1)] == ["plan", "extract", *STEPS[1:], "after"]
    assert steps.errors == []


def test_attempt_that_cannot_be_recorded_is_reported_and_ended_in_the_queue(queue: Queue, start: Start) -> None:
    steps, lost = FakeSteps(), threading.Event()
    unavailable = StateUnavailable("the state is unavailable")

    def fail(run: str, attempt: int) -> None:
        raise unavailable

    def unwritable(run: str, attempt: int, error: Exception) -> float | None:
        raise unavailable

    steps.callbacks["load"] = fail
    steps.failed = unwritable  # type: ignore[method-assign]
    queue.enqueue(job("R1", 1, "acct_1"))
    worker = start(steps, patience_seconds=0, lost=lost.set)

    assert lost.wait(20)
    assert worker.unrecorded == {"R1": unavailable}
    assert worker.settle() == 1
    assert queue.statuses(["R1-1"]) == {"R1-1": "ended"}
    assert worker.settle() == 0


def test_unavailable_postgres_raises_an_error_without_the_password() -> None:
    with pytest.raises(StateUnavailable) as caught:
        Queue("postgresql://user:hush@127.0.0.1:1/state")
    assert "hush" not in str(caught.value)


def test_queue_uses_postgres_if_the_state_does() -> None:
    assert engine_url(Path("/home/c")) == "sqlite:////home/c/engine.db"
    assert engine_url(Path("/home/c"), "sqlite:///x.db") == "sqlite:////home/c/engine.db"
    assert engine_url(Path("/home/c"), "postgresql://u@h/db") == "postgresql://u@h/db"


@pytest.mark.usefixtures("queue")
def test_log_lines_of_dbos_are_redacted_and_written_to_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", level=logging.INFO)
    try:
        logging.getLogger("dbos").warning("a key sk_test_%s is here", "abcdefgh1234")
        logging.getLogger("dbos").info("hello")
    finally:
        log.configure("text", level=logging.WARNING)

    (line,) = capsys.readouterr().err.splitlines()
    assert '"room": "engine"' in line
    assert "abcdefgh1234" not in line


def test_dbos_is_imported_only_when_a_queue_is_opened() -> None:
    code = "import sys, counterfoil.engine.service; sys.exit('dbos' in sys.modules or 'sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
