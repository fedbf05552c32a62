"""Runs that end early: after a cancellation, at a deadline, after a takeover, or at a shutdown of the service."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from counterfoil.errors import RunError, StripeUnavailable
from counterfoil.runs.attempt import Attempt
from counterfoil.runs.cancellation import Canceled, ServiceStops
from counterfoil.state.datasets import Target
from counterfoil.state.run import LOAD_STEP, Level, LostOwnership, Run
from counterfoil.state.runs import Runs

from .conftest import FILE, Center, held, in_background, wait_until

TWO_SECONDS = 2.0
#: Tolerance for a busy machine: threads, DuckDB and a sandbox share its processors.
SLACK = 1.5


def assert_unchanged(center: Center, run: Run) -> None:
    """Asserts that the last line of the log reports a cancellation with an unchanged table."""
    last = center.runs.lines(run.id)[-1]
    assert last.message.startswith("Canceled")
    assert "unchanged" in last.fields["left"]


def assert_canceled_within_two_seconds(center: Center, run: Run, work: threading.Thread) -> None:
    started = time.monotonic()
    center.runs.request_cancel(run.id)
    work.join(20)
    assert time.monotonic() - started < TWO_SECONDS + SLACK
    found = center.runs.get(run.id)
    assert (found.status, found.error, found.reason) == ("canceled", None, "Canceled manually.")
    assert_unchanged(center, run)


def queued_run(center: Center) -> tuple[Run, list[Any]]:
    """A queued run of charges, and the rows of their table."""
    charges = center.dataset("charges")
    center.run(charges)
    center.create("charge")
    return center.runs.create(charges.id, "manual"), center.snapshot("charges")


@pytest.mark.parametrize("path", ["/v1/account", "/v1/charges"])
def test_cancellation_during_a_slow_response_ends_the_run_within_two_seconds(center: Center, path: str) -> None:
    run, before = queued_run(center)
    center.stripe.control("latency", ms=30_000, path=path)
    center.asked()
    try:
        with in_background(lambda: center.attempt(run)) as work:
            wait_until(lambda: center.archive(run).exists() or path == "/v1/account")
            wait_until(lambda: center.runs.get(run.id).status == "running")
            assert_canceled_within_two_seconds(center, run, work)
    finally:
        center.stripe.control("latency", ms=0, path=path)
    assert center.runs.get(run.id).requests[f"GET {path}"] > 0, "requests in flight are counted"
    assert center.snapshot("charges") == before
    assert center.run("charges").status == "succeeded"


def queued_merge(center: Center) -> Run:
    """A queued incremental run of charges."""
    charges = center.dataset("charges", method="merge")
    center.run(charges)
    return center.runs.create(charges.id, "manual")


@pytest.mark.parametrize("path", ["/v1/account", "/v1/events", "/v1/charges"])
def test_cancellation_during_retries_of_a_request_ends_the_run_within_two_seconds(center: Center, path: str) -> None:
    run = queued_merge(center)
    center.fault("500", path, count=None)
    center.asked()
    with in_background(lambda: center.attempt(run)) as work:
        wait_until(lambda: sum(center.stripe.ask("requests")["endpoints"].get(f"GET {path}", {}).values()) > 1)
        assert_canceled_within_two_seconds(center, run, work)


def test_deadline_ends_retries_of_a_request(center: Center) -> None:
    charges = center.dataset("charges", deadline_minutes=5)
    run = center.runs.create(charges.id, "manual")
    center.fault("500", "/v1/charges", count=None)
    with in_background(lambda: center.attempt(run)) as work:
        wait_until(lambda: "GET /v1/charges" in center.stripe.ask("requests")["endpoints"])
        center.clock.advance(minutes=6)
        work.join(20)
    found = center.runs.get(run.id)
    assert (found.status, (found.error or {})["kind"]) == ("failed", "DeadlinePassed")


def test_queued_run_is_canceled_before_it_starts(center: Center) -> None:
    run, before = queued_run(center)
    center.asked()
    assert center.runs.request_cancel(run.id).status == "canceled"
    assert center.attempt(run) is None
    assert center.runs.get(run.id).status == "canceled"
    assert center.asked() == {}
    assert center.snapshot("charges") == before


def test_waiting_run_is_canceled_at_once(center: Center) -> None:
    charges = center.dataset("charges")
    center.fault("should_not_retry", "/v1/charges", count=100)
    run = center.run(charges, "schedule")
    assert run.status == "waiting"
    assert center.runs.request_cancel(run.id).status == "canceled"
    center.asked()
    assert center.attempt(run, 2) is None
    assert center.asked() == {}
    assert center.runs.get(run.id).status == "canceled"
    assert center.run(charges).status == "failed", "another run may start"


@pytest.mark.parametrize("steps", [(), ("plan", "extract")], ids=["plan", "load"])
def test_cancellation_while_the_file_is_locked_ends_the_run_within_two_seconds(
    center: Center, steps: tuple[str, ...]
) -> None:
    run, before = queued_run(center)
    for step in steps:
        getattr(center.steps, step)(run.id, 1)
    with held(center), in_background(lambda: center.attempt(run)) as work:
        wait_until(lambda: any("is held by" in line for line in center.lines(run)))
        assert_canceled_within_two_seconds(center, run, work)
    assert center.snapshot("charges") == before


def test_cancellation_before_the_load_leaves_the_table_unchanged(center: Center) -> None:
    run, before = queued_run(center)
    center.steps.plan(run.id, 1)
    center.steps.extract(run.id, 1)
    center.runs.request_cancel(run.id)
    with pytest.raises(Canceled):
        center.steps.load(run.id, 1)
    center.steps.failed(run.id, 1, Canceled(""))
    assert center.runs.get(run.id).status == "canceled"
    assert center.snapshot("charges") == before


class CanceledOnceLoading(Runs):
    """Cancels the run at the moment at which its load begins."""

    def log(self, run: str, level: Level, message: str, **fields: Any) -> None:
        super().log(run, level, message, **fields)
        if fields.get("step") == LOAD_STEP:
            self.request_cancel(run)


def test_cancellation_during_a_short_load_leaves_the_table_unchanged(center: Center) -> None:
    run, before = queued_run(center)
    steps = Attempt(replace(center.records, runs=CanceledOnceLoading(center.state)))
    center.attempt(run, 1, steps)
    assert center.runs.get(run.id).status == "canceled"
    assert center.snapshot("charges") == before


def test_cancellation_after_the_load_is_too_late_and_stated_as_the_reason(center: Center) -> None:
    run, _ = queued_run(center)
    for step in ("plan", "extract", "load"):
        getattr(center.steps, step)(run.id, 1)
    center.runs.request_cancel(run.id)
    center.steps.finish(run.id, 1)
    done = center.runs.get(run.id)
    assert (done.status, done.cancel_requested) == ("succeeded", True)
    assert "were loaded" in (done.reason or "")
    assert center.ids("charges") == center.truth("charges")
    assert center.datasets.get("charges").bookmark == done.bookmark


def test_cancellation_between_two_tables_logs_the_loaded_one(center: Center) -> None:
    targets = (Target(url=f"duckdb:///{FILE}", table="one"), Target(url="duckdb:///held.duckdb", table="two"))
    coupons = center.dataset("coupons", targets=targets)
    run = center.runs.create(coupons.id, "manual")
    center.steps.plan(run.id, 1)
    center.steps.extract(run.id, 1)
    with held(center, "held.duckdb"), in_background(lambda: center.attempt(run)):
        wait_until(lambda: any("held by" in line for line in center.lines(run)))
        center.runs.request_cancel(run.id)
    assert center.runs.get(run.id).status == "canceled"
    last = center.runs.lines(run.id)[-1]
    assert last.message.startswith("Canceled")
    assert f"one of duckdb:///{FILE}" in last.fields["left"]
    assert "two of" not in last.fields["left"]


def test_deadline_ends_a_reading_run_without_a_retry(center: Center) -> None:
    charges = center.dataset("charges", deadline_minutes=30)
    run = center.runs.create(charges.id, "schedule", center.clock())
    center.steps.plan(run.id, 1)
    center.clock.advance(minutes=31)
    assert center.attempt(run) is None
    failed = center.runs.get(run.id)
    assert failed.error is not None
    assert (failed.status, failed.error["kind"]) == ("failed", "DeadlinePassed")


def test_deadline_after_the_load_does_not_fail_the_run(center: Center) -> None:
    charges = center.dataset("charges", deadline_minutes=30)
    run = center.runs.create(charges.id, "manual")
    for step in ("plan", "extract", "load"):
        getattr(center.steps, step)(run.id, 1)
    center.clock.advance(minutes=31)
    # The process was killed before it recorded the load, which was committed.
    center.steps.load(run.id, 1)
    center.steps.finish(run.id, 1)
    assert center.runs.get(run.id).status == "succeeded"
    assert center.ids("charges") == center.truth("charges")


def test_run_interrupted_by_a_shutdown_resumes_after_the_next_start(center: Center) -> None:
    run, _ = queued_run(center)
    center.stripe.control("latency", ms=30_000, path="/v1/charges")
    center.steps.plan(run.id, 1)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            center.steps.extract(run.id, 1)
        except ServiceStops as error:
            raised.append(error)

    with in_background(work):
        wait_until(lambda: center.archive(run).exists())
        center.stopping.set()
    center.stripe.control("latency", ms=0, path="/v1/charges")
    assert raised
    assert center.runs.get(run.id).status == "running"
    assert center.attempt(run, 1, Attempt(center.records)) is None
    assert center.runs.get(run.id).status == "succeeded"
    assert center.ids("charges") == center.truth("charges")


def test_superseded_attempt_in_extract_neither_writes_nor_ends_the_run(center: Center) -> None:
    run, _ = queued_run(center)
    center.steps.plan(run.id, 1)
    center.fault("hold", "/v1/charges", count=1)
    superseded, ended = Attempt(center.records), []
    with in_background(lambda: ended.append(center.attempt(run, 1, superseded))):
        wait_until(lambda: center.archive(run).exists())
        token = center.runs.begin_attempt(run.id, workflow=f"{run.id}-1")
        center.healed()
    assert ended == [None]
    found = center.runs.get(run.id)
    assert (found.status, found.owner, found.counts.read) == ("running", token, 0)


@pytest.mark.parametrize("error", [StripeUnavailable("gone"), RunError("broken"), Canceled("")])
def test_error_of_a_superseded_attempt_does_not_end_the_run(center: Center, error: Exception) -> None:
    run, _ = queued_run(center)
    superseded = Attempt(center.records)
    tokens = []

    def step() -> None:
        with superseded._taken(run.id, 1):
            tokens.append(center.runs.begin_attempt(run.id, workflow=f"{run.id}-1"))
            raise RunError("any error")

    with pytest.raises(RunError):
        step()
    assert superseded.failed(run.id, 1, error) is None
    found = center.runs.get(run.id)
    assert (found.status, found.owner) == ("running", *tokens)
    assert center.datasets.get("charges").failures == 0


def test_superseded_attempt_in_load_leaves_the_table_unchanged(center: Center) -> None:
    run, before = queued_run(center)
    center.steps.plan(run.id, 1)
    center.steps.extract(run.id, 1)
    superseded, ended = Attempt(center.records), []

    def late() -> None:
        try:
            superseded.load(run.id, 1)
        except LostOwnership as error:
            ended.append(superseded.failed(run.id, 1, error))

    work = threading.Thread(target=late, daemon=True)
    with held(center):
        work.start()
        wait_until(lambda: any("held by" in line for line in center.lines(run)))
        token = center.runs.begin_attempt(run.id, workflow=f"{run.id}-1")
    work.join(20)
    assert ended == [None]
    assert center.snapshot("charges") == before
    assert center.runs.get(run.id).owner == token
    center.attempt(run)
    assert center.runs.get(run.id).status == "succeeded"
    assert center.ids("charges") == center.truth("charges")
