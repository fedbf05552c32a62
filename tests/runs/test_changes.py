"""Runs of a merge that read what changed leave what reading everything would."""

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


def read_whole(center: Center, report: str, **given: Any) -> str:
    """A table with everything that Stripe has now."""
    name = f"whole_{report}"
    if name not in {dataset.name for dataset in center.datasets.list()}:
        center.dataset(report, name, method="replace", **given)
    run = center.run(name)
    assert run.status == "succeeded", run.error
    return name


def same_as_whole(center: Center, table: str, report: str, **given: Any) -> None:
    """Row for row."""
    whole = read_whole(center, report, **given)
    ours, theirs = (f'(SELECT * EXCLUDE ({ASIDE}) FROM "{name}" WHERE NOT _deleted)' for name in (table, whole))
    for one, other in ((ours, theirs), (theirs, ours)):
        different = center.rows(f"SELECT to_json(row)::VARCHAR FROM ({one} EXCEPT ALL {other}) AS row LIMIT 3")
        assert different == []


def change(center: Center, kind: str, id_: str, **fields: Any) -> None:
    center.stripe.control("objects", action="update", kind=kind, id=id_, fields=fields)


def delete(center: Center, kind: str, id_: str) -> None:
    center.stripe.control("objects", action="delete", kind=kind, id=id_)


def merged(center: Center, report: str, **given: Any) -> Run:
    """A dataset whose first run is over."""
    run = center.run(center.dataset(report, method="merge", **given))
    assert (run.status, run.plan["whole"]) == ("succeeded", True)
    return run


def changed(center: Center, report: str) -> Run:
    """A run that read changes."""
    run = center.run(report)
    assert run.status == "succeeded", run.error
    assert (run.plan["changes"] is not None, run.reason) == (True, None)
    return run


def test_a_run_reads_what_is_new_what_changed_and_what_is_gone(center: Center) -> None:
    merged(center, "customers")
    ids = center.truth("customers")
    change(center, "customer", ids[3], email="new@example.com")
    delete(center, "customer", ids[5])
    new = center.create("customer")["id"]
    center.asked()
    run = changed(center, "customers")
    assert (run.counts.added, run.counts.changed, run.counts.deleted) == (1, 1, 1)
    assert center.ids("customers", "_deleted") == [ids[5]]
    assert center.rows(f"SELECT email FROM customers WHERE id = '{ids[3]}'") == [("new@example.com",)]
    assert new in center.ids("customers")
    # The two lie close together: one window brings both, and the one that it lacks is looked at.
    assert center.asked() == {
        "GET /v1/account": 1,
        "GET /v1/customers": 2,
        "GET /v1/customers/{id}": 1,
        "GET /v1/events": 2,
    }
    same_as_whole(center, "customers", "customers")


@pytest.mark.parametrize("stripe", [0.05], indirect=True)
@pytest.mark.parametrize("report", sampled(MERGED))
def test_nothing_changed_and_nothing_is_different(center: Center, report: str) -> None:
    merged(center, report)
    run = center.run(report)
    assert (run.counts.added, run.counts.changed, run.counts.deleted) == (0, 0, 0)
    same_as_whole(center, report, report)


def newest_event(center: Center, type_: str) -> Any:
    request = urllib.request.Request(
        f"{center.stripe.url}/v1/events?limit=1&type={type_}", headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["data"][0]


def one(center: Center, table: str, id_: str, columns: str) -> tuple[Any, ...]:
    """Some columns of a row."""
    (row,) = center.rows(f"SELECT {columns} FROM {table} WHERE id = '{id_}'")
    return row


@pytest.mark.parametrize("stripe", [1], indirect=True)
def test_an_invoice_of_37_lines_keeps_them_and_its_columns_whatever_version_its_event_has(center: Center) -> None:
    merged(center, "invoices")
    longest = "SELECT id FROM invoices ORDER BY json_array_length(lines->'data') DESC LIMIT 1"
    ((id_,),) = center.rows(longest)
    columns = "json_array_length(lines->'data'), parent_subscription_details_subscription, _extra"
    lines, subscription, extra = one(center, "invoices", id_, columns)
    assert lines == 37
    change(center, "invoice", id_, description="Read again")
    event = newest_event(center, "invoice.updated")
    assert event["api_version"] == "2020-08-27"
    assert len(event["data"]["object"]["lines"]["data"]) == 10
    assert event["data"]["object"]["subscription"] == subscription
    assert "parent" not in event["data"]["object"]
    assert changed(center, "invoices").counts.changed == 1
    assert one(center, "invoices", id_, f"{columns}, description") == (37, subscription, extra, "Read again")


def test_an_item_that_changes_without_an_event_is_read_again_while_it_is_pending(center: Center) -> None:
    merged(center, "invoiceitems")
    ((id_,),) = center.rows("SELECT id FROM invoiceitems WHERE invoice IS NULL ORDER BY id LIMIT 1")
    change(center, "invoiceitem", id_, description="Nobody tells")
    assert changed(center, "invoiceitems").counts.changed == 1
    assert one(center, "invoiceitems", id_, "description") == ("Nobody tells",)


def test_options_hold_for_what_is_read_again_of_a_parent(center: Center) -> None:
    merged(center, "invoiceitems", choice=Choice(options={"pending": "true"}))
    customer, count = center.rows(
        "SELECT customer, count(*) FROM invoiceitems GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 1"
    )[0]
    before = center.ids("invoiceitems")
    center.create("invoiceitem", fields={"customer": customer, "invoice": None})
    changed(center, "invoiceitems")
    assert len(center.ids("invoiceitems")) == len(before) + 1
    assert center.rows("SELECT count(*) FROM invoiceitems WHERE invoice IS NOT NULL") == [(0,)]
    assert count < center.rows(f"SELECT count(*) FROM invoiceitems WHERE customer = '{customer}'")[0][0]


def test_a_canceled_subscription_leaves_what_is_not_canceled(center: Center) -> None:
    merged(center, "subscriptions")
    gone = center.ids("subscriptions")[0]
    delete(center, "subscription", gone)
    run = changed(center, "subscriptions")
    assert center.ids("subscriptions", "_deleted") == [gone]
    assert any("no longer among what the options let through: 1" in line for line in center.lines(run))
    same_as_whole(center, "subscriptions", "subscriptions")


def test_a_canceled_subscription_stays_in_all_subscriptions(center: Center) -> None:
    merged(center, "all_subscriptions")
    gone = center.truth("subscriptions")[0]
    assert one(center, "all_subscriptions", gone, "status, ended_at")[0] != "canceled"
    delete(center, "subscription", gone)
    run = changed(center, "all_subscriptions")
    assert (run.counts.changed, run.counts.deleted) == (1, 0)
    status, ended_at, deleted = one(center, "all_subscriptions", gone, "status, ended_at, _deleted")
    assert (status, ended_at is not None, deleted) == ("canceled", True, False)
    assert center.ids("all_subscriptions") == center.truth("all_subscriptions")
    same_as_whole(center, "all_subscriptions", "all_subscriptions")


def test_deleted_rows_are_dropped_when_that_is_chosen(center: Center) -> None:
    merged(center, "customers", merge=Merge(deleted="drop"))
    gone = center.ids("customers")[0]
    delete(center, "customer", gone)
    assert changed(center, "customers").counts.deleted == 1
    assert gone not in center.ids("customers")


def test_another_choice_of_what_becomes_of_deleted_rows_reads_everything(center: Center) -> None:
    merged(center, "customers")
    center.datasets.edit("customers", merge=Merge(deleted="drop"))
    assert "what is done with deleted rows was changed" in (center.run("customers").reason or "")


def test_a_gap_that_events_can_not_tell_of_is_mended_by_reading_everything(center: Center) -> None:
    merged(center, "customers")
    center.later(days=40)
    run = center.run("customers")
    assert run.plan["whole"]
    assert "the last run is more than 29 days ago" in (run.reason or "")
    assert changed(center, "customers").counts.changed == 0


def test_a_key_that_may_not_see_events_reads_everything_and_says_so(center: Center) -> None:
    center.stripe.control("keys", key="rk_test_narrow_4242", permissions=["rak_customer_read"])
    center.account("Narrow", key="rk_test_narrow_4242")
    merged(center, "customers", account="Narrow")
    delete(center, "customer", center.ids("customers")[0])
    run = center.run("customers")
    assert "without rak_event_read the key can't see what changed" in (run.reason or "")
    assert run.counts.deleted == 1


def test_everything_is_read_again_within_the_days_chosen(center: Center) -> None:
    merged(center, "coupons")
    merged(center, "customers", merge=Merge(reread_days=2))
    center.later(days=1)
    changed(center, "customers")
    center.later(days=1)
    run = center.run("customers")
    assert run.plan["whole"]
    assert "as it is every 2 days" in (run.reason or "")


def test_what_no_event_tells_is_found_bit_by_bit_where_reading_everything_takes_too_many_requests(
    make_center: Callable[..., Center],
) -> None:
    center = make_center(reread_requests=2)
    merged(center, "charges", merge=Merge(reread_days=4))
    old = center.truth("charges")[-1]
    center.stripe.control("objects", action="delete", kind="charge", id=old, event=None)
    for _ in range(5):
        center.later(days=1)
        run = center.run("charges")
        assert not run.plan["whole"]
    assert center.ids("charges", "_deleted") == [old]


def test_reading_everything_takes_the_place_of_more_changes_than_there_are_pages(center: Center) -> None:
    merged(center, "refunds")
    for id_ in center.truth("refunds"):
        change(center, "refund", id_, metadata={"touched": "yes"})
    run = center.run("refunds")
    assert run.counts.changed == len(center.truth("refunds"))
    assert run.requests["GET /v1/refunds"] < 5
    same_as_whole(center, "refunds", "refunds")


def test_items_that_are_read_again_bit_by_bit_stay(make_center: Callable[..., Center]) -> None:
    center = make_center(reread_requests=2)
    merged(center, "invoiceitems", merge=Merge(reread_days=2))
    for _ in range(3):
        center.later(days=1)
        assert not center.run("invoiceitems").plan["whole"]
    assert center.ids("invoiceitems", "_deleted") == []
    same_as_whole(center, "invoiceitems", "invoiceitems")


@pytest.mark.parametrize(
    ("report", "column"),
    [("balance_transactions", "status"), ("balance_transactions", "available_on"), ("invoiceitems", "customer")],
)
def test_a_column_that_tells_what_to_read_again_is_not_looked_for_in_hashes(
    center: Center, report: str, column: str
) -> None:
    merged(center, report, choice=Choice(hashed=(column,)))
    run = center.run(report)
    assert run.status == "succeeded", run.error
    assert run.plan["whole"]
    assert column in (run.reason or "")


def test_objects_of_others_leave_no_rows_where_options_narrow(center: Center) -> None:
    merged(center, "charges")
    (customer,), (other,) = center.rows(
        "SELECT customer FROM charges GROUP BY ALL HAVING customer IS NOT NULL ORDER BY count(*) DESC, 1 LIMIT 2"
    )
    choice = Choice(options={"customer": customer})
    run = center.run(center.dataset("charges", "mine", method="merge", choice=choice))
    assert run.status == "succeeded", run.error
    ours = center.ids("mine")
    ((theirs,),) = center.rows(f"SELECT min(id) FROM charges WHERE customer = '{other}'")
    for id_ in (ours[0], theirs):
        change(center, "charge", id_, description="Another")
    run = changed(center, "mine")
    assert (run.counts.added, run.counts.changed, run.counts.deleted) == (0, 1, 0)
    assert center.ids("mine") == ours


def test_lines_leave_with_the_draft_that_they_are_of(center: Center) -> None:
    merged(center, "invoice_line_items")
    ((draft, lines),) = center.rows(
        "SELECT invoice, count(*) FROM invoice_line_items GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    )
    delete(center, "invoice", draft)
    run = changed(center, "invoice_line_items")
    assert run.counts.deleted == lines
    assert center.rows("SELECT DISTINCT invoice FROM invoice_line_items WHERE _deleted") == [(draft,)]
    same_as_whole(center, "invoice_line_items", "invoice_line_items")


def test_the_table_as_of_an_earlier_run_is_asked_of_its_history(center: Center) -> None:
    merged(center, "customers", merge=Merge(history=True))
    first, ids = center.now(), center.ids("customers")
    before = center.rows("SELECT email FROM customers ORDER BY id")
    change(center, "customer", ids[0], email="new@example.com")
    delete(center, "customer", ids[1])
    center.later(hours=1)
    changed(center, "customers")
    as_of = "SELECT email FROM customers__as_of(to_timestamp({}))"
    assert center.rows(f"{as_of.format(first)} ORDER BY id") == before
    now = center.rows(f"{as_of.format(center.now())} ORDER BY id")
    assert now == [("new@example.com",), *before[2:]]


def begun(center: Center, name: str) -> Run:
    """A run of changes that is planned and no more."""
    center.clock.advance(minutes=1)
    run = center.runs.create(center.datasets.get(name).id, "manual")
    center.steps.plan(run.id, 1)
    assert not center.runs.get(run.id).plan["whole"]
    return run


def test_a_reload_that_is_asked_for_while_a_run_is_under_way_is_not_forgotten(center: Center) -> None:
    merged(center, "customers")
    run = begun(center, "customers")
    center.datasets.set_bookmark("customers", None)
    center.attempt(run)
    assert center.runs.get(run.id).status == "succeeded"
    assert center.run("customers").plan["whole"]


def test_changes_are_loaded_into_no_table_but_the_one_that_they_go_on_from(center: Center) -> None:
    merged(center, "customers")
    run = begun(center, "customers")
    center.datasets.edit("customers", targets=(Target(url=f"duckdb:///{FILE}", table="other"),))
    center.create("customer")
    center.attempt(run)
    found = center.runs.get(run.id)
    assert (found.status, found.error and "other" in found.error["message"]) == ("failed", True)
    assert center.run("customers").plan["whole"]
    assert center.ids("other") == center.truth("customers")


def test_what_an_option_lets_through_later_without_an_event_is_found_by_reading_everything(center: Center) -> None:
    merged(center, "events", choice=Choice(options={"delivery_success": "true"}))
    run = center.run("events")
    assert run.plan["whole"]
    assert "delivery_success" in (run.reason or "")
