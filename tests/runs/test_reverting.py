"""Going back to a run: the table is what it was after it; what is needed for that is kept, and its end is told."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from counterfoil.app.runs import RunService
from counterfoil.errors import RunError
from counterfoil.runs.attempt import Attempt
from counterfoil.runs.loads.rollback import check_rollback, plan_rollback
from counterfoil.runs.retention import remove_expired
from counterfoil.runs.run_context import archive_of
from counterfoil.state.datasets import Dataset, Partition
from counterfoil.state.run import Run
from counterfoil.state.tables import runs as run_table

from .conftest import FILE, Center


def going_back(center: Center, to: Run) -> Run:
    check_rollback(center.runs, center.settings, to)
    center.clock.advance(minutes=1)
    made = center.runs.create(to.dataset, "manual")
    return center.runs.update(made.id, plan=plan_rollback(to))


def back(center: Center, to: Run) -> Run:
    run = going_back(center, to)
    center.attempt(run)
    return center.runs.get(run.id)


@pytest.mark.parametrize(
    ("method", "partition"), [("replace", None), ("append", None), ("partition", Partition(unit="month", last=2))]
)
def test_a_table_goes_back_to_what_it_was_after_any_of_its_runs(
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
        gone_back = back(center, runs[which])
        assert gone_back.status == "succeeded", gone_back.error
        assert center.snapshot("refunds") == tables[which]
        assert center.datasets.get("refunds").bookmark == bookmarks[which]
    assert center.asked() == {}, "Stripe is not asked"


def test_a_run_that_went_back_can_be_gone_back_to(center: Center) -> None:
    refunds = center.dataset("refunds", method="append")
    first, _ = center.run(refunds), center.run(refunds)
    went_back = back(center, first)
    third = center.run(refunds)
    table = center.snapshot("refunds")
    assert back(center, went_back).bookmark == first.bookmark
    assert center.rows("SELECT DISTINCT _run FROM refunds") == [(first.id,)]
    back(center, third)
    assert center.snapshot("refunds") == table, "the second run is in neither"


def test_a_merge_of_changes_goes_back_with_what_it_marked(center: Center) -> None:
    customers = center.dataset("customers", method="merge")
    first = center.run(customers)
    gone = center.ids("customers")[0]
    center.stripe.control("objects", action="delete", kind="customer", id=gone)
    second = center.run(customers)
    table = center.snapshot("customers")
    back(center, first)
    assert center.ids("customers", "_deleted") == []
    back(center, second)
    assert center.ids("customers", "_deleted") == [gone]
    assert center.snapshot("customers") == table


def test_a_merged_table_goes_back_to_what_stripe_listed_then(center: Center) -> None:
    customers = center.dataset("customers", method="merge")
    first = center.run(customers)
    listed = center.ids("customers")
    values = "SELECT list(c::VARCHAR ORDER BY id) FROM (SELECT * EXCLUDE (_run, _synced_at) FROM customers) AS c"
    before = center.rows(values)
    changed, gone = listed[:2]
    center.stripe.control("objects", action="update", kind="customer", id=changed, fields={"email": "a@example.com"})
    center.stripe.control("objects", action="delete", kind="customer", id=gone)
    center.datasets.set_bookmark(customers.id, None)
    second = center.run(customers)
    assert back(center, first).status == "succeeded"
    assert center.rows(values) == before
    again = back(center, second)
    assert center.ids("customers") == center.truth("customers")
    assert any(line.startswith(f"Made anew from the run {second.id} on") for line in center.lines(again))
    assert center.run(customers).status == "succeeded"
    assert center.ids("customers", "NOT _deleted") == center.truth("customers")


def test_a_partition_reads_what_came_since_the_run_that_it_went_back_to(center: Center) -> None:
    charges = center.dataset("charges", method="partition", partition=Partition(unit="day", last=1))
    first = center.run(charges)
    for _ in range(2):
        center.later(days=3)
        center.create("charge")
        center.run(charges)
    back(center, first)
    again = center.run(charges)
    assert again.reason is None
    assert center.ids("charges") == center.truth("charges")


def test_events_go_back_with_those_that_stripe_lists_no_longer(center: Center) -> None:
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


def test_a_load_that_is_kept_no_longer_is_named_and_the_table_stays(center: Center) -> None:
    refunds = center.dataset("refunds", method="append")
    runs = [center.run(refunds) for _ in range(3)]
    before = center.snapshot("refunds")
    shutil.rmtree(center.archive(runs[0]))
    for run in runs[:2]:
        with pytest.raises(RunError, match=f"{runs[0].id} read is kept no longer") as refused:
            check_rollback(center.runs, center.settings, run)
        assert refused.value.hint
    assert center.snapshot("refunds") == before


def test_changes_without_the_run_that_they_go_on_from_make_no_table(center: Center) -> None:
    customers = center.dataset("customers", method="merge")
    first, second = center.run(customers), center.run(customers)
    with center.state.begin() as connection:
        connection.execute(run_table.delete().where(run_table.c.id == first.id))
    with pytest.raises(RunError, match=f"before the run {second.id} .* not known"):
        check_rollback(center.runs, center.settings, second)


def test_an_archive_that_goes_while_a_run_goes_back_fails_it_and_leaves_the_table(center: Center) -> None:
    refunds = center.dataset("refunds", method="append")
    runs = [center.run(refunds) for _ in range(2)]
    before = center.snapshot("refunds")
    run = going_back(center, runs[0])
    shutil.rmtree(center.archive(runs[0]))
    center.attempt(run)
    assert center.runs.get(run.id).status == "failed"
    assert center.snapshot("refunds") == before


def test_only_a_run_that_succeeded_can_be_gone_back_to(center: Center) -> None:
    charges = center.dataset("charges")
    center.fault("should_not_retry", "/v1/charges", count=100)
    failed = center.run(charges)
    with pytest.raises(RunError, match="failed"):
        check_rollback(center.runs, center.settings, failed)


def test_going_back_after_the_file_is_gone_makes_the_table_again(center: Center) -> None:
    refunds = center.dataset("refunds", method="append")
    runs = [center.run(refunds) for _ in range(2)]
    before = center.snapshot("refunds")
    (center.settings.home / FILE).unlink()
    assert back(center, runs[1]).status == "succeeded"
    assert center.snapshot("refunds") == before


def test_a_way_back_that_was_interrupted_is_gone_on_with(center: Center) -> None:
    refunds = center.dataset("refunds", method="append")
    runs = [center.run(refunds) for _ in range(2)]
    center.rows("SELECT 1")
    run = going_back(center, runs[0])
    for step in ("plan", "extract", "load"):
        getattr(center.steps, step)(run.id, 1)
    # The process dies before it has noted the load; the next one does the step again.
    after = Attempt(center.records)
    for step in ("load", "load", "finish", "finish"):
        getattr(after, step)(run.id, 1)
    assert center.runs.get(run.id).status == "succeeded"
    assert center.rows("SELECT DISTINCT _run FROM refunds") == [(runs[0].id,)]


def kept(center: Center, runs: list[Run]) -> list[bool]:
    return [archive_of(center.settings, run.id).exists() for run in runs]


def delivered(center: Center, dataset: Dataset) -> Run:
    """A run that succeeded, and an archive, without the work."""
    made = center.runs.create(dataset.id, "manual")
    owner = center.runs.begin_attempt(made.id)
    folder = center.archive(made)
    folder.mkdir(parents=True)
    (folder / "ledger.json").write_text("{}")
    done = center.runs.finish(made.id, "succeeded", owner=owner)
    center.clock.advance(minutes=1)
    return done


def test_archives_are_kept_for_some_days_or_some_runs_whichever_is_more(make_center: Callable[..., Center]) -> None:
    center = make_center(archive_days=2, archive_runs=2)
    coupons = center.dataset("coupons", method="append")
    runs = []
    for _ in range(4):
        runs.append(delivered(center, coupons))
        center.clock.advance(days=1)
    assert remove_expired(center.runs, center.settings) == 2
    assert kept(center, runs) == [False, False, True, True]
    center.clock.advance(days=30)
    assert remove_expired(center.runs, center.settings) == 0
    assert kept(center, runs) == [False, False, True, True]
    assert center.runs.get(runs[0].id).archive_removed_at is not None
    with pytest.raises(RunError, match=r"rows of the run .* kept no longer"):
        RunService(center.state, center.records).rows(runs[0].id)


def test_archives_are_capped_by_a_size_but_for_the_last_of_each_dataset(make_center: Callable[..., Center]) -> None:
    center = make_center(archive_gigabytes=1e-9)
    coupons, plans = center.dataset("coupons"), center.dataset("plans")
    runs = [delivered(center, dataset) for dataset in (coupons, plans, coupons, plans)]
    assert remove_expired(center.runs, center.settings) == 2
    assert kept(center, runs) == [False, False, True, True]


def test_the_archive_of_a_run_between_two_attempts_stays(make_center: Callable[..., Center]) -> None:
    center = make_center(archive_days=0, archive_gigabytes=1e-9)
    charges = center.dataset("charges")
    center.fault("should_not_retry", "/v1/charges", count=1, skip=2)
    run = center.run(charges, "schedule")
    center.clock.advance(days=90)
    remove_expired(center.runs, center.settings)
    assert (run.status, kept(center, [run])) == ("waiting", [True])


def test_what_a_forgotten_datasets_runs_read_goes(center: Center) -> None:
    coupons, plans = center.dataset("coupons"), center.dataset("plans")
    runs = [delivered(center, coupons), delivered(center, plans)]
    center.datasets.remove("coupons")
    remove_expired(center.runs, center.settings)
    assert kept(center, runs) == [False, True]
