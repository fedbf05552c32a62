"""Runs through the queue and its worker, as `counterfoil run` and the service execute them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from counterfoil.app.node import open_queue
from counterfoil.app.runs import RunService
from counterfoil.engine.queue import Queue
from counterfoil.errors import RunError
from counterfoil.schedules import parse
from counterfoil.state.database import utc_now
from counterfoil.state.datasets import Retry

from .conftest import Center, in_background, wait_until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def service(center: Center) -> RunService:
    return RunService(center.state, center.records)


@pytest.fixture
def queue(center: Center) -> Iterator[Queue]:
    opened = open_queue(center.state)
    yield opened
    opened.close()


def test_success_starts_the_following_datasets_except_paused_ones(center: Center, service: RunService) -> None:
    coupons = center.dataset("coupons")
    center.dataset("plans", after=coupons.id)
    center.dataset("customers", after=coupons.id)
    center.datasets.pause("customers", "for a while")
    center.fault("status", "/v1/coupons", status=400, error={"message": "no"}, count=1)
    assert service.start("coupons").status == "failed"
    assert [run.dataset for run in center.runs.list()] == [coupons.id]
    center.clock.advance(minutes=1)
    assert service.start("coupons").status == "succeeded"
    followed = [run for run in center.runs.list() if run.dataset != coupons.id]
    assert [(run.trigger, run.status) for run in followed] == [("after", "succeeded")]
    assert center.ids("plans") == center.truth("plans")


def test_canceled_waiting_run_is_removed_from_the_queue(center: Center, service: RunService, queue: Queue) -> None:
    center.fault("should_not_retry", "/v1/coupons", count=100)
    center.dataset("coupons", retry=Retry(manual=True))
    waiting = service.start("coupons", wait=False)
    with pytest.raises(RunError, match=waiting.id):
        service.start("coupons")
    assert service.cancel(waiting.id).status == "canceled"
    assert queue.counts() == {"queued": 0, "delayed": 0, "running": 0}
    center.healed()
    assert service.start("coupons").status == "succeeded"


def test_cancellation_from_another_process_ends_a_reading_run(center: Center, service: RunService) -> None:
    center.dataset("charges")
    center.stripe.control("latency", ms=30_000, path="/v1/charges")
    ended: list[str] = []
    other = RunService(center.state, center.records)
    with in_background(lambda: ended.append(service.start("charges").status)):
        wait_until(lambda: center.stripe.ask("requests")["endpoints"].get("GET /v1/account"))
        wait_until(lambda: center.runs.list(status="running"))
        (run,) = center.runs.list()
        other.cancel(run.id)
    assert ended == ["canceled"]
    last = center.runs.lines(run.id)[-1]
    assert last.message.startswith("Canceled")
    assert "unchanged" in last.fields["left"]


def test_two_processes_claim_one_run_of_each_due_time(center: Center, queue: Queue) -> None:
    center.state.now = lambda: utc_now() - timedelta(hours=1)
    for number in range(20):
        center.dataset("coupons", f"c{number}", schedule=parse("every 15 minutes", "UTC"))
    with ExitStack() as stack:
        claims = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.runs.worker", "claim"],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        for claim in claims:
            assert claim.stdout is not None
            assert claim.stdout.readline() == "ready\n"
        counts = [claim.communicate("go\n", timeout=30)[0] for claim in claims]
    assert sum(int(count) for count in counts) == 20
    runs = center.runs.list(limit=100)
    assert len(runs) == len({run.dataset for run in runs}) == 20
    assert {run.trigger for run in runs} == {"schedule"}
    assert queue.counts()["queued"] == 20
