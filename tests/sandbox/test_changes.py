from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.conftest import Client


def test_time_is_fixed_until_it_is_advanced(own: Client) -> None:
    before = own.sandbox.ask("state")["now"]
    assert own.sandbox.control("advance", seconds=90)["now"] == before + 90
    assert own.send("GET", "/v1/balance").headers["Date"] == "Sun, 01 Nov 2026 12:01:30 GMT"
    with pytest.raises(ValueError, match="backwards"):
        own.sandbox.control("advance", seconds=-1)


KINDS = [
    "charge",
    "customer",
    "coupon",
    "invoice",
    "invoiceitem",
    "plan",
    "refund",
    "subscription",
    "transfer",
    "payout",
]
PATHS = {
    "charge": "charges", "customer": "customers", "coupon": "coupons", "invoice": "invoices", "plan": "plans",
    "invoiceitem": "invoiceitems", "refund": "refunds", "subscription": "subscriptions", "transfer": "transfers",
    "payout": "payouts",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_created_object_is_listed_and_has_an_event(own: Client, kind: str) -> None:
    path = f"/v1/{PATHS[kind]}"
    own.sandbox.control("advance", seconds=10)
    created = own.sandbox.control("objects", kind=kind)
    assert own.get(path)["data"][0] == created
    assert own.get(f"{path}/{created['id']}") == created
    assert own.sandbox.ask(f"truth/{PATHS[kind]}")["ids"] == [one["id"] for one in own.all(path)]
    events = own.get("/v1/events", {"limit": 5})["data"]
    assert created["id"] in [one["data"]["object"]["id"] for one in events]


def test_object_created_in_the_past_is_sorted_by_time(own: Client) -> None:
    whole = own.all("/v1/charges")
    at = whole[200]["created"]
    created = own.sandbox.control("objects", kind="charge", created=at, fields={"amount": 4200})
    after = own.all("/v1/charges", limit=33)
    assert [one["id"] for one in after if one["id"] != created["id"]] == [one["id"] for one in whole]
    keys = [(one["created"], one["id"]) for one in after]
    assert keys == sorted(keys, reverse=True)
    assert created in own.all("/v1/charges", {"created": at})
    newer = own.get("/v1/charges", {"ending_before": created["id"], "limit": 1})["data"][0]
    assert own.get("/v1/charges", {"starting_after": newer["id"], "limit": 1})["data"][0] == created


def test_added_charge_changes_the_balance(own: Client) -> None:
    before = own.sandbox.ask("truth/balance")["usd"]["pending"]
    own.sandbox.control("objects", kind="charge", fields={"amount": 10000, "currency": "usd", "status": "succeeded"})
    after = {one["currency"]: one["amount"] for one in own.get("/v1/balance")["pending"]}["usd"]
    assert after == before + 10000 - 320
    assert after == own.sandbox.ask("truth/balance")["usd"]["pending"]
    newest = own.get("/v1/balance_transactions", {"limit": 1})["data"][0]
    assert (newest["net"], newest["status"]) == (9680, "pending")


def test_update_keeps_position_and_reports_previous_attributes(own: Client) -> None:
    whole = own.all("/v1/customers")
    one = whole[7]
    own.sandbox.control("advance", seconds=60)
    own.sandbox.control("objects", action="update", kind="customer", id=one["id"], fields={"name": "Neue Name"})
    after = own.all("/v1/customers")
    assert after == [*whole[:7], one | {"name": "Neue Name"}, *whole[8:]]
    event = own.get("/v1/events", {"limit": 1})["data"][0]
    assert (event["type"], event["data"]["previous_attributes"]) == ("customer.updated", {"name": one["name"]})
    assert event["data"]["object"]["name"] == "Neue Name"


def test_filters_use_updated_values(own: Client) -> None:
    one = own.get("/v1/invoices", {"status": "open", "limit": 1})["data"][0]
    own.sandbox.control("objects", action="update", kind="invoice", id=one["id"], fields={"status": "paid"})
    assert one["id"] in [other["id"] for other in own.all("/v1/invoices", {"status": "paid"})]
    assert one["id"] not in [other["id"] for other in own.all("/v1/invoices", {"status": "open"})]


def test_deleted_customer_leaves_the_list_and_becomes_a_stub(own: Client) -> None:
    whole = own.all("/v1/customers")
    deleted = whole[3]["id"]
    own.sandbox.control("objects", action="delete", kind="customer", id=deleted)
    assert own.all("/v1/customers") == whole[:3] + whole[4:]
    assert own.get(f"/v1/customers/{deleted}") == {"id": deleted, "object": "customer", "deleted": True}
    assert own.get("/v1/events", {"limit": 1})["data"][0]["type"] == "customer.deleted"


def test_a_deleted_invoice_item_is_404(own: Client) -> None:
    deleted = own.get("/v1/invoiceitems", {"pending": "true"})["data"][0]["id"]
    own.sandbox.control("objects", action="delete", kind="invoiceitem", id=deleted)
    response = own.send("GET", f"/v1/invoiceitems/{deleted}")
    assert (response.status, response.error["code"]) == (404, "resource_missing")


def test_a_deleted_subscription_is_canceled(own: Client) -> None:
    one = own.get("/v1/subscriptions", {"status": "active", "limit": 1})["data"][0]
    own.sandbox.control("objects", action="delete", kind="subscription", id=one["id"])
    assert own.get(f"/v1/subscriptions/{one['id']}")["status"] == "canceled"
    assert one["id"] not in [other["id"] for other in own.all("/v1/subscriptions")]
    assert own.get("/v1/events", {"limit": 1})["data"][0]["type"] == "customer.subscription.deleted"


@pytest.mark.parametrize("status", [400, 404])
def test_deleted_cursor_is_resource_missing(own: Client, status: int) -> None:
    own.sandbox.control("answers", missing_cursor=status)
    last = own.get("/v1/customers")["data"][-1]["id"]
    own.sandbox.control("objects", action="delete", kind="customer", id=last)
    response = own.send("GET", "/v1/customers", {"starting_after": last})
    assert response.status == status
    assert (response.error["code"], response.error["param"]) == ("resource_missing", "starting_after")


def test_rules_change_objects_during_a_listing(own: Client) -> None:
    whole = [one["id"] for one in own.all("/v1/charges")]
    actions: list[dict[str, Any]] = [
        {"action": "create", "kind": "charge"},
        {"action": "delete", "kind": "charge", "id": "last"},
    ]
    own.sandbox.control("rules", path="/v1/charges", after_pages=2, do=actions)
    first = own.get("/v1/charges", {"limit": 50})
    second = own.get("/v1/charges", {"limit": 50, "starting_after": first["data"][-1]["id"]})
    assert [one["id"] for one in first["data"] + second["data"]] == whole[:100]
    assert own.send("GET", "/v1/charges", {"starting_after": second["data"][-1]["id"]}).status == 400
    now = [one["id"] for one in own.all("/v1/charges")]
    assert now[1:100] == whole[:99]
    assert now[100:] == whole[100:]


def test_rule_for_the_last_object_waits_for_a_page_with_objects(own: Client) -> None:
    own.sandbox.control(
        "rules", path="/v1/charges", after_pages=1, do=[{"action": "delete", "kind": "charge", "id": "last"}]
    )
    assert own.get("/v1/charges", {"created[gte]": 4_000_000_000})["data"] == []
    (shown,) = own.get("/v1/charges", {"limit": 1})["data"]
    assert own.get("/v1/charges", {"limit": 1})["data"] != [shown]


def test_a_refund_shows_on_its_charge(own: Client) -> None:
    charge = next(one for one in own.all("/v1/charges") if one["status"] == "succeeded" and not one["amount_refunded"])
    created = own.sandbox.control(
        "objects", kind="refund", fields={"charge": charge["id"], "amount": 10, "currency": charge["currency"]}
    )
    assert own.get(f"/v1/charges/{charge['id']}")["amount_refunded"] == 10
    assert own.get(f"/v1/charges/{charge['id']}/refunds")["data"] == [created]
    assert "charge.refunded" in [one["type"] for one in own.get("/v1/events", {"limit": 3})["data"]]


def test_truth_of_discounts_follows_changes(own: Client) -> None:
    before = own.sandbox.ask("truth/discounts")["ids"]
    one = next(one for one in own.all("/v1/invoiceitems") if one["discounts"] and one["invoice"] is None)
    own.sandbox.control("objects", action="delete", kind="invoiceitem", id=one["id"])
    assert set(before) - set(own.sandbox.ask("truth/discounts")["ids"]) == set(one["discounts"])


def test_events_expire_after_thirty_days(own: Client) -> None:
    now = own.sandbox.ask("state")["now"]
    whole = own.all("/v1/events")
    assert min(one["created"] for one in whole) >= now - 30 * 86400
    own.sandbox.control("advance", seconds=20 * 86400)
    assert own.all("/v1/events") == [one for one in whole if one["created"] >= now - 10 * 86400]


def test_events_show_objects_in_an_old_api_version(company: Client) -> None:
    shown = {one["type"]: one for one in company.all("/v1/events")}
    assert {one["api_version"] for one in shown.values()} == {"2020-08-27"}
    charge = shown["charge.refunded"]["data"]["object"]
    assert charge["refunds"]["data"]
    assert "invoice" in charge
    invoice = shown["invoice.paid"]["data"]["object"]
    assert {"subscription", "charge", "paid"} <= invoice.keys()
    assert "parent" not in invoice
    sub = shown["customer.subscription.created"]["data"]["object"]
    assert "current_period_end" in sub
    assert "current_period_end" not in sub["items"]["data"][0]
    long = [one["data"]["object"]["lines"] for one in company.all("/v1/events", {"type": "invoice.*"})]
    assert all(len(lines["data"]) <= 10 for lines in long)


def test_objects_created_in_the_last_thirty_days_have_events(company: Client) -> None:
    since = company.sandbox.ask("state")["now"] - 30 * 86400
    reported = {one["data"]["object"]["id"] for one in company.all("/v1/events")}
    for path in ("charges", "customers", "invoices", "refunds", "payouts", "transfers", "disputes", "invoiceitems"):
        recent = {one["id"] for one in company.all(f"/v1/{path}", {"created[gte]": since})}
        assert recent <= reported, path
