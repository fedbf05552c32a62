"""Embedded lists are read to their end, and single objects must match their request."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from counterfoil.errors import RunError, StripeUnavailable
from counterfoil.extract.listing import read_listing
from counterfoil.extract.preview import read_preview
from counterfoil.extract.refetch import read_one
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.catalogue import report
from counterfoil.reports.report import Listing, Preview
from counterfoil.values import StripeObject, Window

from .scripted import Scripted, collect, list_response, page_of

INVOICES = Listing(path="/v1/invoices", object="invoice", lists=("lines",))
URL = "/v1/invoices/in_1/lines"
LINES: list[StripeObject] = [{"id": f"il_{number:03}"} for number in range(250)]
DELETED = RunError("deleted", status=404, code="resource_missing", param="id")


def invoice(**lines: Any) -> StripeObject:
    whole = {"object": "list", "data": LINES[:10], "has_more": True, "url": URL, **lines}
    present = {name: value for name, value in whole.items() if value != "absent"}
    return {"object": "invoice", "id": "in_1", "created": 5, "lines": present}


def read(listed_as: StripeObject, again: StripeObject | None = None) -> tuple[list[StripeObject], Scripted, Warnings]:
    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        if path == "/v1/invoices":
            return list_response([listed_as])
        return page_of(LINES, params) if path == URL else again or listed_as

    stripe, notices = Scripted(respond), Warnings()
    return collect(read_listing(stripe.client, INVOICES, Window(), notices=notices)), stripe, notices


def lines(found: StripeObject) -> list[str]:
    return [one["id"] for one in found["lines"]["data"]]


@pytest.mark.parametrize("has_more", ["absent", None, "yes", 0])
def test_an_embedded_list_without_has_more_is_read_to_its_end(has_more: Any) -> None:
    ((found,), _, notices) = read(invoice(has_more=has_more))
    assert lines(found) == [one["id"] for one in LINES]
    assert found["lines"]["has_more"] is False
    assert list(found["lines"]) == ["object", "data", "has_more", "url"]
    assert list(notices) == []


def test_pages_of_entries_overlap_by_one_entry() -> None:
    _, stripe, _ = read(invoice())
    cursors = [params["starting_after"] for path, params in stripe.sent if path == URL]
    assert cursors == ["il_008", "il_107", "il_206"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": [{"id": "il_000"}, None]},
        {"data": ["il_000"]},
        {"data": [["il_000"]]},
        {"data": None},
        {"data": [{"id": "il_000"}, {"id": "il_000"}]},
        {"data": [{"id": None}]},
        {"data": [{"id": ["il_000"]}]},
        {"data": []},
        {"total_count": 249},
        {"has_more": False, "total_count": 11},
        {"url": None},
        {"url": 7},
        {"url": "lines"},
        {"url": "/v1/../secrets"},
        {"url": "//elsewhere.example/v1/lines"},
        {"url": "/v2/lines"},
    ],
    ids=str,
)
def test_inconsistent_embedded_list_is_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(StripeUnavailable) as caught:
        read(invoice(**wrong))
    assert caught.value.code == "invalid_answer"
    ((found,), _, _) = read(invoice(**wrong), again=invoice(total_count=250))
    assert lines(found) == [one["id"] for one in LINES], "the invoice is read again"


@pytest.mark.parametrize("absent", [{}, {"lines": None}])
def test_object_without_its_list_is_read_again_then_accepted_with_a_warning(absent: dict[str, Any]) -> None:
    bare = {"object": "invoice", "id": "in_1", "created": 5, **absent}
    ((found,), _, notices) = read(dict(bare), again=invoice())
    assert lines(found) == [one["id"] for one in LINES]
    assert list(notices) == []
    ((found,), _, notices) = read(dict(bare))
    assert not found.get("lines")
    assert len(list(notices)) == 1


def one(*answers: StripeObject | RunError) -> tuple[StripeObject | None, Scripted]:
    remaining = list(answers)

    def respond(_path: str, _params: dict[str, Any]) -> dict[str, Any]:
        answer = remaining.pop(0)
        if isinstance(answer, RunError):
            raise answer
        return answer

    stripe = Scripted(respond)
    charges = Listing(path="/v1/charges", object="charge")
    return asyncio.run(read_one(stripe.client, charges, "ch_1", notices=Warnings())), stripe


RIGHT: StripeObject = {"object": "charge", "id": "ch_1", "created": 5}


@pytest.mark.parametrize(
    "wrong",
    [{**RIGHT, "id": "ch_2"}, {**RIGHT, "object": "refund"}, {"error": {"message": "odd"}}, {}, {"id": "ch_1"}],
    ids=str,
)
def test_wrong_single_object_is_requested_again(wrong: StripeObject) -> None:
    found, stripe = one(wrong, wrong, RIGHT)
    assert found == RIGHT
    assert len(stripe.sent) == 3
    with pytest.raises(StripeUnavailable) as caught:
        one(wrong, wrong, wrong)
    assert (caught.value.code, caught.value.path) == ("invalid_answer", "/v1/charges/ch_1")


def test_object_counts_as_deleted_after_two_responses() -> None:
    assert one(DELETED, RIGHT)[0] == RIGHT
    assert one(DELETED, DELETED)[0] is None
    assert one({"object": "charge", "id": "ch_1", "deleted": True})[0] is None


def previews(*answers: StripeObject) -> list[StripeObject]:
    """The preview of one subscription; the answers are sent in order, and the last one is repeated."""
    remaining = list(answers)
    subscription = {"object": "subscription", "id": "sub_1", "created": 1, "status": "active", "customer": "cus_1"}

    def respond(path: str, _params: dict[str, Any]) -> dict[str, Any]:
        if path == "/v1/subscriptions":
            return list_response([subscription])
        return remaining.pop(0) if len(remaining) > 1 else remaining[0]

    source = report("upcoming_invoices").source
    assert isinstance(source, Preview)
    source = replace(source, previewed=source.previewed[:1])
    earlier = ResumeState(report("upcoming_invoices"))
    return collect(read_preview(Scripted(respond).client, source, notices=Warnings(), earlier=earlier))


def preview(**fields: Any) -> StripeObject:
    parent = {"subscription_details": {"subscription": "sub_1"}}
    lines = {"object": "list", "data": [], "has_more": False, "url": URL}
    whole = {"object": "invoice", "id": "upcoming_in_1", "customer": "cus_1", "parent": parent, "lines": lines}
    return {**whole, **fields}


@pytest.mark.parametrize(
    "wrong",
    [
        {"customer": "cus_2"},
        {"parent": {"subscription_details": {"subscription": "sub_2"}}},
        {"parent": None, "amount_due": 7},
        {"object": "refund"},
        {"id": 7},
        {"id": None},
        {"lines": {"object": "list", "data": [None], "has_more": False, "url": URL}},
    ],
    ids=str,
)
def test_a_preview_of_another_invoice_is_requested_again(wrong: dict[str, Any]) -> None:
    (found,) = previews(preview(**wrong), preview())
    assert found == {**preview(), "preview_of": "sub_1"}


def test_repeated_preview_replaces_lines_and_amounts_together() -> None:
    cut = {"object": "list", "data": [{"id": "il_1"}], "has_more": None, "url": URL}
    again = preview(
        id="upcoming_in_2", amount_due=7, lines={"object": "list", "data": [], "has_more": False, "url": URL}
    )
    (found,) = previews(preview(lines=cut), again)
    assert found == {**again, "preview_of": "sub_1"}


def test_preview_without_subscription_is_accepted_if_every_response_lacks_it() -> None:
    (found,) = previews(preview(parent=None))
    assert found["parent"] is None


def test_preview_without_identifier_is_accepted_if_every_response_lacks_it() -> None:
    (found,) = previews(preview(id=None))
    assert found["id"] is None
    with pytest.raises(StripeUnavailable):
        previews(preview(customer="cus_2"))
