"""The due loop and the runs that it enqueues, with a fake clock, state and queue."""

from __future__ import annotations

import threading
from datetime import timedelta, timezone

import pytest

from counterfoil.engine.dispatch import Dispatch
from counterfoil.engine.scheduler import BATCH, DueLoop
from counterfoil.engine.steps import first_job, job
from counterfoil.errors import TransientError
from tests.engine.fakes import NOON, FakeClock, FakeDataset, FakeDatasets, FakeQueue, FakeRuns, FakeState

HOURLY = timedelta(hours=1)


class World:
    """A due loop with a state and a queue in memory."""

    def __init__(self) -> None:
        self.state = FakeState()
        self.queue = FakeQueue()
        self.clock = FakeClock()
        self.runs = FakeRuns(self.state)
        self.failed: list[tuple[str, int, Exception]] = []
        #: The delay of the next attempt in seconds, None without one.
        self.delay: float | None = None
        datasets = FakeDatasets(self.state)
        self.dispatch = Dispatch(
            datasets,
            self.runs,
            self.queue,
            partition=lambda account: f"acct_of_{account}",
            transaction=self.state.begin,
            failed=self.fail,
        )
        self.loop = DueLoop(self.dispatch, next_due_at=datasets.next_due_at, clock=self.clock)

    def fail(self, run: str, attempt: int, error: Exception) -> float | None:
        self.failed.append((run, attempt, error))
        return self.delay


@pytest.fixture
def world() -> World:
    return World()


def test_due_dataset_gets_one_job_in_the_partition_of_its_stripe_account(world: World) -> None:
    world.state.add(FakeDataset(id="ds_1", account="acc_7"), NOON)

    world.loop.turn()
    world.loop.turn()

    (only,) = world.queue.jobs.values()
    assert (only.workflow, only.partition, only.attempt) == ("run-ds_1-2027-03-01T12:00:00Z", "acct_of_acc_7", 1)
    assert world.runs.get(only.run).due_at == NOON


def test_due_time_has_the_same_workflow_id_in_all_time_zones() -> None:
    berlin = NOON.astimezone(timezone(timedelta(hours=1)))

    assert first_job("R1", "a", dataset="ds_1", due_at=NOON) == first_job("R1", "a", dataset="ds_1", due_at=berlin)
    assert first_job("R1", "a", dataset="ds_1").workflow == "R1-1"
    assert job("R1", 2, "a").workflow == "R1-2"


def test_loop_sleeps_until_the_next_due_time_and_at_most_fifteen_seconds(world: World) -> None:
    assert world.loop.turn() == 15
    world.state.add(FakeDataset(id="ds_1", every=HOURLY), NOON + timedelta(seconds=4))
    assert world.loop.turn() == 4
    world.clock.pass_(seconds=4)
    assert world.loop.turn() == 15
    assert [run.due_at for run in world.state.runs_by_id.values()] == [NOON + timedelta(seconds=4)]


def test_thousand_due_datasets_are_claimed_in_one_turn(world: World) -> None:
    for number in range(1000):
        world.state.add(FakeDataset(id=f"ds_{number}", every=HOURLY), NOON)

    world.loop.turn()

    assert len(world.queue.jobs) == 1000 > BATCH
    assert {job.run for job in world.queue.jobs.values()} == set(world.state.runs_by_id)


def test_skipped_run_is_not_enqueued(world: World) -> None:
    world.state.add(FakeDataset(id="ds_1", every=HOURLY), NOON)
    world.loop.turn()
    world.clock.pass_(hours=1)

    world.loop.turn()

    assert [run.status for run in world.state.runs_by_id.values()] == ["queued", "skipped"]
    assert len(world.queue.jobs) == 1


def test_due_time_is_retained_after_an_error_during_the_creation_of_its_run(world: World) -> None:
    world.state.add(FakeDataset(id="ds_1", every=HOURLY), NOON)
    world.state.broken = OSError("disk full")

    assert world.loop.turn() == 15
    assert world.loop.last_turn_at is None
    world.loop.turn()

    assert [run.due_at for run in world.state.runs_by_id.values()] == [NOON]
    assert world.loop.last_turn_at == NOON


def test_upkeep_runs_in_each_turn() -> None:
    world, done = World(), []
    loop = DueLoop(world.dispatch, next_due_at=lambda: None, clock=world.clock, upkeep=lambda: done.append(1))

    loop.turn()
    loop.turn()

    assert done == [1, 1]


def test_sleeping_loop_can_be_woken_and_stopped(world: World) -> None:
    turned = threading.Event()
    loop = DueLoop(world.dispatch, next_due_at=lambda: None, clock=world.clock, upkeep=turned.set)
    thread = threading.Thread(target=loop.run)
    thread.start()
    assert turned.wait(10)
    world.state.add(FakeDataset(id="ds_1"), NOON)
    turned.clear()

    loop.wake()
    assert turned.wait(10)
    loop.stop()
    thread.join(10)

    assert not thread.is_alive()
    assert len(world.queue.jobs) == 1


def test_manual_run_is_queued_at_once(world: World) -> None:
    world.state.add(FakeDataset(id="ds_1"))

    run = world.dispatch.start("ds_1")

    assert [job.workflow for job in world.queue.jobs.values()] == [f"{run.id}-1"]


def test_only_waiting_attempts_are_withdrawn(world: World) -> None:
    world.state.add(FakeDataset(id="ds_1"), NOON)
    world.loop.turn()
    (job_of_run,) = world.queue.jobs.values()
    run = world.state.change(job_of_run.run, status="running", attempt=1)
    world.queue.status[job_of_run.workflow] = "running"
    assert not world.dispatch.withdraw(run)

    world.queue.enqueue(job(run.id, 2, "acct"), delay_seconds=900)
    assert world.dispatch.withdraw(world.state.change(run.id, status="waiting"))

    assert world.queue.status == {job_of_run.workflow: "running", f"{run.id}-2": "ended"}


def test_followers_run_after_a_success(world: World) -> None:
    world.state.add(FakeDataset(id="ds_1"))
    world.state.add(FakeDataset(id="ds_2", account="acc_2", after="ds_1"))
    world.state.add(FakeDataset(id="ds_3", after="ds_2"))
    run = world.dispatch.start("ds_1")
    world.state.change(run.id, status="succeeded")

    world.dispatch.follow(run.id)
    world.dispatch.follow(run.id)

    triggers = [(run.dataset, run.trigger, run.status) for run in world.state.runs_by_id.values()]
    assert triggers[1:] == [("ds_2", "after", "queued"), ("ds_2", "after", "skipped")]
    assert [job.partition for job in world.queue.jobs.values()] == ["acct_of_acc_1", "acct_of_acc_2"]


class TestMend:
    def queued(self, world: World) -> str:
        world.state.add(FakeDataset(id="ds_1"), NOON)
        world.loop.turn()
        (run,) = world.state.runs_by_id
        return run

    def test_run_missing_from_the_queue_after_a_crash_is_enqueued(self, world: World) -> None:
        self.queued(world)
        jobs = dict(world.queue.jobs)
        world.queue.jobs.clear()
        world.queue.status.clear()

        assert world.dispatch.mend() == 1

        assert world.queue.jobs == jobs
        assert world.dispatch.mend() == 0

    def test_run_in_the_queue_is_unchanged(self, world: World) -> None:
        run = self.queued(world)
        (workflow,) = world.queue.jobs
        for status, attempt, in_queue in (
            ("queued", 0, "queued"),
            ("running", 1, "running"),
            ("waiting", 1, "running"),
        ):
            world.state.change(run, status=status, attempt=attempt)
            world.queue.status[workflow] = in_queue  # type: ignore[assignment]
            assert world.dispatch.mend() == 0

    def test_waiting_run_gets_its_next_attempt(self, world: World) -> None:
        run = self.queued(world)
        (first,) = world.queue.jobs
        world.queue.status[first] = "ended"
        world.state.change(run, status="waiting", attempt=1)

        assert world.dispatch.mend() == 1

        assert list(world.queue.jobs)[1:] == [f"{run}-2"]
        assert world.failed == []
        assert world.dispatch.mend() == 0

    @pytest.mark.parametrize("delay", [None, 900.0])
    def test_run_whose_attempt_ended_without_a_record_fails_or_is_retried(
        self, world: World, delay: float | None
    ) -> None:
        run = self.queued(world)
        world.delay = delay
        world.queue.status[f"{run}-2"] = "ended"
        world.state.change(run, status="running", attempt=2)

        assert world.dispatch.mend() == 1

        ((failed, attempt, error),) = world.failed
        assert (failed, attempt) == (run, 2)
        assert isinstance(error, TransientError)
        assert world.queue.delays.get(f"{run}-3") == delay

    def test_run_that_ends_during_the_check_is_not_lost(self, world: World) -> None:
        run = self.queued(world)
        (workflow,) = world.queue.jobs
        world.state.change(run, status="running", attempt=1)
        world.queue.status[workflow] = "ended"
        world.queue.in_between = lambda: world.state.change(run, status="succeeded")

        assert world.dispatch.mend() == 0
        assert world.failed == []
