"""Runs that are ended before their time: canceled, too late, taken over, or left by a service that goes down."""

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
from counterfoil.state.run import Level, LostOwnership, Run
from counterfoil.state.runs import Runs

from .conftest import FILE, Center, held, in_background, wait_until

TWO_SECONDS = 2.0
#: What a busy machine adds: threads, DuckDB and a sandbox share its processors.
SLACK = 1.5


def canceled_within_two_seconds(center: Center, run: Run, work: threading.Thread) -> None:
    started = time.monotonic()
    center.runs.request_cancel(run.id)
    work.join(20)
    assert time.monotonic() - started < TWO_SECONDS + SLACK
    found = center.runs.get(run.id)
    assert (found.status, found.error, found.reason) == ("canceled", None, "Canceled by hand.")
    assert center.lines(run)[-1] == "Canceled; the table is as it was before."


def prepared(center: Center) -> tuple[Run, list[Any]]:
    """A run of charges that begins, and what is in their table."""
    charges = center.dataset("charges")
    center.run(charges)
    center.create("charge")
    return center.runs.create(charges.id, "manual"), center.snapshot("charges")


@pytest.mark.parametrize("path", ["/v1/account", "/v1/charges"])
def test_a_cancel_while_stripe_is_slow_ends_the_run_within_two_seconds(center: Center, path: str) -> None:
    run, before = prepared(center)
    center.stripe.control("latency", ms=30_000, path=path)
    center.asked()
    try:
        with in_background(lambda: center.attempt(run)) as work:
            wait_until(lambda: center.archive(run).exists() or path == "/v1/account")
            wait_until(lambda: center.runs.get(run.id).status == "running")
            canceled_within_two_seconds(center, run, work)
    finally:
        center.stripe.control("latency", ms=0, path=path)
    assert center.runs.get(run.id).requests[f"GET {path}"] > 0, "what was on its way counts as spent"
    assert center.snapshot("charges") == before
    assert center.run("charges").status == "succeeded"


def changing(center: Center) -> Run:
    """A run that begins, of a dataset that is brought up to date by changes."""
    charges = center.dataset("charges", method="merge")
    center.run(charges)
    return center.runs.create(charges.id, "manual")


@pytest.mark.parametrize("path", ["/v1/account", "/v1/events", "/v1/charges"])
def test_a_cancel_while_a_request_is_retried_ends_the_run_within_two_seconds(center: Center, path: str) -> None:
    run = changing(center)
    center.fault("500", path, count=None)
    center.asked()
    with in_background(lambda: center.attempt(run)) as work:
        wait_until(lambda: sum(center.stripe.ask("requests")["endpoints"].get(f"GET {path}", {}).values()) > 1)
        canceled_within_two_seconds(center, run, work)


def test_a_deadline_passes_while_a_request_is_retried(center: Center) -> None:
    charges = center.dataset("charges", deadline_minutes=5)
    run = center.runs.create(charges.id, "manual")
    center.fault("500", "/v1/charges", count=None)
    with in_background(lambda: center.attempt(run)) as work:
        wait_until(lambda: "GET /v1/charges" in center.stripe.ask("requests")["endpoints"])
        center.clock.advance(minutes=6)
        work.join(20)
    found = center.runs.get(run.id)
    assert (found.status, (found.error or {})["kind"]) == ("failed", "DeadlinePassed")


def test_a_queued_run_is_canceled_before_it_begins(center: Center) -> None:
    run, before = prepared(center)
    center.asked()
    assert center.runs.request_cancel(run.id).status == "canceled"
    assert center.attempt(run) is None
    assert center.runs.get(run.id).status == "canceled"
    assert center.asked() == {}
    assert center.snapshot("charges") == before


def test_a_run_between_two_attempts_is_canceled_at_once(center: Center) -> None:
    charges = center.dataset("charges")
    center.fault("should_not_retry", "/v1/charges", count=100)
    run = center.run(charges, "schedule")
    assert run.status == "waiting"
    assert center.runs.request_cancel(run.id).status == "canceled"
    center.asked()
    assert center.attempt(run, 2) is None
    assert center.asked() == {}
    assert center.runs.get(run.id).status == "canceled"
    assert center.run(charges).status == "failed", "another one may begin"


@pytest.mark.parametrize("steps", [(), ("plan", "extract")], ids=["plan", "load"])
def test_a_cancel_while_the_file_is_held_ends_the_run_within_two_seconds(
    center: Center, steps: tuple[str, ...]
) -> None:
    run, before = prepared(center)
    for step in steps:
        getattr(center.steps, step)(run.id, 1)
    with held(center), in_background(lambda: center.attempt(run)) as work:
        wait_until(lambda: any("is held by" in line for line in center.lines(run)))
        canceled_within_two_seconds(center, run, work)
    assert center.snapshot("charges") == before


def test_a_cancel_at_the_end_of_a_load_undoes_it(center: Center) -> None:
    run, before = prepared(center)
    center.steps.plan(run.id, 1)
    center.steps.extract(run.id, 1)
    center.runs.request_cancel(run.id)
    with pytest.raises(Canceled):
        center.steps.load(run.id, 1)
    center.steps.failed(run.id, 1, Canceled(""))
    assert center.runs.get(run.id).status == "canceled"
    assert center.snapshot("charges") == before


class CanceledOnceLoading(Runs):
    """Somebody cancels in the moment in which the load begins."""

    def log(self, run: str, level: Level, message: str, **fields: Any) -> None:
        super().log(run, level, message, **fields)
        if message.startswith("Loading"):
            self.request_cancel(run)


def test_a_cancel_in_a_load_that_takes_a_moment_only_undoes_it(center: Center) -> None:
    run, before = prepared(center)
    steps = Attempt(replace(center.records, runs=CanceledOnceLoading(center.state)))
    center.attempt(run, 1, steps)
    assert center.runs.get(run.id).status == "canceled"
    assert center.snapshot("charges") == before


def test_a_cancel_after_the_load_comes_too_late_and_says_so(center: Center) -> None:
    run, _ = prepared(center)
    for step in ("plan", "extract", "load"):
        getattr(center.steps, step)(run.id, 1)
    center.runs.request_cancel(run.id)
    center.steps.finish(run.id, 1)
    done = center.runs.get(run.id)
    assert (done.status, done.reason) == ("succeeded", "Asked to stop when everything was loaded.")
    assert center.ids("charges") == center.truth("charges")
    assert center.datasets.get("charges").bookmark == done.bookmark


def test_a_cancel_between_two_tables_tells_which_was_loaded(center: Center) -> None:
    targets = (Target(url=f"duckdb:///{FILE}", table="one"), Target(url="duckdb:///held.duckdb", table="two"))
    coupons = center.dataset("coupons", targets=targets)
    run = center.runs.create(coupons.id, "manual")
    center.steps.plan(run.id, 1)
    center.steps.extract(run.id, 1)
    with held(center, "held.duckdb"), in_background(lambda: center.attempt(run)):
        wait_until(lambda: any("held by" in line for line in center.lines(run)))
        center.runs.request_cancel(run.id)
    assert center.runs.get(run.id).status == "canceled"
    assert center.lines(run)[-1] == f"Canceled; one of duckdb:///{FILE} had been loaded."


def test_a_deadline_ends_a_run_that_reads_and_is_no_reason_to_try_again(center: Center) -> None:
    charges = center.dataset("charges", deadline_minutes=30)
    run = center.runs.create(charges.id, "schedule", center.clock())
    center.steps.plan(run.id, 1)
    center.clock.advance(minutes=31)
    assert center.attempt(run) is None
    failed = center.runs.get(run.id)
    assert failed.error is not None
    assert (failed.status, failed.error["kind"]) == ("failed", "DeadlinePassed")


def test_a_deadline_that_passes_after_the_load_changes_nothing(center: Center) -> None:
    charges = center.dataset("charges", deadline_minutes=30)
    run = center.runs.create(charges.id, "manual")
    for step in ("plan", "extract", "load"):
        getattr(center.steps, step)(run.id, 1)
    center.clock.advance(minutes=31)
    # Its process was killed before the load was told to be done: done it is.
    center.steps.load(run.id, 1)
    center.steps.finish(run.id, 1)
    assert center.runs.get(run.id).status == "succeeded"
    assert center.ids("charges") == center.truth("charges")


def test_a_service_that_goes_down_leaves_the_run_to_its_next_start(center: Center) -> None:
    run, _ = prepared(center)
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


def test_a_zombie_in_extract_neither_writes_nor_ends_the_run(center: Center) -> None:
    run, _ = prepared(center)
    center.steps.plan(run.id, 1)
    center.fault("hold", "/v1/charges", count=1)
    zombie, ended = Attempt(center.records), []
    with in_background(lambda: ended.append(center.attempt(run, 1, zombie))):
        wait_until(lambda: center.archive(run).exists())
        token = center.runs.begin_attempt(run.id, workflow=f"{run.id}-1")
        center.healed()
    assert ended == [None]
    found = center.runs.get(run.id)
    assert (found.status, found.owner, found.counts.read) == ("running", token, 0)


@pytest.mark.parametrize("error", [StripeUnavailable("gone"), RunError("broken"), Canceled("")])
def test_a_zombies_error_is_not_the_runs(center: Center, error: Exception) -> None:
    run, _ = prepared(center)
    zombie = Attempt(center.records)
    tokens = []

    def step() -> None:
        with zombie._taken(run.id, 1):
            tokens.append(center.runs.begin_attempt(run.id, workflow=f"{run.id}-1"))
            raise RunError("whatever it is")

    with pytest.raises(RunError):
        step()
    assert zombie.failed(run.id, 1, error) is None
    found = center.runs.get(run.id)
    assert (found.status, found.owner) == ("running", *tokens)
    assert center.datasets.get("charges").failures == 0


def test_a_zombie_in_load_leaves_the_table(center: Center) -> None:
    run, before = prepared(center)
    center.steps.plan(run.id, 1)
    center.steps.extract(run.id, 1)
    zombie, ended = Attempt(center.records), []

    def late() -> None:
        try:
            zombie.load(run.id, 1)
        except LostOwnership as error:
            ended.append(zombie.failed(run.id, 1, error))

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
