from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.conftest import Client


@pytest.mark.parametrize("name", ["expand[]", "expand[0]"])
def test_expand_accepts_both_array_notations(company: Client, name: str) -> None:
    page = company.get("/v1/charges", {name: "data.customer", "limit": 20})
    assert {type(one["customer"]) for one in page["data"]} <= {dict, type(None)}
    assert any(one["customer"] for one in page["data"])


def test_expanded_object_equals_the_object_of_its_id(company: Client) -> None:
    for one in company.get("/v1/refunds", {"expand[]": ["data.charge.customer", "data.balance_transaction"]})["data"]:
        assert one["balance_transaction"] == company.get(f"/v1/balance_transactions/{one['balance_transaction']['id']}")
        if one["charge"]["customer"]:
            assert one["charge"]["customer"] == company.get(f"/v1/customers/{one['charge']['customer']['id']}")


def test_expansion_is_limited_to_four_levels(company: Client) -> None:
    page = company.get("/v1/subscriptions", {"expand[]": "data.items.data.discounts", "status": "all", "limit": 100})
    items = [item for one in page["data"] for item in one["items"]["data"]]
    assert any(isinstance(discount, dict) for item in items for discount in item["discounts"])
    response = company.send("GET", "/v1/subscriptions", {"expand[]": "data.items.data.discounts.source"})
    assert response.status == 400
    assert response.error["message"].startswith("You cannot expand more than 4 levels")


@pytest.mark.parametrize("path", ["data.nothing", "data.amount", "customer", "data.description"])
def test_unexpandable_property_is_rejected(company: Client, path: str) -> None:
    response = company.send("GET", "/v1/charges", {"expand[]": path})
    assert response.status == 400
    assert response.error["message"].startswith("This property cannot be expanded")


def test_optional_properties_are_absent_unless_expanded(company: Client) -> None:
    def field(path: str, name: str, **params: Any) -> list[Any]:
        return [one.get(name, "absent") for one in company.all(path, params)]

    assert set(field("/v1/plans", "tiers")) == {"absent"}
    tiers = field("/v1/plans", "tiers", **{"expand[]": "data.tiers"})
    assert sum(one != [] for one in tiers) == 8
    assert set(field("/v1/coupons", "applies_to")) == {"absent"}
    limited = field("/v1/coupons", "applies_to", **{"expand[]": "data.applies_to"})
    assert [len(one["products"]) for one in limited if one != "absent"] == [2]
    assert set(field("/v1/charges", "refunds")) == {"absent"}


def test_expansion_does_not_change_later_pages(company: Client) -> None:
    before = company.get("/v1/subscriptions")
    company.get("/v1/subscriptions", {"expand[]": ["data.customer", "data.items.data.price"]})
    assert company.get("/v1/subscriptions") == before
