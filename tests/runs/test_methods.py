"""What each update method leaves in the table, run after run."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from counterfoil.state.datasets import Choice, Partition, Target

from .conftest import FILE, KEY, Center

DAY = 86_400


def test_a_replace_holds_what_stripe_lists_and_nothing_else(center: Center) -> None:
    charges = center.dataset("charges", method="replace")
    first = center.run(charges)
    assert (first.status, first.counts.read, first.counts.added) == ("succeeded", 600, 600)
    assert center.ids("charges") == center.truth("charges")
    new = center.create("charge", fields={"amount": 4200})
    gone = center.truth("charges")[0]
    center.stripe.control("objects", action="delete", kind="charge", id=gone)
    second = center.run(charges)
    assert center.ids("charges") == center.truth("charges")
    assert new["id"] in center.truth("charges")
    assert center.rows("SELECT DISTINCT _run FROM charges") == [(second.id,)]
    assert center.rows(f"SELECT amount, amount_major FROM charges WHERE id = '{new['id']}'")[0][0] == 4200


def test_an_append_keeps_each_runs_rows_beside_those_before(center: Center) -> None:
    coupons = center.dataset("coupons", method="append")
    first, second = center.run(coupons), center.run(coupons)
    assert center.rows("SELECT _run, count(*) FROM coupons GROUP BY 1 ORDER BY 1") == [(first.id, 30), (second.id, 30)]
    assert center.ids("coupons", f"_run = '{second.id}'") == center.truth("coupons")


def test_a_merge_changes_what_changed_and_marks_what_is_gone(center: Center) -> None:
    customers = center.dataset("customers", method="merge")
    center.run(customers)
    changed, gone = center.truth("customers")[:2]
    center.stripe.control("objects", action="update", kind="customer", id=changed, fields={"email": "new@example.com"})
    center.stripe.control("objects", action="delete", kind="customer", id=gone)
    new = center.create("customer")["id"]
    second = center.run(customers)
    counts = second.counts
    assert (counts.read, counts.added, counts.changed, counts.deleted) == (3, 1, 1, 1)
    assert center.ids("customers", "NOT _deleted") == center.truth("customers")
    assert center.ids("customers", "_deleted") == [gone]
    assert center.rows(f"SELECT email IS NOT NULL, _deleted_at IS NOT NULL FROM customers WHERE id = '{gone}'") == [
        (True, True)
    ]
    assert center.ids("customers", f"_run = '{second.id}'") == sorted([changed, new])


def test_events_that_stripe_lists_no_longer_stay(center: Center) -> None:
    events = center.dataset("events")
    assert events.method == "merge"
    center.run(events)
    before = center.truth("events")
    center.later(days=20)
    new = center.create("customer")
    center.run(events)
    listed = center.truth("events")
    assert set(before) - set(listed), "some have gone from Stripe's list"
    assert center.ids("events", "NOT _deleted") == sorted({*before, *listed})
    assert new["id"]


def test_a_partition_reads_everything_first_and_then_its_months_only(center: Center) -> None:
    refunds = center.dataset("refunds", method="partition", partition=Partition(unit="month", last=2))
    first = center.run(refunds)
    assert first.reason == "Everything is read: it is the first run, or a reload was asked for."
    assert center.ids("refunds") == center.truth("refunds")
    new = center.create("refund")["id"]
    october = datetime(2026, 10, 1, tzinfo=UTC)
    recent = center.ids("refunds", f"created >= '{october}'")
    gone, stays = recent[0], center.ids("refunds", f"created < '{october}'")[0]
    for one in (gone, stays):
        center.stripe.control("objects", action="delete", kind="refund", id=one)
    second = center.run(refunds)
    assert (second.reason, second.plan["method"]) == (None, "partition")
    assert second.counts.read == len(recent), "one came, one went"
    assert center.ids("refunds") == sorted({*center.truth("refunds"), stays})
    assert new in center.ids("refunds", f"_run = '{second.id}'")
    assert gone not in center.ids("refunds")


def test_a_partition_loses_nothing_between_two_of_its_windows(center: Center) -> None:
    charges = center.dataset("charges", method="partition", partition=Partition(unit="day", last=1))
    center.run(charges)
    for _ in range(3):
        center.later(hours=11)
        center.create("charge")
    center.later(days=2)
    second = center.run(charges)
    assert second.reason is None
    assert second.counts.read < 100
    assert center.ids("charges") == center.truth("charges")


def test_a_partition_whose_table_is_gone_reads_everything_again(center: Center) -> None:
    refunds = center.dataset("refunds", method="partition", partition=Partition(unit="month", last=1))
    center.run(refunds)
    (center.settings.home / FILE).unlink()
    again = center.run(refunds)
    assert again.reason == "Everything is read: the table is gone."
    assert center.ids("refunds") == center.truth("refunds")


def test_a_partition_into_another_table_of_ours_reads_everything_again(center: Center) -> None:
    other = center.dataset("refunds", "other", choice=Choice(since=center.now() - 5 * DAY))
    center.run(other)
    center.datasets.remove("other")
    refunds = center.dataset("refunds", method="partition", partition=Partition(unit="month", last=1))
    center.run(refunds)
    center.datasets.edit("refunds", targets=(Target(url=f"duckdb:///{FILE}", table="other"),))
    again = center.run(refunds)
    assert again.reason == "Everything is read: the table is not the one that the last run left."
    assert center.ids("other") == center.truth("refunds")


@pytest.mark.parametrize("method", ["append", "merge"])
def test_a_partition_after_another_method_reads_everything_again(center: Center, method: str) -> None:
    refunds = center.dataset("refunds", method=method)
    center.run(refunds)
    center.run(refunds)
    center.datasets.edit("refunds", method="partition", partition=Partition(unit="month", last=1))
    again = center.run(refunds)
    assert again.reason == "Everything is read: the update method was changed."
    assert center.ids("refunds") == center.truth("refunds"), "each once"


def test_an_edited_choice_reads_everything_again_and_makes_the_table_anew(center: Center) -> None:
    refunds = center.dataset("refunds", method="partition", partition=Partition(unit="month", last=1))
    center.run(refunds)
    center.datasets.edit("refunds", choice=Choice(left_out=("reason",), hashed=("amount",), promoted=("order",)))
    again = center.run(refunds)
    assert again.reason == "Everything is read: what the dataset holds of the report was changed."
    columns = {name for name, *_ in center.rows("DESCRIBE refunds")}
    assert "reason" not in columns
    assert "metadata_order" in columns
    assert center.ids("refunds") == center.truth("refunds")
    assert center.run(refunds).reason is None


def test_the_last_days_of_a_choice_are_whole_days_before_each_run(center: Center) -> None:
    charges = center.dataset("charges", choice=Choice(last_days=30))
    center.run(charges)
    start = (center.now() - 60) // DAY * DAY - 30 * DAY
    ((oldest, rows),) = center.rows("SELECT epoch(min(created)), count(*) FROM charges")
    assert oldest >= start
    assert 0 < rows < 600


def test_a_key_that_may_not_read_its_account_still_knows_stripes_time(center: Center) -> None:
    center.stripe.control("keys", key="rk_test_few", permissions=["rak_charge_read"])
    center.account(key="rk_test_few")
    refunds = center.dataset("charges", method="partition", partition=Partition(unit="month", last=1))
    center.run(refunds)
    center.create("charge")
    second = center.run(refunds)
    assert (second.status, second.reason) == ("succeeded", None)
    assert center.ids("charges") == center.truth("charges")


def test_a_run_goes_on_with_the_account_that_it_began_with(center: Center) -> None:
    charges = center.dataset("charges")
    center.stripe.control("keys", key="sk_test_refused", refused=True)
    center.account("Other", key="sk_test_refused")
    run = center.runs.create(charges.id, "manual")
    center.steps.plan(run.id, 1)
    center.datasets.edit("charges", account="Other")
    center.attempt(run)
    assert center.runs.get(run.id).status == "succeeded"
    assert KEY not in repr(center.runs.get(run.id))


@pytest.mark.parametrize("report", ["balance", "discounts", "transfers", "recipients"])
def test_a_dataset_of_each_source_shape_runs_twice(center: Center, report: str) -> None:
    dataset = center.dataset(report, method="replace")
    runs = [center.run(dataset), center.run(dataset)]
    assert [run.status for run in runs] == ["succeeded", "succeeded"]
    assert runs[0].counts.read == runs[1].counts.read


def test_parquet_takes_the_methods_that_it_can(center: Center) -> None:
    target = (Target(url="parquet:///files", table="refunds"),)
    refunds = center.dataset("refunds", method="partition", partition=Partition(unit="month", last=2), targets=target)
    center.run(refunds)
    new = center.create("refund")["id"]
    second = center.run(refunds)
    assert (second.status, second.reason) == ("succeeded", None), second.error
    table = center.settings.home / "files" / "refunds"
    found = duckdb.sql(f"SELECT id FROM read_parquet('{table}/**/*.parquet')").fetchall()
    assert sorted(row for (row,) in found) == center.truth("refunds")
    assert new in center.truth("refunds")


def test_a_delta_table_is_merged_from_what_events_tell(center: Center) -> None:
    target = (Target(url="delta:///lake", table="customers"),)
    customers = center.dataset("customers", method="merge", targets=target)
    center.run(customers)
    changed, gone = center.truth("customers")[:2]
    center.stripe.control("objects", action="update", kind="customer", id=changed, fields={"email": "new@example.com"})
    center.stripe.control("objects", action="delete", kind="customer", id=gone)
    new = center.create("customer")["id"]
    second = center.run(customers)
    counts = second.counts
    assert (counts.read, counts.added, counts.changed, counts.deleted) == (3, 1, 1, 1), second.error
    rows = pa.table(DeltaTable(center.settings.home / "lake" / "customers").to_pyarrow_dataset().to_table()).to_pylist()
    assert sorted(row["id"] for row in rows if not row["_deleted"]) == center.truth("customers")
    assert {row["id"] for row in rows if row["_run"] == second.id} == {changed, new}


def test_one_run_loads_into_each_table_of_its_dataset(center: Center) -> None:
    targets = (Target(url=f"duckdb:///{FILE}", table="one"), Target(url=f"duckdb:///{FILE}", table="two"))
    coupons = center.dataset("coupons", targets=targets)
    run = center.run(coupons)
    assert center.ids("one") == center.ids("two") == center.truth("coupons")
    assert [(load.table, load.rows) for load in center.runs.loads(run.id)] == [("one", 30), ("two", 30)]
