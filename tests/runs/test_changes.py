"""Incremental runs of a merge leave the same rows as a full refresh."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from counterfoil.reports.catalogue import REPORTS
from counterfoil.state.datasets import Choice, Merge, Target
from counterfoil.state.run import Run
from tests.gate import sampled

from .conftest import FILE, KEY, Center

ASIDE = "_run, _synced_at, _api_version, _deleted, _deleted_at"
MERGED = [each.key for each in REPORTS if "merge" in each.methods and each.key != "recipients"]


def full_refresh(center: Center, report: str, **options: Any) -> str:
    """Loads a full refresh of the report into a separate table; returns its name."""
    name = f"whole_{report}"
    if name not in {dataset.name for dataset in center.datasets.list()}:
        center.dataset(report, name, method="replace", **options)
    run = center.run(name)
    assert run.status == "succeeded", run.error
    return name


def assert_equals_full_refresh(center: Center, table: str, report: str, **options: Any) -> None:
    """Asserts that the table equals a full refresh, row by row."""
    whole = full_refresh(center, report, **options)
    actual, expected = (f'(SELECT * EXCLUDE ({ASIDE}) FROM "{name}" WHERE NOT _deleted)' for name in (table, whole))
    for one, other in ((actual, expected), (expected, actual)):
        different = center.rows(f"SELECT to_json(row)::VARCHAR FROM ({one} EXCEPT ALL {other}) AS row LIMIT 3")
        assert different == []


def update_object(center: Center, kind: str, id_: str, **fields: Any) -> None:
    center.stripe.control("objects", action="update", kind=kind, id=id_, fields=fields)


def delete_object(center: Center, kind: str, id_: str) -> None:
    center.stripe.control("objects", action="delete", kind=kind, id=id_)


def first_merge(center: Center, report: str, **options: Any) -> Run:
    """The first run of a new merge dataset."""
    run = center.run(center.dataset(report, method="merge", **options))
    assert (run.status, run.plan["whole"]) == ("succeeded", True)
    return run


def incremental_run(center: Center, report: str) -> Run:
    """An incremental run of the dataset."""
    run = center.run(report)
    assert run.status == "succeeded", run.error
    assert (run.plan["changes"] is not None, run.reason) == (True, None)
    return run


def test_incremental_run_reads_new_changed_and_deleted_objects(center: Center) -> None:
    first_merge(center, "customers")
    ids = center.truth("customers")
    update_object(center, "customer", ids[3], email="new@example.com")
    delete_object(center, "customer", ids[5])
    new = center.create("customer")["id"]
    center.asked()
    run = incremental_run(center, "customers")
    assert (run.counts.added, run.counts.changed, run.counts.deleted) == (1, 1, 1)
    assert center.ids("customers", "_deleted") == [ids[5]]
    assert center.rows(f"SELECT email FROM customers WHERE id = '{ids[3]}'") == [("new@example.com",)]
    assert new in center.ids("customers")
    # The two are close together: one window returns both. The deleted object, which it lacks, is requested by id.
    assert center.asked() == {
        "GET /v1/account": 1,
        "GET /v1/customers": 2,
        "GET /v1/customers/{id}": 1,
        "GET /v1/events": 2,
    }
    assert_equals_full_refresh(center, "customers", "customers")


@pytest.mark.parametrize("stripe", [0.05], indirect=True)
@pytest.mark.parametrize("report", sampled(MERGED))
def test_incremental_run_without_changes_leaves_the_table_equal(center: Center, report: str) -> None:
    first_merge(center, report)
    run = center.run(report)
    assert (run.counts.added, run.counts.changed, run.counts.deleted) == (0, 0, 0)
    assert_equals_full_refresh(center, report, report)


def newest_event(center: Center, type_: str) -> Any:
    request = urllib.request.Request(
        f"{center.stripe.url}/v1/events?limit=1&type={type_}", headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["data"][0]


def values_of(center: Center, table: str, id_: str, columns: str) -> tuple[Any, ...]:
    """The columns of the row with this id."""
    (row,) = center.rows(f"SELECT {columns} FROM {table} WHERE id = '{id_}'")
    return row


@pytest.mark.parametrize("stripe", [1], indirect=True)
def test_invoice_keeps_its_37_lines_and_columns_after_an_event_of_an_older_api_version(center: Center) -> None:
    first_merge(center, "invoices")
    longest = "SELECT id FROM invoices ORDER BY json_array_length(lines->'data') DESC LIMIT 1"
    ((id_,),) = center.rows(longest)
    columns = "json_array_length(lines->'data'), parent_subscription_details_subscription, _extra"
    lines, subscription, extra = values_of(center, "invoices", id_, columns)
    assert lines == 37
    update_object(center, "invoice", id_, description="Read again")
    event = newest_event(center, "invoice.updated")
    assert event["api_version"] == "2020-08-27"
    assert len(event["data"]["object"]["lines"]["data"]) == 10
    assert event["data"]["object"]["subscription"] == subscription
    assert "parent" not in event["data"]["object"]
    assert incremental_run(center, "invoices").counts.changed == 1
    assert values_of(center, "invoices", id_, f"{columns}, description") == (37, subscription, extra, "Read again")


def test_pending_item_that_changes_without_an_event_is_read_again(center: Center) -> None:
    first_merge(center, "invoiceitems")
    ((id_,),) = center.rows("SELECT id FROM invoiceitems WHERE invoice IS NULL ORDER BY id LIMIT 1")
    update_object(center, "invoiceitem", id_, description="No event")
    assert incremental_run(center, "invoiceitems").counts.changed == 1
    assert values_of(center, "invoiceitems", id_, "description") == ("No event",)


def test_options_apply_to_rows_that_are_reread_by_parent(center: Center) -> None:
    first_merge(center, "invoiceitems", choice=Choice(options={"pending": "true"}))
    customer, count = center.rows(
        "SELECT customer, count(*) FROM invoiceitems GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 1"
    )[0]
    before = center.ids("invoiceitems")
    center.create("invoiceitem", fields={"customer": customer, "invoice": None})
    incremental_run(center, "invoiceitems")
    assert len(center.ids("invoiceitems")) == len(before) + 1
    assert center.rows("SELECT count(*) FROM invoiceitems WHERE invoice IS NOT NULL") == [(0,)]
    assert count < center.rows(f"SELECT count(*) FROM invoiceitems WHERE customer = '{customer}'")[0][0]


def test_canceled_subscription_is_deleted_from_subscriptions(center: Center) -> None:
    first_merge(center, "subscriptions")
    deleted = center.ids("subscriptions")[0]
    delete_object(center, "subscription", deleted)
    run = incremental_run(center, "subscriptions")
    assert center.ids("subscriptions", "_deleted") == [deleted]
    assert any("match the options" in line and line.endswith(": 1") for line in center.lines(run))
    assert_equals_full_refresh(center, "subscriptions", "subscriptions")


def test_canceled_subscription_stays_in_all_subscriptions(center: Center) -> None:
    first_merge(center, "all_subscriptions")
    deleted = center.truth("subscriptions")[0]
    assert values_of(center, "all_subscriptions", deleted, "status, ended_at")[0] != "canceled"
    delete_object(center, "subscription", deleted)
    run = incremental_run(center, "all_subscriptions")
    assert (run.counts.changed, run.counts.deleted) == (1, 0)
    status, ended_at, is_deleted = values_of(center, "all_subscriptions", deleted, "status, ended_at, _deleted")
    assert (status, ended_at is not None, is_deleted) == ("canceled", True, False)
    assert center.ids("all_subscriptions") == center.truth("all_subscriptions")
    assert_equals_full_refresh(center, "all_subscriptions", "all_subscriptions")


def test_deleted_rows_are_dropped_with_the_option_drop(center: Center) -> None:
    first_merge(center, "customers", merge=Merge(deleted="drop"))
    deleted = center.ids("customers")[0]
    delete_object(center, "customer", deleted)
    assert incremental_run(center, "customers").counts.deleted == 1
    assert deleted not in center.ids("customers")


def test_changed_option_for_deleted_rows_causes_a_full_refresh(center: Center) -> None:
    first_merge(center, "customers")
    center.datasets.edit("customers", merge=Merge(deleted="drop"))
    run = center.run("customers")
    assert run.plan["whole"]
    assert "deleted rows" in (run.reason or "")


def test_gap_longer_than_the_retention_of_events_causes_a_full_refresh(center: Center) -> None:
    first_merge(center, "customers")
    center.later(days=40)
    run = center.run("customers")
    assert run.plan["whole"]
    assert "29 days ago" in (run.reason or "")
    assert incremental_run(center, "customers").counts.changed == 0


def test_key_without_permission_to_read_events_causes_a_full_refresh(center: Center) -> None:
    center.stripe.control("keys", key="rk_test_narrow_4242", permissions=["rak_customer_read"])
    center.account("Narrow", key="rk_test_narrow_4242")
    first_merge(center, "customers", account="Narrow")
    delete_object(center, "customer", center.ids("customers")[0])
    run = center.run("customers")
    assert run.plan["whole"]
    assert "permission rak_event_read" in (run.reason or "")
    assert run.counts.deleted == 1


def test_full_refresh_is_due_after_the_chosen_days(center: Center) -> None:
    first_merge(center, "coupons")
    first_merge(center, "customers", merge=Merge(reread_days=2))
    center.later(days=1)
    incremental_run(center, "customers")
    center.later(days=1)
    run = center.run("customers")
    assert run.plan["whole"]
    assert "every 2 days" in (run.reason or "")


def test_gradual_reread_finds_deletions_without_events_in_large_tables(
    make_center: Callable[..., Center],
) -> None:
    center = make_center(reread_requests=2)
    first_merge(center, "charges", merge=Merge(reread_days=4))
    old = center.truth("charges")[-1]
    center.stripe.control("objects", action="delete", kind="charge", id=old, event=None)
    for _ in range(5):
        center.later(days=1)
        run = center.run("charges")
        assert not run.plan["whole"]
    assert center.ids("charges", "_deleted") == [old]


def test_full_refresh_replaces_more_changes_than_there_are_pages(center: Center) -> None:
    first_merge(center, "refunds")
    for id_ in center.truth("refunds"):
        update_object(center, "refund", id_, metadata={"touched": "yes"})
    run = center.run("refunds")
    assert run.counts.changed == len(center.truth("refunds"))
    assert run.requests["GET /v1/refunds"] < 5
    assert_equals_full_refresh(center, "refunds", "refunds")


def test_gradual_reread_deletes_no_rows_that_still_exist(make_center: Callable[..., Center]) -> None:
    center = make_center(reread_requests=2)
    first_merge(center, "invoiceitems", merge=Merge(reread_days=2))
    for _ in range(3):
        center.later(days=1)
        assert not center.run("invoiceitems").plan["whole"]
    assert center.ids("invoiceitems", "_deleted") == []
    assert_equals_full_refresh(center, "invoiceitems", "invoiceitems")


@pytest.mark.parametrize(
    ("report", "column"),
    [("balance_transactions", "status"), ("balance_transactions", "available_on"), ("invoiceitems", "customer")],
)
def test_hashed_column_that_incremental_runs_need_causes_a_full_refresh(
    center: Center, report: str, column: str
) -> None:
    first_merge(center, report, choice=Choice(hashed=(column,)))
    run = center.run(report)
    assert run.status == "succeeded", run.error
    assert run.plan["whole"]
    assert column in (run.reason or "")


def test_changed_objects_outside_the_options_add_no_rows(center: Center) -> None:
    first_merge(center, "charges")
    (customer,), (other,) = center.rows(
        "SELECT customer FROM charges GROUP BY ALL HAVING customer IS NOT NULL ORDER BY count(*) DESC, 1 LIMIT 2"
    )
    choice = Choice(options={"customer": customer})
    run = center.run(center.dataset("charges", "mine", method="merge", choice=choice))
    assert run.status == "succeeded", run.error
    matching = center.ids("mine")
    ((outside,),) = center.rows(f"SELECT min(id) FROM charges WHERE customer = '{other}'")
    for id_ in (matching[0], outside):
        update_object(center, "charge", id_, description="Another")
    run = incremental_run(center, "mine")
    assert (run.counts.added, run.counts.changed, run.counts.deleted) == (0, 1, 0)
    assert center.ids("mine") == matching


def test_lines_of_a_deleted_draft_are_deleted(center: Center) -> None:
    first_merge(center, "invoice_line_items")
    ((draft, lines),) = center.rows(
        "SELECT invoice, count(*) FROM invoice_line_items GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    )
    delete_object(center, "invoice", draft)
    run = incremental_run(center, "invoice_line_items")
    assert run.counts.deleted == lines
    assert center.rows("SELECT DISTINCT invoice FROM invoice_line_items WHERE _deleted") == [(draft,)]
    assert_equals_full_refresh(center, "invoice_line_items", "invoice_line_items")


def test_history_returns_the_table_as_of_an_earlier_run(center: Center) -> None:
    first_merge(center, "customers", merge=Merge(history=True))
    first, ids = center.now(), center.ids("customers")
    before = center.rows("SELECT email FROM customers ORDER BY id")
    update_object(center, "customer", ids[0], email="new@example.com")
    delete_object(center, "customer", ids[1])
    center.later(hours=1)
    incremental_run(center, "customers")
    as_of = "SELECT email FROM customers__as_of(to_timestamp({}))"
    assert center.rows(f"{as_of.format(first)} ORDER BY id") == before
    now = center.rows(f"{as_of.format(center.now())} ORDER BY id")
    assert now == [("new@example.com",), *before[2:]]


def planned_run(center: Center, name: str) -> Run:
    """An incremental run after its plan step."""
    center.clock.advance(minutes=1)
    run = center.runs.create(center.datasets.get(name).id, "manual")
    center.steps.plan(run.id, 1)
    assert not center.runs.get(run.id).plan["whole"]
    return run


def test_reload_requested_during_a_run_applies_to_the_next_run(center: Center) -> None:
    first_merge(center, "customers")
    run = planned_run(center, "customers")
    center.datasets.set_bookmark("customers", None)
    center.attempt(run)
    assert center.runs.get(run.id).status == "succeeded"
    assert center.run("customers").plan["whole"]


def test_changes_are_not_loaded_into_a_table_that_lacks_the_previous_run(center: Center) -> None:
    first_merge(center, "customers")
    run = planned_run(center, "customers")
    center.datasets.edit("customers", targets=(Target(url=f"duckdb:///{FILE}", table="other"),))
    center.create("customer")
    center.attempt(run)
    found = center.runs.get(run.id)
    assert (found.status, found.error and "other" in found.error["message"]) == ("failed", True)
    assert center.run("customers").plan["whole"]
    assert center.ids("other") == center.truth("customers")


def test_option_whose_matches_change_without_events_causes_a_full_refresh(center: Center) -> None:
    first_merge(center, "events", choice=Choice(options={"delivery_success": "true"}))
    run = center.run("events")
    assert run.plan["whole"]
    assert "delivery_success" in (run.reason or "")
