"""The queue and the worker on DBOS and a SQLite file, with steps that tell what they do."""

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
#: What an attempt that goes well tells: its steps, and that others may follow.
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
            after=lambda run: steps.told.put(("after", run, 0)),
            **options,  # type: ignore[arg-type]
        )
        started.append(worker)
        worker.start()
        return worker

    yield begin
    for worker in started:
        worker.stop(grace_seconds=0)


def test_an_attempt_goes_through_its_steps_in_order(queue: Queue, start: Start) -> None:
    steps = FakeSteps()
    queue.enqueue(job("R1", 1, "acct_1"))
    start(steps)

    assert steps.hear(ALL) == [*((name, "R1", 1) for name in STEPS), ("after", "R1", 0)]


def test_the_same_due_time_enqueued_twice_runs_once(queue: Queue, start: Start) -> None:
    steps = FakeSteps()
    start(steps)
    due = "run-ds_1-2027-03-01T12:00:00Z"
    queue.enqueue(Job(run="R1", attempt=1, partition="acct_1", workflow=due))
    queue.enqueue(Job(run="R2", attempt=1, partition="acct_1", workflow=due))
    assert [run for _, run, _ in steps.hear(ALL)] == ["R1"] * ALL

    queue.enqueue(Job(run="R3", attempt=1, partition="acct_1", workflow=due))
    queue.enqueue(job("R4", 1, "acct_1"))

    assert [run for _, run, _ in steps.hear(ALL)] == ["R4"] * ALL


def test_an_error_ends_the_attempt_and_the_next_is_one_of_its_own(queue: Queue, start: Start) -> None:
    steps = FakeSteps()
    unavailable = StripeUnavailable("Stripe is away")

    def load(run: str, attempt: int) -> None:
        if attempt == 1:
            raise unavailable

    steps.does["load"], steps.again = load, [0.01]
    queue.enqueue(job("R1", 1, "acct_1"))
    start(steps)

    assert steps.hear(4 + ALL)[3:] == [
        ("failed", "R1", 1),
        *((name, "R1", 2) for name in STEPS),
        ("after", "R1", 0),
    ]
    assert steps.errors == [unavailable]


def test_an_error_without_a_next_attempt_is_the_end(queue: Queue, start: Start) -> None:
    steps = FakeSteps()

    def refuse(run: str, attempt: int) -> None:
        raise ValueError("not a table")

    steps.does["plan"] = refuse
    queue.enqueue(job("R1", 1, "acct_1"))
    worker = start(steps)

    assert steps.hear(2) == [("plan", "R1", 1), ("failed", "R1", 1)]
    assert worker.stop()
    assert queue.statuses(["R1-1", "R1-2"]) == {"R1-1": "ended"}


def test_no_error_of_a_step_is_kept_in_the_queue(queue: Queue, start: Start, tmp_path: Path) -> None:
    steps = FakeSteps()

    def refuse(run: str, attempt: int) -> None:
        raise ValueError("a sentence with data")

    steps.does["plan"] = refuse
    queue.enqueue(job("R1", 1, "acct_1"))
    start(steps)
    steps.hear(2)

    assert b"a sentence with data" not in b"".join(path.read_bytes() for path in tmp_path.glob("engine.db*"))


def test_a_waiting_attempt_holds_up_no_other_of_its_account(queue: Queue, start: Start) -> None:
    steps = FakeSteps()
    for number in range(PARTITION_CONCURRENCY + 1):
        queue.enqueue(job(f"R{number}", 2, "acct_1"), delay_seconds=3600)
    queue.enqueue(job("now", 1, "acct_1"))
    start(steps)

    assert {run for _, run, _ in steps.hear(ALL)} == {"now"}
    assert queue.counts()["delayed"] == PARTITION_CONCURRENCY + 1


def test_an_account_has_four_attempts_at_a_time_and_does_not_hold_up_another(queue: Queue, start: Start) -> None:
    steps, go = FakeSteps(), threading.Event()

    def wait(run: str, attempt: int) -> None:
        if run.startswith("many"):
            go.wait(20)

    steps.does["plan"] = wait
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


def test_a_worker_has_no_more_attempts_at_a_time_than_it_may(queue: Queue, start: Start) -> None:
    steps, go = FakeSteps(), threading.Event()
    steps.does["plan"] = lambda run, attempt: go.wait(20)
    for number in range(5):
        queue.enqueue(job(f"R{number}", 1, f"acct_{number}"))
    start(steps, concurrency=2)
    steps.hear(2)

    assert queue.counts() == {"queued": 3, "delayed": 0, "running": 2}
    go.set()
    steps.hear(5 * ALL - 2)


def test_queued_and_delayed_attempts_can_be_taken_out_and_others_can_not(queue: Queue, start: Start) -> None:
    steps, go = FakeSteps(), threading.Event()
    steps.does["plan"] = lambda run, attempt: go.wait(20)
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


def test_ended_attempts_are_forgotten_and_others_are_not(queue: Queue, start: Start, tmp_path: Path) -> None:
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


def test_an_attempt_that_a_stop_interrupts_goes_on_with_the_next_worker(queue: Queue, start: Start) -> None:
    steps, stopped = FakeSteps(), threading.Event()

    def extract(run: str, attempt: int) -> None:
        if not stopped.is_set():
            assert stopped.wait(20)
            raise RuntimeError("stopped after a page")

    steps.does["extract"] = extract
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


def test_an_attempt_that_does_not_stop_is_told(queue: Queue, start: Start) -> None:
    steps, go = FakeSteps(), threading.Event()
    steps.does["plan"] = lambda run, attempt: go.wait(20)
    queue.enqueue(job("R1", 1, "acct_1"))
    worker = start(steps)
    steps.hear(1)

    assert not worker.stop(grace_seconds=0)
    go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("dbos-executor"):
            thread.join(10)


def test_what_the_queue_keeps_is_json(queue: Queue, start: Start, tmp_path: Path) -> None:
    steps = FakeSteps()
    queue.enqueue(job("R1", 1, "acct_1"))
    start(steps)
    steps.hear(ALL)
    with closing(sqlite3.connect(tmp_path / "engine.db")) as connection:
        outputs = connection.execute("SELECT output FROM operation_outputs ORDER BY function_id").fetchall()
        assert outputs[0] == ('{"reference":"plan/R1/1"}',)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert stat.S_IMODE((tmp_path / "engine.db").stat().st_mode) == 0o600


def test_a_folder_that_can_not_hold_the_queue_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match=r"engine\.db"):
        Queue(engine_url(tmp_path / "file"))


@pytest.mark.parametrize("keep", [0, 100])
def test_a_damaged_queue_is_created_anew_once_its_files_are_deleted(tmp_path: Path, keep: int) -> None:
    Queue(engine_url(tmp_path)).close()
    file = tmp_path / "engine.db"
    file.write_bytes(file.read_bytes()[:keep] + b"milk, bread, butter; " * 10_000)

    with pytest.raises(SettingsError) as refused:
        Queue(engine_url(tmp_path))

    assert str(file) in (refused.value.hint or "")
    assert "COUNTERFOIL" not in (refused.value.hint or "")
    for one in tmp_path.glob("engine.db*"):
        one.unlink()
    queue = Queue(engine_url(tmp_path))
    queue.enqueue(job("R1", 1, "acct_1"))
    queue.close()


def test_an_attempt_waits_for_a_state_that_is_unavailable(queue: Queue, start: Start) -> None:
    steps, away = FakeSteps(), iter(range(1))

    def extract(run: str, attempt: int) -> None:
        for _ in away:
            raise StateUnavailable("The state is away")

    steps.does["extract"] = extract
    queue.enqueue(job("R1", 1, "acct_1"))
    start(steps)

    assert [name for name, _, _ in steps.hear(ALL + 1)] == ["plan", "extract", *STEPS[1:], "after"]
    assert steps.errors == []


def test_an_attempt_that_can_not_be_recorded_is_reported_and_ended_in_the_queue(queue: Queue, start: Start) -> None:
    steps, lost = FakeSteps(), threading.Event()
    unavailable = StateUnavailable("The state is away")

    def fail(run: str, attempt: int) -> None:
        raise unavailable

    def unwritable(run: str, attempt: int, error: Exception) -> float | None:
        raise unavailable

    steps.does["load"] = fail
    steps.failed = unwritable  # type: ignore[method-assign]
    queue.enqueue(job("R1", 1, "acct_1"))
    worker = start(steps, patience_seconds=0, lost=lost.set)

    assert lost.wait(20)
    assert worker.unrecorded == {"R1": unavailable}
    assert worker.settle() == 1
    assert queue.statuses(["R1-1"]) == {"R1-1": "ended"}
    assert worker.settle() == 0


def test_a_postgres_that_is_not_there_is_unavailable_and_its_password_not_shown() -> None:
    with pytest.raises(StateUnavailable) as refused:
        Queue("postgresql://user:hush@127.0.0.1:1/state")
    assert "hush" not in str(refused.value)


def test_the_queue_is_in_postgres_where_the_state_is() -> None:
    assert engine_url(Path("/home/c")) == "sqlite:////home/c/engine.db"
    assert engine_url(Path("/home/c"), "sqlite:///x.db") == "sqlite:////home/c/engine.db"
    assert engine_url(Path("/home/c"), "postgresql://u@h/db") == "postgresql://u@h/db"


@pytest.mark.usefixtures("queue")
def test_lines_of_the_library_are_written_as_ours(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", level=logging.INFO)
    try:
        logging.getLogger("dbos").warning("a key sk_test_%s is here", "abcdefgh1234")
        logging.getLogger("dbos").info("hello")
    finally:
        log.configure("text", level=logging.WARNING)

    (line,) = capsys.readouterr().err.splitlines()
    assert '"room": "engine"' in line
    assert "abcdefgh1234" not in line


def test_the_library_is_imported_only_where_a_queue_is_opened() -> None:
    code = "import sys, counterfoil.engine.service; sys.exit('dbos' in sys.modules or 'sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
