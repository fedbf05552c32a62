"""Incremental reading: its requests, and the rows it makes of the responses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from counterfoil.extract.changes import Changes, read_changes
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.catalogue import report as report_of
from counterfoil.values import Page, Window

from .scripted import Scripted, list_response, page_of

NOW = 1_800_000_000
DAY = 86_400


def read(report: str, stripe: Scripted, *, since: int, params: dict[str, str] | None = None) -> list[Page]:
    changes = Changes(since=since, whole_requests=1_000)

    async def pages() -> list[Page]:
        found = read_changes(
            stripe.client, report_of(report), changes, Window(), notices=Warnings(), params=params or {}
        )
        return [page async for page in found]

    return asyncio.run(pages())


def test_events_past_their_retention_cause_a_full_refresh() -> None:
    customer = {"object": "customer", "id": "cus_1", "created": 5}

    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        # There is no event for a customer from long ago.
        rows = [customer] if path == "/v1/customers" and params.get("created[gte]", 0) <= 5 else []
        return list_response(rows)

    for days, whole in ((29, False), (31, True)):
        pages = read("customers", Scripted(respond, date=NOW), since=NOW - days * DAY)
        assert [one for page in pages for one in page.objects] == [customer] * whole
        assert any(page.whole for page in pages) == whole


def test_events_of_objects_on_test_clocks_yield_no_rows(stripe_of_clocks: Scripted) -> None:
    for report in ("customers", "subscriptions", "subscription_items", "discounts", "upcoming_invoices"):
        params = {"status": "all"} if report == "subscriptions" else {}
        pages = read(report, stripe_of_clocks, since=NOW - DAY, params=params)
        assert [one for page in pages for one in page.objects] == []
    assert not any(path.endswith("create_preview") for path, _ in stripe_of_clocks.sent)


@pytest.fixture
def stripe_of_clocks() -> Scripted:
    """Lists omit customers and subscriptions on test clocks, unless they are filtered by customer."""
    clock = {"test_clock": "clock_1", "created": NOW - 60}
    customer = {"object": "customer", "id": "cus_1", "discount": {"id": "di_1", "customer": "cus_1"}, **clock}
    items = {"object": "list", "data": [{"id": "si_1", "subscription": "sub_1"}], "has_more": False}
    subscription = {"object": "subscription", "id": "sub_1", "customer": "cus_1", "status": "active", **clock}
    subscription |= {"items": items, "discounts": [{"id": "di_2", "customer": "cus_1"}]}
    changed = {"customer.updated": customer, "customer.subscription.updated": subscription}
    events = [
        {"id": f"evt_{n}", "created": NOW - 60, "type": type_, "data": {"object": one}}
        for n, (type_, one) in enumerate(changed.items())
    ]

    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        match path:
            case "/v1/events":
                return list_response([event for event in events if event["type"] in params["types"]])
            case "/v1/customers/cus_1":
                return customer
            case "/v1/subscriptions/sub_1":
                return subscription
            case "/v1/subscriptions" if "customer" in params:
                return list_response([subscription])
            case _:
                return list_response([])

    return Scripted(respond, date=NOW)


@pytest.mark.parametrize(
    "event",
    [
        {"id": "evt_1", "created": NOW, "data": {"object": {"id": "cus_1"}}},
        {"id": "evt_1", "created": NOW, "type": "customer.updated"},
        {"id": "evt_1", "created": NOW, "type": "customer.updated", "data": None},
        {"id": "evt_1", "created": NOW, "type": "customer.updated", "data": {"object": "cus_1"}},
    ],
    ids=["no type", "no data", "null data", "no object"],
)
def test_event_without_an_object_causes_a_full_refresh(event: dict[str, Any]) -> None:
    customer = {"object": "customer", "id": "cus_1", "created": 5}

    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        return page_of([event] if path == "/v1/events" else [customer], params)

    pages = read("customers", Scripted(respond, date=NOW), since=NOW - DAY)
    assert [one for page in pages for one in page.objects] == [customer]
    assert any(page.whole for page in pages)
