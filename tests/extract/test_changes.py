"""What a run that reads changes asks for, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from counterfoil.extract.changes import Changes, read_changes
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.catalogue import report as report_of
from counterfoil.values import Page, Window

from .scripted import Scripted, listed, page_of

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


def test_everything_is_read_when_stripe_may_keep_the_events_no_longer() -> None:
    customer = {"object": "customer", "id": "cus_1", "created": 5}

    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        # Of a customer of long ago no event tells any more.
        there = [customer] if path == "/v1/customers" and params.get("created[gte]", 0) <= 5 else []
        return listed(there)

    for days, whole in ((29, False), (31, True)):
        pages = read("customers", Scripted(respond, date=NOW), since=NOW - days * DAY)
        assert [one for page in pages for one in page.objects] == [customer] * whole
        assert any(page.whole for page in pages) == whole


def test_what_runs_on_a_test_clock_is_not_brought_by_its_events(stripe_of_clocks: Scripted) -> None:
    for report in ("customers", "subscriptions", "subscription_items", "discounts", "upcoming_invoices"):
        params = {"status": "all"} if report == "subscriptions" else {}
        pages = read(report, stripe_of_clocks, since=NOW - DAY, params=params)
        assert [one for page in pages for one in page.objects] == []
    assert not any(path.endswith("create_preview") for path, _ in stripe_of_clocks.asked)


@pytest.fixture
def stripe_of_clocks() -> Scripted:
    """Lists leave out customers and subscriptions on test clocks, unless they are narrowed to a customer."""
    clock = {"test_clock": "clock_1", "created": NOW - 60}
    customer = {"object": "customer", "id": "cus_1", "discount": {"id": "di_1", "customer": "cus_1"}, **clock}
    items = {"object": "list", "data": [{"id": "si_1", "subscription": "sub_1"}], "has_more": False}
    subscription = {"object": "subscription", "id": "sub_1", "customer": "cus_1", "status": "active", **clock}
    subscription |= {"items": items, "discounts": [{"id": "di_2", "customer": "cus_1"}]}
    told = {"customer.updated": customer, "customer.subscription.updated": subscription}
    events = [
        {"id": f"evt_{n}", "created": NOW - 60, "type": type_, "data": {"object": one}}
        for n, (type_, one) in enumerate(told.items())
    ]

    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        match path:
            case "/v1/events":
                return listed([event for event in events if event["type"] in params["types"]])
            case "/v1/customers/cus_1":
                return customer
            case "/v1/subscriptions/sub_1":
                return subscription
            case "/v1/subscriptions" if "customer" in params:
                return listed([subscription])
            case _:
                return listed([])

    return Scripted(respond, date=NOW)


@pytest.mark.parametrize(
    "event",
    [
        {"id": "evt_1", "created": NOW, "data": {"object": {"id": "cus_1"}}},
        {"id": "evt_1", "created": NOW, "type": "customer.updated"},
        {"id": "evt_1", "created": NOW, "type": "customer.updated", "data": None},
        {"id": "evt_1", "created": NOW, "type": "customer.updated", "data": {"object": "cus_1"}},
    ],
    ids=["no type", "no data", "data null", "no object"],
)
def test_an_event_that_does_not_say_what_changed_leads_to_a_full_refresh(event: dict[str, Any]) -> None:
    customer = {"object": "customer", "id": "cus_1", "created": 5}

    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        return page_of([event] if path == "/v1/events" else [customer], params)

    pages = read("customers", Scripted(respond, date=NOW), since=NOW - DAY)
    assert [one for page in pages for one in page.objects] == [customer]
    assert any(page.whole for page in pages)
