from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from stripe_sandbox import Sandbox
from stripe_sandbox.kinds import KINDS
from tests.sandbox.conftest import Client

PATHS = [kind.path for kind in KINDS]


def moment(one: dict[str, Any]) -> int:
    return one["date"] if one["object"] == "invoiceitem" else one["created"]


@pytest.mark.parametrize("path", PATHS)
def test_pages_contain_all_objects_newest_first(company: Client, path: str) -> None:
    found = company.all(path)
    assert [one["id"] for one in found] == company.sandbox.ask(f"truth/{path.removeprefix('/v1/')}")["ids"]
    keys = [(moment(one), one["id"]) for one in found]
    # Coupons have custom ids, but no two were created in the same second.
    assert keys == sorted(keys, reverse=True)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("path", ["/v1/charges", "/v1/customers", "/v1/subscriptions"])
def test_ending_before_returns_the_previous_pages(company: Client, path: str) -> None:
    first = company.get(path, {"limit": 30})
    second = company.get(path, {"limit": 30, "starting_after": first["data"][-1]["id"]})
    back = company.get(path, {"limit": 30, "ending_before": second["data"][0]["id"]})
    assert back["data"] == first["data"]
    assert back["has_more"] is False
    part = company.get(path, {"limit": 10, "ending_before": second["data"][0]["id"]})
    assert part["data"] == first["data"][20:]
    assert part["has_more"] is True


def test_default_limit_is_ten(company: Client) -> None:
    assert len(company.get("/v1/charges")["data"]) == 10


@pytest.mark.parametrize(
    ("bounds", "keep"),
    [
        ({"created[gte]": 0, "created[lt]": 2}, lambda at, low, high: low <= at < high),
        ({"created[gt]": 0, "created[lte]": 2}, lambda at, low, high: low < at <= high),
        ({"created[gte]": 0}, lambda at, low, high: low <= at),
        ({"created[lt]": 2}, lambda at, low, high: at < high),
        ({"created": 0}, lambda at, low, high: at == low),
    ],
)
@pytest.mark.parametrize("path", ["/v1/charges", "/v1/invoiceitems", "/v1/balance_transactions"])
def test_created_bounds_select_objects(company: Client, path: str, bounds: dict[str, int], keep: Any) -> None:
    whole = company.all(path)
    low, high = moment(whole[300]), moment(whole[20])
    params = {name: {0: low, 2: high}[which] for name, which in bounds.items()}
    assert company.all(path, params) == [one for one in whole if keep(moment(one), low, high)]


def test_one_second_contains_over_a_hundred_charges(company: Client) -> None:
    counts = Counter(one["created"] for one in company.all("/v1/charges"))
    second, count = counts.most_common(1)[0]
    assert count > 100
    assert len(company.all("/v1/charges", {"created": second}, limit=37)) == count


def test_there_is_a_fortnight_without_charges(company: Client) -> None:
    seconds = sorted(one["created"] for one in company.all("/v1/charges"))
    assert max(later - earlier for earlier, later in pairwise(seconds)) > 13 * 86400


@pytest.mark.parametrize(
    ("path", "name", "field"),
    [
        ("/v1/charges", "customer", "customer"),
        ("/v1/charges", "payment_intent", "payment_intent"),
        ("/v1/refunds", "charge", "charge"),
        ("/v1/invoices", "customer", "customer"),
        ("/v1/invoices", "status", "status"),
        ("/v1/invoices", "collection_method", "collection_method"),
        ("/v1/invoiceitems", "invoice", "invoice"),
        ("/v1/balance_transactions", "currency", "currency"),
        ("/v1/balance_transactions", "type", "type"),
        ("/v1/balance_transactions", "source", "source"),
        ("/v1/payouts", "status", "status"),
        ("/v1/plans", "product", "product"),
        ("/v1/prices", "currency", "currency"),
        ("/v1/events", "type", "type"),
        ("/v1/subscriptions", "customer", "customer"),
        ("/v1/disputes", "charge", "charge"),
        ("/v1/application_fees", "charge", "charge"),
        ("/v1/transfers", "destination", "destination"),
    ],
)
def test_filter_returns_exactly_the_matching_objects(company: Client, path: str, name: str, field: str) -> None:
    whole = company.all(path)
    value = next(one[field] for one in whole[len(whole) // 2 :] if one[field] is not None)
    wanted = [one for one in whole if one[field] == value]
    assert len(wanted) > 0
    assert company.all(path, {name: value}) == wanted


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("path", ["/v1/plans", "/v1/prices", "/v1/products"])
def test_active_and_archived_objects_are_listed_by_default(company: Client, path: str, active: bool) -> None:
    whole = company.all(path)
    wanted = [one for one in whole if one["active"] is active]
    assert wanted
    assert company.all(path, {"active": str(active).lower()}) == wanted


def test_pending_invoice_items_have_no_invoice(company: Client) -> None:
    whole = company.all("/v1/invoiceitems")
    pending = company.all("/v1/invoiceitems", {"pending": "true"})
    assert pending == [one for one in whole if one["invoice"] is None]
    assert len(pending) == 40
    assert all("created" not in one for one in whole)


def test_subscriptions_exclude_canceled_by_default(company: Client) -> None:
    whole = company.all("/v1/subscriptions", {"status": "all"})
    shown = company.all("/v1/subscriptions")
    assert shown == [one for one in whole if one["status"] != "canceled"]
    assert {one["status"] for one in whole} == {
        "active", "trialing", "past_due", "unpaid", "paused", "incomplete", "incomplete_expired", "canceled",
    }  # fmt: skip
    ended = company.all("/v1/subscriptions", {"status": "ended"})
    assert ended == [one for one in whole if one["status"] in ("canceled", "incomplete_expired")]
    assert 130 <= sum(one["status"] not in ("canceled", "incomplete_expired") for one in whole) <= 170


def test_invalid_subscription_status_is_rejected_with_the_valid_ones(company: Client) -> None:
    response = company.send("GET", "/v1/subscriptions", {"status": "dead"})
    assert response.status == 400
    assert response.error["param"] == "status"
    assert response.error["message"].endswith(
        "active, past_due, unpaid, canceled, incomplete, incomplete_expired, trialing, paused, all, or ended"
    )


def test_events_are_filtered_by_types_and_wildcard(company: Client) -> None:
    whole = company.all("/v1/events")
    two = company.all("/v1/events", {"types[]": ["charge.refunded", "payout.paid"]})
    assert two == [one for one in whole if one["type"] in ("charge.refunded", "payout.paid")]
    assert {one["type"] for one in two} == {"charge.refunded", "payout.paid"}
    wild = company.all("/v1/events", {"type": "invoice.*"})
    assert wild == [one for one in whole if one["type"].startswith("invoice.")]


def test_transactions_add_up_to_their_payout(company: Client) -> None:
    for payout in company.all("/v1/payouts")[20:30]:
        within = company.all("/v1/balance_transactions", {"payout": payout["id"]})
        assert sum(one["net"] for one in within) == 0
        assert sum(one["net"] for one in within if one["type"] != "payout") == payout["amount"]


@pytest.mark.parametrize("params", [{"foo": 1}, {"created[after]": 1}, {"created[foo][bar]": 1}])
def test_unknown_parameter_is_rejected(company: Client, params: dict[str, int]) -> None:
    response = company.send("GET", "/v1/charges", params)
    assert response.status == 400
    assert response.error["code"] == "parameter_unknown"
    assert response.error["message"].startswith("Received unknown parameter: ")


@pytest.mark.parametrize("params", [{"limit": 101}, {"limit": 0}, {"limit": "many"}, {"created": "yesterday"}])
def test_invalid_value_is_rejected(company: Client, params: dict[str, Any]) -> None:
    assert company.send("GET", "/v1/charges", params).status == 400


def test_both_cursors_together_are_rejected(company: Client) -> None:
    one, two = (charge["id"] for charge in company.get("/v1/charges", {"limit": 2})["data"])
    assert company.send("GET", "/v1/charges", {"starting_after": one, "ending_before": two}).status == 400


def test_coupons_are_filtered_only_by_created(company: Client) -> None:
    assert company.send("GET", "/v1/coupons", {"active": "true"}).status == 400


def test_clock_that_looks_back_shows_earlier_lists_and_balance() -> None:
    with Sandbox(scale=0.05) as sandbox:
        company = Client(sandbox)
        every = company.all("/v1/charges")
        then = sandbox.clock.start - 90 * 86_400
        sandbox.clock.look_back(then)
        assert company.all("/v1/charges") == [one for one in every if one["created"] <= then]
        moved = sum(
            one["net"]
            for one in company.all("/v1/balance_transactions")
            if (one["currency"], one["balance_type"]) == ("eur", "payments")
        )
        balance = company.get("/v1/balance")
        amounts = [
            one["amount"] for part in ("available", "pending") for one in balance[part] if one["currency"] == "eur"
        ]
        assert sum(amounts) == moved
        sandbox.clock.look_back(None)
        assert company.all("/v1/charges") == every
