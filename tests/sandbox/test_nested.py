from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.conftest import Client


def embedded(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if value.get("object") == "list" and "url" in value:
            yield value
        for child in value.values():
            yield from embedded(child)
    elif isinstance(value, list):
        for child in value:
            yield from embedded(child)


@pytest.mark.parametrize(
    ("path", "name", "params"),
    [
        ("/v1/invoices", "lines", {}),
        ("/v1/subscriptions", "items", {"status": "all"}),
        ("/v1/application_fees", "refunds", {}),
        ("/v1/transfers", "reversals", {}),
        ("/v1/charges", "refunds", {"expand[]": "data.refunds"}),
    ],
)
def test_nested_list_has_ten_entries_and_continues_at_its_url(
    company: Client, path: str, name: str, params: dict[str, str]
) -> None:
    whole = company.all(path, params)
    assert all(len(inner["data"]) <= 10 for one in whole for inner in embedded(one))
    long = [one[name] for one in whole if one[name]["has_more"]]
    assert long
    for inner in long[:5]:
        url, _, query = inner["url"].partition("?")
        fixed = dict([query.split("=")]) if query else {}
        rest = company.all(url, fixed | {"limit": 7})
        assert len(rest) > 10
        assert rest[:10] == inner["data"]
        assert len({one["id"] for one in rest}) == len(rest)
        after = company.get(url, fixed | {"limit": 100, "starting_after": inner["data"][-1]["id"]})
        assert inner["data"] + after["data"] == rest


def test_urls_of_embedded_lists_are_served(company: Client) -> None:
    sample = [
        company.get("/v1/account"),
        company.get("/v1/customers", {"limit": 1, "expand[]": "data.subscriptions"})["data"][0],
        *company.get("/v1/invoices", {"limit": 2, "expand[]": "data.payments"})["data"],
        *company.get("/v1/transfers", {"limit": 2})["data"],
    ]
    urls = [inner["url"] for one in sample for inner in embedded(one)]
    assert len(urls) >= 6
    for url in urls:
        path, _, query = url.partition("?")
        company.get(path, dict([query.split("=")]) if query else None)


def test_some_invoices_have_up_to_thirty_seven_lines(company: Client) -> None:
    long = [one for one in company.all("/v1/invoices") if one["lines"]["has_more"]]
    sizes = [len(company.all(one["lines"]["url"])) for one in long]
    assert min(sizes) >= 11
    assert max(sizes) > 30


def test_subscription_items_require_a_subscription(company: Client) -> None:
    response = company.send("GET", "/v1/subscription_items")
    assert response.status == 400
    assert response.error["param"] == "subscription"


def test_subscription_items_have_a_plan_and_a_price(company: Client) -> None:
    for one in company.get("/v1/subscriptions", {"limit": 100})["data"]:
        for item in one["items"]["data"]:
            assert item["plan"]["id"] == item["price"]["id"]
            assert item["plan"]["amount"] == item["price"]["unit_amount"]
