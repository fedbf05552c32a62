"""Rollbacks restore a table to its state after an earlier run; retention keeps the archives that they need."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from counterfoil.app.runs import RunService
from counterfoil.errors import RunError
from counterfoil.runs.attempt import Attempt
from counterfoil.runs.loads.rollback import ARCHIVE_REMOVED, EARLIER_RUNS_UNKNOWN, check_rollback, plan_rollback
from counterfoil.runs.retention import remove_expired
from counterfoil.runs.run_context import archive_of
from counterfoil.state.datasets import Dataset, Partition
from counterfoil.state.run import Run
from counterfoil.state.tables import runs as run_table

from .conftest import FILE, Center


def queued_rollback(center: Center, to: Run) -> Run:
    """A queued rollback to the run."""
    check_rollback(center.runs, center.settings, to)
    center.clock.advance(minutes=1)
    made = center.runs.create(to.dataset, "manual")
    return center.runs.update(made.id, plan=plan_rollback(to))


def back(center: Center, to: Run) -> Run:
    """Rolls back to the run; returns the run of the rollback."""
    run = queued_rollback(center, to)
    center.attempt(run)
    return center.runs.get(run.id)


@pytest.mark.parametrize(
    ("method", "partition"), [("replace", None), ("append", None), ("partition", Partition(unit="month", last=2))]
)
def test_rollback_restores_the_table_after_any_earlier_run(
    center: Center, method: str, partition: Partition | None
) -> None:
    refunds = center.dataset("refunds", method=method, partition=partition)
    runs, tables, bookmarks = [], [], []
    for _ in range(3):
        runs.append(center.run(refunds))
        tables.append(center.snapshot("refunds"))
        bookmarks.append(center.datasets.get("refunds").bookmark)
        center.create("refund")
    assert len(set(map(str, tables))) == 3
    center.asked()
    for which in (1, 0, 2):
        rollback = back(center, runs[which])
        assert rollback.status == "succeeded", rollback.error
        assert center.snapshot("refunds") == tables[which]
        assert center.datasets.get("refunds").bookmark == bookmarks[which]
    assert center.asked() == {}, "a rollback makes no API requests"


def test_rollback_to_a_rollback_restores_the_same_table(center: Center) -> None:
    refunds = center.dataset("refunds", method="append")
    first, _ = center.run(refunds), center.run(refunds)
    rollback = back(center, first)
    third = center.run(refunds)
    table = center.snapshot("refunds")
    assert back(center, rollback).bookmark == first.bookmark
    assert center.rows("SELECT DISTINCT _run FROM refunds") == [(first.id,)]
    back(center, third)
    assert center.snapshot("refunds") == table, "neither has the second run"


def test_rollback_of_incremental_runs_restores_rows_marked_as_deleted(center: Center) -> None:
    customers = center.dataset("customers", method="merge")
    first = center.run(customers)
    deleted = center.ids("customers")[0]
    center.stripe.control("objects", action="delete", kind="customer", id=deleted)
    second = center.run(customers)
    table = center.snapshot("customers")
    back(center, first)
    assert center.ids("customers", "_deleted") == []
    back(center, second)
    assert center.ids("customers", "_deleted") == [deleted]
    assert center.snapshot("customers") == table


def test_rollback_of_full_refreshes_restores_the_rows_that_stripe_listed(center: Center) -> None:
    customers = center.dataset("customers", method="merge")
    first = center.run(customers)
    listed = center.ids("customers")
    values = "SELECT list(c::VARCHAR ORDER BY id) FROM (SELECT * EXCLUDE (_run, _synced_at) FROM customers) AS c"
    before = center.rows(values)
    changed, deleted = listed[:2]
    center.stripe.control("objects", action="update", kind="customer", id=changed, fields={"email": "a@example.com"})
    center.stripe.control("objects", action="delete", kind="customer", id=deleted)
    center.datasets.set_bookmark(customers.id, None)
    second = center.run(customers)
    assert back(center, first).status == "succeeded"
    assert center.rows(values) == before
    second_rollback = back(center, second)
    assert center.ids("customers") == center.truth("customers")
    assert any(line.startswith("Rebuilt") and second.id in line for line in center.lines(second_rollback))
    assert center.run(customers).status == "succeeded"
    assert center.ids("customers", "NOT _deleted") == center.truth("customers")


def test_partition_reads_all_rows_since_its_rollback_target(center: Center) -> None:
    charges = center.dataset("charges", method="partition", partition=Partition(unit="day", last=1))
    first = center.run(charges)
    for _ in range(2):
        center.later(days=3)
        center.create("charge")
        center.run(charges)
    back(center, first)
    run = center.run(charges)
    assert run.reason is None
    assert center.ids("charges") == center.truth("charges")


def test_rollback_restores_events_that_stripe_no_longer_lists(center: Center) -> None:
    events = center.dataset("events")
    center.run(events)
    center.later(days=20)
    center.create("customer")
    second = center.run(events)
    table = center.snapshot("events")
    center.later(days=20)
    center.create("customer")
    center.run(events)
    assert back(center, second).status == "succeeded"
    assert center.snapshot("events") == table


def test_rollback_without_an_archive_names_its_run_and_leaves_the_table_unchanged(center: Center) -> None:
    refunds = center.dataset("refunds", method="append")
    runs = [center.run(refunds) for _ in range(3)]
    before = center.snapshot("refunds")
    shutil.rmtree(center.archive(runs[0]))
    for run in runs[:2]:
        with pytest.raises(RunError) as caught:
            check_rollback(center.runs, center.settings, run)
        assert caught.value.code == ARCHIVE_REMOVED
        assert runs[0].id in caught.value.message
        assert caught.value.hint
    assert center.snapshot("refunds") == before


def test_rollback_without_the_record_of_an_earlier_run_is_rejected(center: Center) -> None:
    customers = center.dataset("customers", method="merge")
    first, second = center.run(customers), center.run(customers)
    with center.state.begin() as connection:
        connection.execute(run_table.delete().where(run_table.c.id == first.id))
    with pytest.raises(RunError) as caught:
        check_rollback(center.runs, center.settings, second)
    assert caught.value.code == EARLIER_RUNS_UNKNOWN
    assert second.id in caught.value.message


def test_archive_removed_during_a_rollback_fails_it_and_leaves_the_table_unchanged(center: Center) -> None:
    refunds = center.dataset("refunds", method="append")
    runs = [center.run(refunds) for _ in range(2)]
    before = center.snapshot("refunds")
    run = queued_rollback(center, runs[0])
    shutil.rmtree(center.archive(runs[0]))
    center.attempt(run)
    assert center.runs.get(run.id).status == "failed"
    assert center.snapshot("refunds") == before


def test_rollback_to_a_failed_run_is_rejected(center: Center) -> None:
    charges = center.dataset("charges")
    center.fault("should_not_retry", "/v1/charges", count=100)
    failed = center.run(charges)
    with pytest.raises(RunError) as caught:
        check_rollback(center.runs, center.settings, failed)
    assert failed.id in caught.value.message
    assert "failed" in caught.value.message


def test_rollback_recreates_a_missing_file(center: Center) -> None:
    refunds = center.dataset("refunds", method="append")
    runs = [center.run(refunds) for _ in range(2)]
    before = center.snapshot("refunds")
    (center.settings.home / FILE).unlink()
    assert back(center, runs[1]).status == "succeeded"
    assert center.snapshot("refunds") == before


def test_interrupted_rollback_is_resumed(center: Center) -> None:
    refunds = center.dataset("refunds", method="append")
    runs = [center.run(refunds) for _ in range(2)]
    center.rows("SELECT 1")
    run = queued_rollback(center, runs[0])
    for step in ("plan", "extract", "load"):
        getattr(center.steps, step)(run.id, 1)
    # The process dies before it records the load; the next process repeats the step.
    restarted = Attempt(center.records)
    for step in ("load", "load", "finish", "finish"):
        getattr(restarted, step)(run.id, 1)
    assert center.runs.get(run.id).status == "succeeded"
    assert center.rows("SELECT DISTINCT _run FROM refunds") == [(runs[0].id,)]


def have_archives(center: Center, runs: list[Run]) -> list[bool]:
    """Whether each run still has its archive."""
    return [archive_of(center.settings, run.id).exists() for run in runs]


def successful_run(center: Center, dataset: Dataset) -> Run:
    """A successful run with an empty archive, without reading or loading."""
    made = center.runs.create(dataset.id, "manual")
    owner = center.runs.begin_attempt(made.id)
    folder = center.archive(made)
    folder.mkdir(parents=True)
    (folder / "ledger.json").write_text("{}")
    done = center.runs.finish(made.id, "succeeded", owner=owner)
    center.clock.advance(minutes=1)
    return done


def test_archives_are_retained_by_days_and_by_runs(make_center: Callable[..., Center]) -> None:
    center = make_center(archive_days=2, archive_runs=2)
    coupons = center.dataset("coupons", method="append")
    runs = []
    for _ in range(4):
        runs.append(successful_run(center, coupons))
        center.clock.advance(days=1)
    assert remove_expired(center.runs, center.settings) == 2
    assert have_archives(center, runs) == [False, False, True, True]
    center.clock.advance(days=30)
    assert remove_expired(center.runs, center.settings) == 0
    assert have_archives(center, runs) == [False, False, True, True]
    assert center.runs.get(runs[0].id).archive_removed_at is not None
    with pytest.raises(RunError) as caught:
        RunService(center.state, center.records).rows(runs[0].id)
    assert caught.value.code == ARCHIVE_REMOVED
    assert runs[0].id in caught.value.message


def test_size_limit_removes_all_archives_except_the_last_of_each_dataset(make_center: Callable[..., Center]) -> None:
    center = make_center(archive_gigabytes=1e-9)
    coupons, plans = center.dataset("coupons"), center.dataset("plans")
    runs = [successful_run(center, dataset) for dataset in (coupons, plans, coupons, plans)]
    assert remove_expired(center.runs, center.settings) == 2
    assert have_archives(center, runs) == [False, False, True, True]


def test_archive_of_a_waiting_run_is_retained(make_center: Callable[..., Center]) -> None:
    center = make_center(archive_days=0, archive_gigabytes=1e-9)
    charges = center.dataset("charges")
    center.fault("should_not_retry", "/v1/charges", count=1, skip=2)
    run = center.run(charges, "schedule")
    center.clock.advance(days=90)
    remove_expired(center.runs, center.settings)
    assert (run.status, have_archives(center, [run])) == ("waiting", [True])


def test_archives_of_a_removed_dataset_are_removed(center: Center) -> None:
    coupons, plans = center.dataset("coupons"), center.dataset("plans")
    runs = [successful_run(center, coupons), successful_run(center, plans)]
    center.datasets.remove("coupons")
    remove_expired(center.runs, center.settings)
    assert have_archives(center, runs) == [False, True]
