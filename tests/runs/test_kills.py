"""Processes killed while they plan, read, load and finish: each run completes, exactly once."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from counterfoil.app.node import dispatch_of, open_queue
from counterfoil.runs.loads.rollback import plan_rollback
from counterfoil.state.database import utc_now
from counterfoil.state.run import Run

from .conftest import Center, held, wait_until

ROOT = Path(__file__).resolve().parents[2]
PAGES = 6
#: Requests in flight when a process is killed, and pages that are split again when the run resumes.
LOST_AT_A_KILL = 10


class Processes:
    """Worker processes of a home. `close` kills those that still run."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.runs.worker", *arguments]
        self._started.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True))
        return self._started[-1]

    def kill(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=20)


@pytest.fixture
def processes() -> Iterator[Processes]:
    started = Processes()
    yield started
    started.close()


@pytest.fixture
def running(make_center: Callable[..., Center]) -> Center:
    """With the real clock, which the processes use too."""
    center = make_center()
    center.state.now = utc_now
    return center


def queued(center: Center, dataset: str) -> Run:
    queue = open_queue(center.state)
    try:
        dispatch = dispatch_of(center.state, center.records, queue, center.steps)
        return center.runs.get(dispatch.start(center.datasets.get(dataset).id).id)
    finally:
        queue.close()


def charge_requests(center: Center) -> int:
    return sum(center.stripe.ask("requests")["endpoints"].get("GET /v1/charges", {}).values())


def check_done(center: Center, run: str, kills: int, requests_made: int) -> None:
    """Asserts that the run succeeded, with each row once and few repeated requests."""
    done = center.runs.get(run)
    assert (done.status, done.attempt, done.error) == ("succeeded", 1, None)
    assert center.ids("charges") == center.truth("charges")
    assert center.rows("SELECT DISTINCT _run FROM charges") == [(run,)]
    assert done.counts.read == len(center.truth("charges"))
    assert requests_made <= 2 * PAGES + LOST_AT_A_KILL * kills
    assert [load.run for load in center.runs.loads(run)] == [run]
    bookmark = center.datasets.get("charges").bookmark
    assert bookmark is not None
    assert bookmark["run"] == run


def test_service_killed_in_each_step_completes_the_run_after_its_restart(running: Center, processes: Processes) -> None:
    center = running
    center.run(center.dataset("charges", method="replace"))
    before = center.snapshot("charges")
    center.create("charge")
    center.asked()
    run = queued(center, "charges")

    center.fault("hold", "/v1/account", count=1)
    service = processes.start("serve")
    wait_until(lambda: center.runs.get(run.id).status == "running", 30)
    processes.kill(service)
    assert center.runs.get(run.id).plan == {}
    center.healed()

    center.fault("hold", "/v1/charges", count=1, skip=3)
    spool = center.archive(run) / "pages.spool"
    service = processes.start("serve")
    wait_until(lambda: spool.exists() and spool.stat().st_size > 1000, 30)
    processes.kill(service)
    center.healed()
    assert center.snapshot("charges") == before

    with held(center):
        service = processes.start("serve")
        wait_until(lambda: any("held by" in line for line in center.lines(run)), 30)
        processes.kill(service)
        requests_made = charge_requests(center)
    assert center.snapshot("charges") == before

    service = processes.start("serve")
    wait_until(lambda: center.runs.get(run.id).status not in ("queued", "running"), 30)
    service.send_signal(signal.SIGTERM)
    assert service.wait(20) == 0, "it exits cleanly"
    check_done(center, run.id, 2, charge_requests(center))
    assert charge_requests(center) == requests_made, "a load makes no API requests"


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [1])
def test_manual_run_killed_at_any_moment_is_resumed_by_the_next_process(
    running: Center, processes: Processes, seed: int
) -> None:
    center = running
    center.run(center.dataset("charges", method="replace"))
    before = center.snapshot("charges")
    center.create("charge")
    center.asked()
    center.stripe.control("latency", ms=150, path="/v1/charges")
    chance, kills = random.Random(seed), 0
    for _ in range(2):
        process = processes.start("run", "charges")
        wait_until(lambda process=process: center.runs.list(status="running") or process.poll() is not None, 30)
        try:
            process.wait(chance.uniform(0, 1.2))
            break
        except subprocess.TimeoutExpired:
            processes.kill(process)
            kills += 1
        found = center.runs.list(limit=1)[0]
        assert center.snapshot("charges") == before or center.ids("charges") == center.truth("charges")
        assert found.status == "running" or center.ids("charges") == center.truth("charges")
        if found.status == "succeeded":
            break
    else:
        assert processes.start("run", "charges").wait(30) == 0
    assert kills > 0
    runs = center.runs.list()
    assert len(runs) == 2, "each process resumed the same run"
    check_done(center, runs[0].id, kills, charge_requests(center))


def test_rollback_killed_in_its_load_completes_later(running: Center, processes: Processes) -> None:
    center = running
    coupons = center.dataset("coupons", method="append")
    first = center.run(coupons)
    center.run(coupons)
    queue = open_queue(center.state)
    with center.state.begin():
        made = center.runs.create(coupons.id, "manual")
        center.runs.update(made.id, plan=plan_rollback(first))
    dispatch_of(center.state, center.records, queue, center.steps).enqueue(made, coupons)
    queue.close()
    with held(center):
        service = processes.start("serve")
        wait_until(lambda: any("held by" in line for line in center.lines(made)), 30)
        processes.kill(service)
    assert len(center.ids("coupons")) == 60
    center.attempt(made)  # as a service does that resumes the run
    assert center.runs.get(made.id).status == "succeeded"
    assert center.rows("SELECT DISTINCT _run FROM coupons") == [(first.id,)]
    assert len(center.ids("coupons")) == 30


def caught_in_finish(center: Center, run: Run) -> sqlite3.Connection | None:
    """The state's write lock, held after the load is recorded and before the run ends; None if the run was faster."""
    lock = sqlite3.connect(center.state.settings.home / "state.db", isolation_level=None, timeout=20)
    while True:
        lock.execute("BEGIN IMMEDIATE")
        ((status, added),) = lock.execute("SELECT status, added FROM runs WHERE id = ?", [run.id]).fetchall()
        if status == "running" and added:
            return lock
        lock.execute("ROLLBACK")
        if status == "succeeded":
            lock.close()
            return None


def test_service_killed_in_its_last_step_completes_the_run_after_its_restart(
    running: Center, processes: Processes
) -> None:
    center = running
    center.dataset("charges", method="replace")
    center.asked()
    service = processes.start("serve")
    for _ in range(10):
        run = queued(center, "charges")
        lock = caught_in_finish(center, run)
        if lock is not None:
            break
    assert lock is not None, "each of ten runs ended before the lock was taken"
    processes.kill(service)
    lock.close()
    assert center.runs.get(run.id).status == "running"
    assert center.ids("charges") == center.truth("charges"), "the load was committed"
    requests_made = charge_requests(center)
    service = processes.start("serve")
    wait_until(lambda: center.runs.get(run.id).status not in ("queued", "running"), 30)
    service.send_signal(signal.SIGTERM)
    assert service.wait(20) == 0
    assert charge_requests(center) == requests_made, "no page was read again"
    check_done(center, run.id, 1, 0)
