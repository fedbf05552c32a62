"""The rows of a table after several runs with each update method."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from counterfoil.state.datasets import Choice, Partition, Target

from .conftest import FILE, KEY, Center

DAY = 86_400


def test_replace_loads_exactly_the_rows_that_stripe_lists(center: Center) -> None:
    charges = center.dataset("charges", method="replace")
    first = center.run(charges)
    assert (first.status, first.counts.read, first.counts.added) == ("succeeded", 600, 600)
    assert center.ids("charges") == center.truth("charges")
    new = center.create("charge", fields={"amount": 4200})
    deleted = center.truth("charges")[0]
    center.stripe.control("objects", action="delete", kind="charge", id=deleted)
    second = center.run(charges)
    assert center.ids("charges") == center.truth("charges")
    assert new["id"] in center.truth("charges")
    assert center.rows("SELECT DISTINCT _run FROM charges") == [(second.id,)]
    assert center.rows(f"SELECT amount, amount_major FROM charges WHERE id = '{new['id']}'")[0][0] == 4200


def test_append_adds_the_rows_of_each_run(center: Center) -> None:
    coupons = center.dataset("coupons", method="append")
    first, second = center.run(coupons), center.run(coupons)
    assert center.rows("SELECT _run, count(*) FROM coupons GROUP BY 1 ORDER BY 1") == [(first.id, 30), (second.id, 30)]
    assert center.ids("coupons", f"_run = '{second.id}'") == center.truth("coupons")


def test_merge_updates_changed_rows_and_marks_deleted_rows(center: Center) -> None:
    customers = center.dataset("customers", method="merge")
    center.run(customers)
    changed, deleted = center.truth("customers")[:2]
    center.stripe.control("objects", action="update", kind="customer", id=changed, fields={"email": "new@example.com"})
    center.stripe.control("objects", action="delete", kind="customer", id=deleted)
    new = center.create("customer")["id"]
    second = center.run(customers)
    counts = second.counts
    assert (counts.read, counts.added, counts.changed, counts.deleted) == (3, 1, 1, 1)
    assert center.ids("customers", "NOT _deleted") == center.truth("customers")
    assert center.ids("customers", "_deleted") == [deleted]
    assert center.rows(f"SELECT email IS NOT NULL, _deleted_at IS NOT NULL FROM customers WHERE id = '{deleted}'") == [
        (True, True)
    ]
    assert center.ids("customers", f"_run = '{second.id}'") == sorted([changed, new])


def test_events_stay_after_stripe_deletes_them(center: Center) -> None:
    events = center.dataset("events")
    assert events.method == "merge"
    center.run(events)
    before = center.truth("events")
    center.later(days=20)
    new = center.create("customer")
    center.run(events)
    listed = center.truth("events")
    assert set(before) - set(listed), "Stripe no longer lists some events"
    assert center.ids("events", "NOT _deleted") == sorted({*before, *listed})
    assert new["id"]


def test_partition_reads_all_rows_first_and_then_only_its_months(center: Center) -> None:
    refunds = center.dataset("refunds", method="partition", partition=Partition(unit="month", last=2))
    first = center.run(refunds)
    assert "first run" in (first.reason or "")
    assert center.ids("refunds") == center.truth("refunds")
    new = center.create("refund")["id"]
    october = datetime(2026, 10, 1, tzinfo=UTC)
    recent = center.ids("refunds", f"created >= '{october}'")
    deleted, retained = recent[0], center.ids("refunds", f"created < '{october}'")[0]
    for one in (deleted, retained):
        center.stripe.control("objects", action="delete", kind="refund", id=one)
    second = center.run(refunds)
    assert (second.reason, second.plan["method"]) == (None, "partition")
    assert second.counts.read == len(recent), "one refund is new and one is deleted"
    assert center.ids("refunds") == sorted({*center.truth("refunds"), retained})
    assert new in center.ids("refunds", f"_run = '{second.id}'")
    assert deleted not in center.ids("refunds")


def test_partition_loses_no_rows_between_two_windows(center: Center) -> None:
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


def test_partition_with_a_missing_table_makes_a_full_refresh(center: Center) -> None:
    refunds = center.dataset("refunds", method="partition", partition=Partition(unit="month", last=1))
    center.run(refunds)
    (center.settings.home / FILE).unlink()
    refresh = center.run(refunds)
    assert "does not exist" in (refresh.reason or "")
    assert center.ids("refunds") == center.truth("refunds")


def test_partition_into_the_table_of_another_dataset_makes_a_full_refresh(center: Center) -> None:
    other = center.dataset("refunds", "other", choice=Choice(since=center.now() - 5 * DAY))
    center.run(other)
    center.datasets.remove("other")
    refunds = center.dataset("refunds", method="partition", partition=Partition(unit="month", last=1))
    center.run(refunds)
    center.datasets.edit("refunds", targets=(Target(url=f"duckdb:///{FILE}", table="other"),))
    refresh = center.run(refunds)
    assert "dataset's last run" in (refresh.reason or "")
    assert center.ids("other") == center.truth("refunds")


@pytest.mark.parametrize("method", ["append", "merge"])
def test_partition_after_another_method_makes_a_full_refresh(center: Center, method: str) -> None:
    refunds = center.dataset("refunds", method=method)
    center.run(refunds)
    center.run(refunds)
    center.datasets.edit("refunds", method="partition", partition=Partition(unit="month", last=1))
    refresh = center.run(refunds)
    assert "update method" in (refresh.reason or "")
    assert center.ids("refunds") == center.truth("refunds"), "each row once"


def test_edited_columns_cause_a_full_refresh_with_a_new_table(center: Center) -> None:
    refunds = center.dataset("refunds", method="partition", partition=Partition(unit="month", last=1))
    center.run(refunds)
    center.datasets.edit("refunds", choice=Choice(left_out=("reason",), hashed=("amount",), promoted=("order",)))
    refresh = center.run(refunds)
    assert "options or columns" in (refresh.reason or "")
    columns = {name for name, *_ in center.rows("DESCRIBE refunds")}
    assert "reason" not in columns
    assert "metadata_order" in columns
    assert center.ids("refunds") == center.truth("refunds")
    assert center.run(refunds).reason is None


def test_last_days_are_whole_days_before_each_run(center: Center) -> None:
    charges = center.dataset("charges", choice=Choice(last_days=30))
    center.run(charges)
    start = (center.now() - 60) // DAY * DAY - 30 * DAY
    ((oldest, rows),) = center.rows("SELECT epoch(min(created)), count(*) FROM charges")
    assert oldest >= start
    assert 0 < rows < 600


def test_key_without_permission_to_read_its_account_gets_the_clock_of_stripe(center: Center) -> None:
    center.stripe.control("keys", key="rk_test_few", permissions=["rak_charge_read"])
    center.account(key="rk_test_few")
    refunds = center.dataset("charges", method="partition", partition=Partition(unit="month", last=1))
    center.run(refunds)
    center.create("charge")
    second = center.run(refunds)
    assert (second.status, second.reason) == ("succeeded", None)
    assert center.ids("charges") == center.truth("charges")


def test_run_keeps_the_account_of_its_plan(center: Center) -> None:
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
def test_dataset_of_each_source_kind_runs_twice(center: Center, report: str) -> None:
    dataset = center.dataset(report, method="replace")
    runs = [center.run(dataset), center.run(dataset)]
    assert [run.status for run in runs] == ["succeeded", "succeeded"]
    assert runs[0].counts.read == runs[1].counts.read


def test_parquet_supports_partition(center: Center) -> None:
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


def test_delta_table_is_merged_from_events(center: Center) -> None:
    target = (Target(url="delta:///lake", table="customers"),)
    customers = center.dataset("customers", method="merge", targets=target)
    center.run(customers)
    changed, deleted = center.truth("customers")[:2]
    center.stripe.control("objects", action="update", kind="customer", id=changed, fields={"email": "new@example.com"})
    center.stripe.control("objects", action="delete", kind="customer", id=deleted)
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
