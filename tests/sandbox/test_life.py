from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from stripe_sandbox import Sandbox
from stripe_sandbox.kinds import KINDS
from stripe_sandbox.life.happenings import NAMES
from tests.sandbox.conftest import Client

TYPES = Path(__file__).resolve().parents[2] / "../shared/stripe/event_types.json"
DAY = 86_400
LISTED = [kind.path for kind in KINDS]


def by_currency(bucket: list[dict[str, Any]]) -> dict[str, int]:
    return {one["currency"]: one["amount"] for one in bucket}


def everything(client: Client) -> dict[str, list[dict[str, Any]]]:
    return {path: client.all(path, {"status": "all"} if path == "/v1/subscriptions" else {}) for path in LISTED}


def test_activity_is_disabled_by_default() -> None:
    with Sandbox(scale=0.05) as sandbox:
        client = Client(sandbox)
        before = everything(client)
        sandbox.control("advance", seconds=9 * DAY)
        after = everything(client)
        assert sandbox.ask("life") == {"per_day": None, "kinds": list(NAMES), "changes": {}, "silent": {}}
    assert {one["id"] for one in after["/v1/events"]} < {one["id"] for one in before["/v1/events"]}
    for path in LISTED:
        if path not in ("/v1/events", "/v1/balance_transactions"):
            assert after[path] == before[path]


def test_transactions_add_up_to_the_balance_during_activity() -> None:
    with Sandbox(seed=2, scale=0.05, life=40) as sandbox:
        client = Client(sandbox)
        for days in (1, 2, 5, 10):
            sandbox.control("advance", seconds=days * DAY)
            sums: dict[tuple[str, str], int] = defaultdict(int)
            for one in client.all("/v1/balance_transactions"):
                if one["balance_type"] == "payments":
                    sums[one["status"], one["currency"]] += one["net"]
            balance, truth = client.get("/v1/balance"), sandbox.ask("truth/balance")
            for status in ("available", "pending"):
                shown = by_currency(balance[status])
                assert shown == {code: sums[status, code] for code in ("usd", "eur", "jpy", "kwd")}
                assert shown == {code: truth[code][status] for code in shown}


def test_a_payout_is_the_sum_of_its_transactions(active: Client) -> None:
    end = active.sandbox.world.end
    created = [one for one in active.all("/v1/payouts") if one["created"] > end]
    assert len({one["currency"] for one in created}) >= 3
    for one in created:
        within = active.all("/v1/balance_transactions", {"payout": one["id"]})
        assert sum(entry["net"] for entry in within) == 0
        assert sum(entry["net"] for entry in within if entry["type"] != "payout") == one["amount"]


@pytest.mark.parametrize("path", LISTED)
def test_lists_equal_the_truth_without_duplicates(active: Client, path: str) -> None:
    found = [one["id"] for one in active.all(path)]
    assert found == active.sandbox.ask(f"truth/{path.removeprefix('/v1/')}")["ids"]
    assert len(set(found)) == len(found)


def test_invoices_charges_and_refunds_agree(active: Client) -> None:
    payments = {one["invoice"]: one["payment"]["payment_intent"] for one in active.all("/v1/invoice_payments")}
    paid_by = {one["payment_intent"]: one for one in active.all("/v1/charges") if one["status"] == "succeeded"}
    for one in active.all("/v1/invoices"):
        lines = one["lines"]["data"] if not one["lines"]["has_more"] else active.all(one["lines"]["url"])
        taken = sum(part["amount"] for part in one["total_discount_amounts"])
        assert one["subtotal"] == sum(line["amount"] for line in lines)
        assert one["total"] == one["subtotal"] - taken >= 0
        assert one["amount_due"] == one["amount_paid"] + one["amount_remaining"]
        if one["status"] == "paid" and one["total"]:
            assert paid_by[payments[one["id"]]]["amount"] == one["total"]
    refunded: dict[str, int] = defaultdict(int)
    for one in active.all("/v1/refunds"):
        if one["status"] != "failed":
            refunded[one["charge"]] += one["amount"]
    charges = active.all("/v1/charges")
    assert refunded == {one["id"]: one["amount_refunded"] for one in charges if one["amount_refunded"]}
    old = [one for one in charges if one["created"] < active.sandbox.world.end - 90 * DAY]
    assert any(active.all(f"/v1/charges/{one['id']}/refunds") for one in old if one["amount_refunded"])


def test_every_change_has_an_event_and_is_counted() -> None:
    with Sandbox(scale=0.05, life=60) as sandbox:
        client, end = Client(sandbox), sandbox.world.end
        sandbox.control("advance", seconds=9 * DAY)
        sandbox.control("life", per_day=0)
        sandbox.control("advance", seconds=400)
        report, events = sandbox.ask("life"), client.all("/v1/events")
        created = [one for one in events if one["created"] > end]
        assert Counter(one["type"] for one in created) == report["changes"]
        reported = {one["data"]["object"].get("id") for one in events}
        for path, found in everything(client).items():
            if path not in ("/v1/balance_transactions", "/v1/events", "/v1/accounts"):
                new = {one["id"] for one in found if one.get("created", one.get("date")) > end}
                if path == "/v1/invoice_payments":
                    new = {one["id"] for one in found if one["created"] > end and one["status"] == "paid"}
                assert new <= reported, path
    assert report["silent"].keys() == {"coupon.updated", "invoiceitem.updated"}
    assert len(report["changes"]) > 40
    assert {one["api_version"] for one in created} == {"2020-08-27"}


def test_last_event_of_an_object_shows_its_current_values(active: Client) -> None:
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for event in sorted(active.all("/v1/events"), key=lambda one: (one["created"], one["id"])):
        shown = event["data"]["object"]
        if event["created"] > active.sandbox.world.end and "id" in shown:
            last[shown["object"], shown["id"]] = shown
    for path in (
        "customers", "disputes", "invoices", "payouts", "plans", "prices", "products", "refunds",
        "subscription_schedules", "subscriptions", "transfers",
    ):  # fmt: skip
        whole = active.all(f"/v1/{path}", {"status": "all"} if path == "subscriptions" else {})
        pairs = [(one, last[key]) for one in whole if (key := (one["object"], one["id"])) in last]
        assert pairs, path
        for now, then in pairs:
            plain = [name for name in now.keys() & then.keys() if not isinstance(now[name], dict | list)]
            assert {name: then[name] for name in plain} == {name: now[name] for name in plain}


def test_activity_creates_many_types_of_events(active: Client) -> None:
    wanted = {
        "application_fee": ["created", "refunded"],
        "charge": ["captured", "failed", "pending", "refunded", "succeeded", "updated"],
        "charge.dispute": ["created", "funds_withdrawn"],
        "coupon": ["created", "updated", "deleted"],
        "customer": ["created", "updated", "deleted"],
        "customer.discount": ["created", "deleted"],
        "customer.subscription": ["created", "updated", "deleted"],
        "invoice": ["created", "updated", "deleted", "finalized", "paid", "voided"],
        "invoice_payment": ["paid"],
        "invoiceitem": ["created", "deleted"],
        "payout": ["created", "updated", "paid", "reconciliation_completed"],
        "plan": ["created", "updated"],
        "refund": ["created", "updated"],
        "subscription_schedule": ["created", "updated"],
        "transfer": ["created", "reversed", "updated"],
    }
    changes = active.sandbox.ask("life")["changes"]
    assert [
        f"{kind}.{name}" for kind, names in wanted.items() for name in names if f"{kind}.{name}" not in changes
    ] == []


@pytest.mark.skipif(not TYPES.exists(), reason="the list of types is not available")
def test_event_types_exist_at_stripe(active: Client) -> None:
    assert active.sandbox.ask("life")["changes"].keys() <= set(json.loads(TYPES.read_text()))


def test_activity_is_independent_of_the_time_steps() -> None:
    def objects_after(*steps: int) -> dict[str, list[dict[str, Any]]]:
        with Sandbox(seed=3, scale=0.05, life=100) as sandbox:
            for seconds in steps:
                sandbox.control("advance", seconds=seconds)
            return everything(Client(sandbox))

    assert objects_after(2 * DAY) == objects_after(1800, 1800, 3600, 61, 2 * DAY - 7261)


def test_long_advance_spreads_activity_over_all_days() -> None:
    with Sandbox(scale=0.05, life=20) as sandbox:
        sandbox.control("advance", seconds=40 * DAY)
        created = Client(sandbox).all("/v1/charges", {"created[gt]": sandbox.world.end})
    days = Counter((one["created"] - sandbox.world.end) // DAY for one in created)
    assert len(days) > 35
    assert max(days.values()) < 30


def test_live_sandbox_has_continuous_activity() -> None:
    with Sandbox(scale=0.05, live=True, life=DAY * 50) as sandbox:
        first = Client(sandbox).all("/v1/charges")
        while not sandbox.ask("life")["changes"].get("charge.succeeded"):
            pass
        assert len(Client(sandbox).all("/v1/charges")) > len(first)


def test_some_events_are_listed_minutes_late() -> None:
    with Sandbox(scale=0.05, life=2000) as sandbox:
        client, known, late = Client(sandbox), set(), []
        for _ in range(40):
            sandbox.control("advance", seconds=30)
            page = client.get("/v1/events", {"limit": 100, "created[gt]": sandbox.world.end})
            now = sandbox.ask("state")["now"]
            late += [now - one["created"] for one in page["data"] if one["id"] not in known]
            known |= {one["id"] for one in page["data"]}
    assert max(late) > 60
    assert max(late) <= 300 + 30


def test_remaining_objects_are_listed_during_activity() -> None:
    with Sandbox(scale=0.05, life=3000) as sandbox:
        client = Client(sandbox)
        before = {one["id"] for one in client.all("/v1/customers")}
        found: list[str] = []
        page = client.get("/v1/customers", {"limit": 10})
        while True:
            found += [one["id"] for one in page["data"]]
            sandbox.control("advance", seconds=1800)
            if not page["has_more"]:
                break
            page = client.get("/v1/customers", {"limit": 10, "created[lt]": page["data"][-1]["created"]})
        left = {one["id"] for one in client.all("/v1/customers")}
        assert left & before <= set(found)
        assert left - before
        assert before - left


def test_kinds_of_activity_can_be_selected_and_disabled() -> None:
    with Sandbox(scale=0.05) as sandbox:
        sandbox.control("life", per_day=100, kinds=["customer", "transfer"])
        sandbox.control("advance", seconds=2 * DAY)
        changes = sandbox.control("life", per_day=None)["changes"]
        assert {one.split(".")[0] for one in changes} <= {
            "customer",
            "transfer",
            "invoiceitem",
            "subscription_schedule",
        }
        assert changes["customer.updated"] > 20
        assert "charge.succeeded" not in changes
        sandbox.control("advance", seconds=2 * DAY)
        assert sandbox.ask("life")["changes"] == changes
        with pytest.raises(ValueError, match=r"unicorn; .* account, "):
            sandbox.control("life", per_day=1, kinds=["unicorn"])


def test_deleted_objects_are_404_and_references_remain(active: Client) -> None:
    deleted = {
        one["data"]["object"]["id"]: one["type"].split(".")[0]
        for one in active.all("/v1/events")
        if one["type"] in ("coupon.deleted", "plan.deleted", "invoice.deleted", "invoiceitem.deleted")
    }
    assert {"coupon", "invoice", "invoiceitem"} <= set(deleted.values())
    for id_, kind in deleted.items():
        response = active.send("GET", f"/v1/{kind}s/{id_}")
        assert (response.status, response.error["code"]) == (404, "resource_missing")
    active.get("/v1/customers", {"limit": 100, "expand[]": "data.discount.source.coupon"})
    active.get("/v1/invoices", {"limit": 100, "expand[]": "data.total_discount_amounts.discount.source"})


def test_every_discount_of_the_truth_is_listed(active: Client) -> None:
    shown = {one["discount"]["id"] for one in active.all("/v1/customers") if one["discount"]}
    for one in active.all("/v1/subscriptions", {"status": "all"}):
        items = one["items"]["data"]
        if one["items"]["has_more"]:
            items = active.all("/v1/subscription_items", {"subscription": one["id"]})
        shown.update(one["discounts"], *(item["discounts"] for item in items))
    for one in active.all("/v1/invoices"):
        lines = one["lines"]["data"] if not one["lines"]["has_more"] else active.all(one["lines"]["url"])
        shown.update(one["discounts"], *(line["discounts"] for line in lines))
        shown.update(part["discount"] for part in one["total_discount_amounts"])
    for one in active.all("/v1/invoiceitems"):
        shown.update(one["discounts"])
    assert shown == set(active.sandbox.ask("truth/discounts")["ids"])


def test_previews_match_the_truth(active: Client) -> None:
    truth = active.sandbox.ask("truth/upcoming_invoices")
    for one in truth["upcoming"]:
        params = {name: value for name, value in one.items() if name != "subtotal"}
        body = active.send("POST", "/v1/invoices/create_preview", params).body
        assert body["billing_reason"] == "upcoming"
        assert body["subtotal"] == one.get("subtotal", body["subtotal"])
    for id_ in truth["none"]:
        assert active.send("POST", "/v1/invoices/create_preview", {"subscription": id_}).status == 404


def test_subscriptions_are_renewed_and_trials_end(active: Client) -> None:
    now = active.sandbox.ask("state")["now"]
    live = active.all("/v1/subscriptions", {"status": "active"})
    assert live
    assert all(item["current_period_end"] > now - DAY for one in live for item in one["items"]["data"])
    reasons = Counter(one["billing_reason"] for one in active.all("/v1/invoices", {"created[gt]": now - 30 * DAY}))
    assert reasons["subscription_cycle"] > 3
    assert not active.all("/v1/subscriptions", {"status": "trialing", "created[lt]": now - 16 * DAY})
