from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from tests.sandbox.conftest import Client


def by_currency(bucket: list[dict[str, Any]]) -> dict[str, int]:
    return {one["currency"]: one["amount"] for one in bucket}


@pytest.mark.parametrize("days", [0, 1, 4, 40])
def test_transactions_add_up_to_the_balance_and_to_the_truth(own: Client, days: int) -> None:
    own.sandbox.control("advance", seconds=days * 86400)
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for one in own.all("/v1/balance_transactions"):
        if one["balance_type"] == "payments":
            sums[one["status"], one["currency"]] += one["net"]
    balance, truth = own.get("/v1/balance"), own.sandbox.ask("truth/balance")
    for status in ("available", "pending"):
        shown = by_currency(balance[status])
        assert set(shown) == {"usd", "eur", "jpy", "kwd"}
        assert shown == {code: sums[status, code] for code in shown}
        assert shown == {code: truth[code][status] for code in shown}
        for one in balance[status]:
            assert sum(one["source_types"].values()) == one["amount"]


def test_other_buckets_contain_the_other_balance_types(company: Client) -> None:
    sums: dict[str, int] = defaultdict(int)
    for one in company.all("/v1/balance_transactions"):
        sums[one["balance_type"]] += one["net"]
    balance = company.get("/v1/balance")
    assert by_currency(balance["issuing"]["available"]) == {"usd": sums["issuing"]}
    assert by_currency(balance["refund_and_dispute_prefunding"]["available"]) == {
        "usd": sums["refund_and_dispute_prefunding"]
    }
    assert balance["connect_reserved"]


def test_net_is_amount_minus_itemized_fees(company: Client) -> None:
    for one in company.all("/v1/balance_transactions"):
        assert one["net"] == one["amount"] - one["fee"]
        assert sum(part["amount"] for part in one["fee_details"]) == one["fee"]


def test_an_invoice_adds_up_to_its_lines_and_discounts(company: Client) -> None:
    discounted = 0
    for one in company.all("/v1/invoices"):
        lines = one["lines"]["data"]
        if one["lines"]["has_more"]:
            lines = company.all(one["lines"]["url"])
        taken = sum(part["amount"] for part in one["total_discount_amounts"])
        assert one["subtotal"] == sum(line["amount"] for line in lines)
        assert one["total"] == one["subtotal"] - taken
        assert taken == sum(part["amount"] for line in lines for part in line["discount_amounts"])
        assert one["amount_due"] == one["amount_paid"] + one["amount_remaining"]
        assert one["total"] >= 0
        discounted += taken > 0
    assert discounted > 50


def test_a_paid_invoice_has_a_charge_of_its_amount(company: Client) -> None:
    charges = {one["payment_intent"]: one for one in company.all("/v1/charges")}
    payments = {one["invoice"]: one for one in company.all("/v1/invoice_payments")}
    paid = [one for one in company.all("/v1/invoices") if one["status"] == "paid" and one["total"]]
    assert len(paid) > 1000
    for one in paid:
        charge = charges[payments[one["id"]]["payment"]["payment_intent"]]
        assert (charge["amount"], charge["customer"]) == (one["total"], one["customer"])
        assert charge["created"] == one["status_transitions"]["paid_at"]


def test_charges_cover_all_statuses_and_currencies(company: Client) -> None:
    charges = company.all("/v1/charges")
    assert len(charges) == 3000
    assert {one["status"] for one in charges} == {"succeeded", "failed", "pending"}
    assert {one["currency"] for one in charges} == {"usd", "eur", "jpy", "kwd"}
    assert any(one["refunded"] for one in charges)
    assert any(0 < one["amount_refunded"] < one["amount"] for one in charges)
    assert any(one["disputed"] for one in charges)
    assert any(one["status"] == "succeeded" and not one["captured"] for one in charges)
    assert all(one["amount"] % 10 == 0 for one in charges if one["currency"] == "kwd")


def test_refunds_add_up_to_the_refunded_amount_of_their_charge(company: Client) -> None:
    refunded: dict[str, int] = defaultdict(int)
    for one in company.all("/v1/refunds"):
        if one["status"] != "failed":
            refunded[one["charge"]] += one["amount"]
    assert refunded == {
        one["id"]: one["amount_refunded"] for one in company.all("/v1/charges") if one["amount_refunded"]
    }


def test_upcoming_invoices_match_the_truth(company: Client) -> None:
    truth = company.sandbox.ask("truth/upcoming_invoices")
    assert len(truth["upcoming"]) > 100
    assert any("schedule" in one for one in truth["upcoming"])
    for one in truth["upcoming"][::6]:
        name = "subscription" if "subscription" in one else "schedule"
        body = company.send("POST", "/v1/invoices/create_preview", {name: one[name]}).body
        assert body["billing_reason"] == "upcoming"
        if "subtotal" in one:
            assert body["subtotal"] == one["subtotal"]
    assert len(truth["none"]) > 10
    for id_ in truth["none"]:
        response = company.send("POST", "/v1/invoices/create_preview", {"subscription": id_})
        assert (response.status, response.error["code"]) == (404, "invoice_upcoming_none")
    live = company.all("/v1/subscriptions", {"status": "active"})
    assert {one["id"] for one in live} & set(truth["none"])


def test_discounts_occur_on_all_kinds_of_objects_and_are_reachable(company: Client) -> None:
    found: dict[str, set[str]] = defaultdict(set)

    def note(kind: str, discounts: list[dict[str, Any]]) -> None:
        found[kind] |= {one["id"] for one in discounts}

    for one in company.all("/v1/customers"):
        note("customer", [one["discount"]] if one["discount"] else [])
    wanted = ["data.discounts", "data.items.data.discounts"]
    for one in company.all("/v1/subscriptions", {"status": "all", "expand[]": wanted}):
        note("subscription", one["discounts"])
        note("item", [discount for item in one["items"]["data"] for discount in item["discounts"]])
    wanted = ["data.discounts", "data.lines.data.discounts", "data.total_discount_amounts.discount"]
    for one in company.all("/v1/invoices", {"expand[]": wanted}):
        note("invoice", one["discounts"])
        note("line", [discount for line in one["lines"]["data"] for discount in line["discounts"]])
        note("total", [part["discount"] for part in one["total_discount_amounts"]])
    for one in company.all("/v1/invoiceitems", {"expand[]": "data.discounts"}):
        note("invoice item", one["discounts"])
    assert set().union(*found.values()) == set(company.sandbox.ask("truth/discounts")["ids"])
    for kind in ("customer", "subscription", "item", "invoice", "invoice item"):
        others = set().union(*(ids for name, ids in found.items() if name not in (kind, "total", "line")))
        assert found[kind] - others, f"no discount is only on a {kind}"
    assert found["line"] - found["customer"] - found["subscription"] - found["item"] - found["invoice item"]
