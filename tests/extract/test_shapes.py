"""Each source shape asks for what it needs and makes rows of what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from counterfoil.errors import PermissionMissing, RunError, StripeUnavailable
from counterfoil.extract.collected import read_collected
from counterfoil.extract.listing import read_listing
from counterfoil.extract.preview import read_preview
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.singleton import read_singleton
from counterfoil.extract.streams import merge_streams
from counterfoil.extract.union import read_union
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.catalogue import report
from counterfoil.reports.report import (
    Bucket,
    Collected,
    Listing,
    ObjectPath,
    Preview,
    Previewed,
    Singleton,
    Union,
)
from counterfoil.values import Page, Position, Window

from .scripted import Respond, Scripted, gathered, listed, page_of

CHARGES = Listing(path="/v1/charges")
NONE = ResumeState(report("charges"))


def refused(status: int, **told: Any) -> RunError:
    return RunError("refused", status=status, **told)


def test_a_listing_sends_its_window_its_parameters_and_its_expansions() -> None:
    stripe = Scripted(lambda _path, _params: listed([]))
    listing = Listing(path="/v1/plans", params={"active": "true"}, expand=("data.tiers",), api_version="2020-08-27")
    gathered(read_listing(stripe.client, listing, Window(5, 9), notices=Warnings(), params={"product": "prod_1"}))
    assert stripe.asked == [
        (
            "/v1/plans",
            {
                "active": "true",
                "product": "prod_1",
                "limit": 100,
                "created[gte]": 5,
                "created[lt]": 9,
                "expand": ["data.tiers"],
                "version": "2020-08-27",
            },
        )
    ]


def test_a_listing_without_the_filter_is_one_chain_without_bounds() -> None:
    rows: list[dict[str, Any]] = [{"id": f"acct_{number}"} for number in range(120)]
    stripe = Scripted(lambda _path, params: page_of(rows, params))
    listing = Listing(path="/v1/accounts", created=None)
    assert gathered(read_listing(stripe.client, listing, Window(), notices=Warnings())) == rows
    # The second page begins with the last row of the first.
    assert [params for _, params in stripe.asked] == [{"limit": 100}, {"limit": 100, "starting_after": "acct_98"}]


def test_a_limit_reads_the_newest_so_many_and_asks_for_no_more() -> None:
    rows = [{"id": f"c{number:03}", "created": 1_000 - number} for number in range(250)]

    def respond(_path: str, params: dict[str, Any]) -> dict[str, Any]:
        start = next((n + 1 for n, row in enumerate(rows) if row["id"] == params.get("starting_after")), 0)
        return listed(rows[start : start + params["limit"]], has_more=start + params["limit"] < len(rows))

    stripe = Scripted(respond)
    assert gathered(read_listing(stripe.client, CHARGES, Window(), notices=Warnings(), limit=130)) == rows[:130]
    assert [params["limit"] for _, params in stripe.asked] == [100, 31]


def test_a_retired_list_is_no_rows_and_a_notice() -> None:
    def respond(_path: str, _params: dict[str, Any]) -> dict[str, Any]:
        raise refused(404)

    notices = Warnings()
    listing = Listing(path="/v1/recipients", retired=frozenset({404}))
    assert gathered(read_listing(Scripted(respond).client, listing, Window(), notices=notices)) == []
    assert list(notices) == ["retired by Stripe, use connected accounts"]


@pytest.mark.parametrize("error", [refused(404), PermissionMissing("no", permission="rak_charge_read")])
def test_an_error_of_a_list_that_is_not_retired_stays_an_error(error: Exception) -> None:
    def respond(_path: str, _params: dict[str, Any]) -> dict[str, Any]:
        raise error

    with pytest.raises(type(error)) as caught:
        gathered(read_listing(Scripted(respond).client, CHARGES, Window(), notices=Warnings()))
    assert caught.value is error


@pytest.mark.parametrize(
    "answer",
    [{}, {"data": [], "has_more": "no"}, {"data": {}, "has_more": False}, {"data": [1], "has_more": False}],
)
def test_an_answer_that_is_no_list_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(StripeUnavailable, match="not a list"):
        gathered(read_listing(Scripted(lambda *_: answer).client, CHARGES, Window(), notices=Warnings()))


def test_a_deleted_cursor_starts_its_second_again_without_doubling() -> None:
    rows = [{"id": f"c{number:03}", "created": 1_000 - number // 30} for number in range(180)]
    gone: set[str] = set()

    def respond(_path: str, params: dict[str, Any]) -> dict[str, Any]:
        cursor = params.get("starting_after")
        if cursor is not None and cursor not in gone:
            gone.add(cursor)
            raise refused(404, code="resource_missing", param="starting_after")
        left = [row for row in rows if row["created"] < params.get("created[lt]", 10_000)]
        return listed(left[: params["limit"]], has_more=len(left) > params["limit"])

    got = gathered(read_listing(Scripted(respond, in_flight=1).client, CHARGES, Window(), notices=Warnings()))
    assert [row["id"] for row in got] == [row["id"] for row in rows]


def test_another_missing_resource_is_no_lost_cursor() -> None:
    def respond(_path: str, _params: dict[str, Any]) -> dict[str, Any]:
        raise refused(404, code="resource_missing", param="customer")

    with pytest.raises(RunError, match="refused"):
        gathered(read_listing(Scripted(respond).client, CHARGES, Window(), notices=Warnings()))


def invoice_answers(path: str, params: dict[str, Any]) -> dict[str, Any]:
    if path == "/v1/invoices":
        lines = {"data": [{"id": "il_1"}], "has_more": True, "url": "/v1/invoices/in_1/lines?kept=yes"}
        return listed([{"id": "in_1", "created": 5, "lines": lines}])
    assert path == "/v1/invoices/in_1/lines"
    assert params["kept"] == "yes"
    return page_of([{"id": f"il_{number}"} for number in range(1, 151)], params)


def test_an_embedded_list_is_read_to_its_end_by_its_own_url() -> None:
    stripe = Scripted(invoice_answers)
    listing = Listing(path="/v1/invoices", lists=("lines",), expand=("data.discounts", "data.lines.data.discounts"))
    (invoice,) = gathered(read_listing(stripe.client, listing, Window(), notices=Warnings()))
    assert [line["id"] for line in invoice["lines"]["data"]] == [f"il_{number}" for number in range(1, 151)]
    assert invoice["lines"]["has_more"] is False
    assert [params.get("expand") for _, params in stripe.asked[1:]] == [["data.discounts"]] * 2


def test_an_embedded_list_that_leads_elsewhere_is_not_followed() -> None:
    lines = {"data": [{"id": "il_1"}], "has_more": True, "url": "https://elsewhere.example/v1/lines"}
    invoice = {"id": "in_1", "created": 5, "lines": lines}
    stripe = Scripted(lambda path, _: listed([invoice]) if path == "/v1/invoices" else invoice)
    listing = Listing(path="/v1/invoices", lists=("lines",))
    with pytest.raises(StripeUnavailable, match="elsewhere") as caught:
        gathered(read_listing(stripe.client, listing, Window(), notices=Warnings()))
    assert caught.value.code == "invalid_answer"
    assert {path for path, _ in stripe.asked} == {"/v1/invoices", "/v1/invoices/in_1"}


def test_a_singleton_is_one_row() -> None:
    stripe = Scripted(lambda *_: {"id": "acct_1", "object": "account"})
    rows = gathered(read_singleton(stripe.client, Singleton(path="/v1/account"), notices=Warnings(), earlier=NONE))
    assert rows == [{"id": "acct_1", "object": "account"}]


def test_buckets_become_a_row_per_entry_with_what_stands_beside_them() -> None:
    body = {
        "object": "balance",
        "livemode": False,
        "available": [{"amount": 1, "currency": "usd"}, {"amount": 2, "currency": "jpy"}],
        "issuing": {"available": [{"amount": 3, "currency": "usd"}]},
    }
    source = Singleton(
        path="/v1/balance",
        buckets=(
            Bucket(bucket="available", state="available", path=("available",)),
            Bucket(bucket="issuing", state="available", path=("issuing", "available")),
            Bucket(bucket="pending", state="pending", path=("pending",)),
        ),
    )
    rows = gathered(read_singleton(Scripted(lambda *_: body).client, source, notices=Warnings(), earlier=NONE))
    beside = {"object": "balance", "livemode": False, "_state": "available"}
    assert rows == [
        {**beside, "amount": 1, "currency": "usd", "_bucket": "available"},
        {**beside, "amount": 2, "currency": "jpy", "_bucket": "available"},
        {**beside, "amount": 3, "currency": "usd", "_bucket": "issuing"},
    ]


def kinds(path: str, _params: dict[str, Any]) -> dict[str, Any]:
    base = 10 if path == "/v1/payouts" else 11
    return listed([{"id": f"{path}-{n}", "created": base - 2 * n} for n in range(3)])


UNION = Union(listings={"transfer": Listing(path="/v1/transfers"), "payout": Listing(path="/v1/payouts")})


def test_a_union_holds_the_objects_of_all_its_lists_with_their_kind() -> None:
    rows = gathered(
        read_union(Scripted(kinds).client, UNION, Window(), notices=Warnings(), params=None, limit=None, earlier=NONE)
    )
    assert sorted(row["_kind"] for row in rows) == ["payout"] * 3 + ["transfer"] * 3
    assert all(row["id"].startswith(f"/v1/{row['_kind']}s") for row in rows)


def test_objects_own_kind_stays_beside_ours() -> None:
    def answers(path: str, _params: dict[str, Any]) -> dict[str, Any]:
        return listed([{"id": f"{path}-1", "created": 5, "kind": "standard"}])

    rows = gathered(
        read_union(Scripted(answers).client, UNION, Window(), notices=Warnings(), params=None, limit=None, earlier=NONE)
    )
    assert {(row["kind"], row["_kind"]) for row in rows} == {("standard", "transfer"), ("standard", "payout")}


def test_balance_entries_own_bucket_and_state_stay_beside_ours() -> None:
    entry = {"amount": 1, "currency": "usd", "bucket": "b", "state": "s"}
    source = Singleton(
        path="/v1/balance", buckets=(Bucket(bucket="available", state="available", path=("available",)),)
    )
    stripe = Scripted(lambda *_: {"available": [entry]})
    rows = gathered(read_singleton(stripe.client, source, notices=Warnings(), earlier=NONE))
    assert rows == [{**entry, "_bucket": "available", "_state": "available"}]


LINES = report("invoice_line_items")
TWO_INVOICES = listed(
    [
        {"id": name, "created": 5, "lines": {"data": [{"id": "il_1", "invoice": name}], "has_more": False}}
        for name in ("in_2", "in_1")
    ]
)


def test_lines_of_two_invoices_with_one_identifier_are_two_rows() -> None:
    assert isinstance(LINES.source, Collected)
    pages = read_collected(
        Scripted(lambda *_: TWO_INVOICES).client, LINES.source, notices=Warnings(), earlier=ResumeState(LINES)
    )
    assert sorted((row["invoice"], row["id"]) for row in gathered(pages)) == [("in_1", "il_1"), ("in_2", "il_1")]


def test_resumed_reading_takes_lines_of_other_invoices_with_a_known_identifier() -> None:
    earlier = ResumeState(LINES)
    line = {"id": "il_1", "invoice": "in_2"}
    earlier.add(Page("/v1/invoices", Window(), None, [line], last=False, position=Position("in_2", 5, 5, 1)))
    assert isinstance(LINES.source, Collected)
    answers = Scripted(lambda *_: TWO_INVOICES)
    pages = read_collected(answers.client, LINES.source, notices=Warnings(), earlier=earlier)
    assert [(row["invoice"], row["id"]) for row in gathered(pages)] == [("in_1", "il_1")]


def test_a_limited_union_holds_the_newest_of_all_its_lists_together() -> None:
    rows = gathered(
        read_union(Scripted(kinds).client, UNION, Window(), notices=Warnings(), params=None, limit=3, earlier=NONE)
    )
    assert [row["created"] for row in rows] == [11, 10, 9]


def test_an_error_of_one_list_ends_the_union_with_that_error() -> None:
    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        if path == "/v1/payouts":
            raise refused(400, code="odd")
        return kinds(path, params)

    with pytest.raises(RunError) as caught:
        gathered(
            read_union(
                Scripted(respond).client, UNION, Window(), notices=Warnings(), params=None, limit=None, earlier=NONE
            )
        )
    assert caught.value.code == "odd"


def test_embedded_objects_are_collected_from_every_place_once() -> None:
    answers = {
        "/v1/customers": listed([{"id": "cus_1", "created": 1, "discount": {"id": "di_1"}}]),
        "/v1/subscriptions": listed(
            [
                {
                    "id": "sub_1",
                    "created": 1,
                    "discounts": [{"id": "di_1"}, {"id": "di_2"}, "di_9"],
                    "items": {"data": [{"id": "si_1", "discounts": [{"id": "di_3"}]}], "has_more": False},
                }
            ]
        ),
    }
    source = Collected(
        places=(
            ObjectPath(listing=Listing(path="/v1/customers"), at=(("discount",),)),
            ObjectPath(
                listing=Listing(path="/v1/subscriptions"),
                at=(("discounts", "*"), ("items", "data", "*", "discounts", "*")),
            ),
        )
    )
    notices = Warnings()
    rows = gathered(
        read_collected(Scripted(lambda path, _: answers[path]).client, source, notices=notices, earlier=NONE)
    )
    assert sorted(row["id"] for row in rows) == ["di_1", "di_2", "di_3"]
    assert "di_9" in "".join(notices)


PREVIEW = Preview(
    path="/v1/invoices/create_preview",
    previewed=(
        Previewed(
            listing=Listing(path="/v1/subscriptions"), param="subscription", statuses=frozenset({"active", "trialing"})
        ),
    ),
    key="preview_of",
    none=frozenset({"invoice_upcoming_none"}),
    lists=("lines",),
)


def preview_answers(path: str, params: dict[str, Any]) -> dict[str, Any]:
    if path == "/v1/subscriptions":
        statuses = {"sub_1": "active", "sub_2": "canceled", "sub_3": "trialing", "sub_4": "active"}
        return listed([{"id": one, "created": 1, "status": status} for one, status in statuses.items()])
    if params["subscription"] == "sub_3":
        raise refused(404, code="invoice_upcoming_none")
    return {"id": "upcoming_in_1", "lines": {"data": [], "has_more": False}}


def test_each_live_object_has_a_preview_and_no_upcoming_invoice_is_no_row() -> None:
    rows = gathered(read_preview(Scripted(preview_answers).client, PREVIEW, notices=Warnings(), earlier=NONE))
    assert [row["preview_of"] for row in rows] == ["sub_1", "sub_4"]


def failing(*subscriptions: str) -> Respond:
    """Previews of which Stripe refuses some."""

    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("subscription") in subscriptions:
            raise refused(400, code="customer_tax_location_invalid")
        return preview_answers(path, params)

    return respond


def test_a_preview_that_stripe_refuses_is_told_and_the_others_are_rows() -> None:
    notices = Warnings()
    rows = gathered(read_preview(Scripted(failing("sub_4")).client, PREVIEW, notices=notices, earlier=NONE))
    assert [row["preview_of"] for row in rows] == ["sub_1"]
    assert "sub_4" in "".join(notices)


def test_when_stripe_refuses_every_preview_that_is_an_error() -> None:
    stripe = Scripted(failing("sub_1", "sub_3", "sub_4"))
    with pytest.raises(RunError) as caught:
        gathered(read_preview(stripe.client, PREVIEW, notices=Warnings(), earlier=NONE))
    assert caught.value.code == "customer_tax_location_invalid"


def test_a_retired_list_that_has_answered_once_is_not_retired() -> None:
    def respond(_path: str, params: dict[str, Any]) -> dict[str, Any]:
        if "starting_after" in params:
            raise refused(403)
        return listed([{"id": "rp_1"}], has_more=True)

    listing = Listing(path="/v1/recipients", created=None, retired=frozenset({403}))
    with pytest.raises(RunError):
        gathered(read_listing(Scripted(respond).client, listing, Window(), notices=Warnings()))


INVOICES = Listing(path="/v1/invoices", lists=("lines",))


def lines_answers(*refusals: RunError, invoice: list[dict[str, Any] | RunError] | None = None) -> Respond:
    """An invoice of three lines, whose second line is deleted when the rest of the list is requested."""
    left = list(refusals)
    again = list(invoice or [])

    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        lines = {"data": [{"id": "il_1"}, {"id": "il_2"}], "has_more": True, "url": "/v1/invoices/in_1/lines"}
        if path == "/v1/invoices":
            return listed([{"id": "in_1", "created": 5, "lines": lines}])
        if path == "/v1/invoices/in_1":
            answer = again.pop(0) if again else {"id": "in_1", "created": 5, "lines": lines}
            if isinstance(answer, RunError):
                raise answer
            return answer
        if params.get("starting_after") and left:
            raise left.pop(0)
        return page_of([{"id": "il_1"}, {"id": "il_3"}], params)

    return respond


@pytest.mark.parametrize("status", [400, 404])
def test_an_embedded_list_whose_cursor_was_deleted_is_read_anew(status: int) -> None:
    stripe = Scripted(lines_answers(refused(status, code="resource_missing", param="starting_after")))
    (invoice,) = gathered(read_listing(stripe.client, INVOICES, Window(), notices=Warnings()))
    assert [line["id"] for line in invoice["lines"]["data"]] == ["il_1", "il_3"]
    assert invoice["lines"]["has_more"] is False


GONE = refused(404, code="resource_missing", param="id")
NO_LINES = refused(404, code="resource_missing", param="invoice")


def test_an_object_that_was_deleted_with_its_embedded_list_is_no_row() -> None:
    stripe = Scripted(lines_answers(NO_LINES, invoice=[GONE, GONE]))
    assert gathered(read_listing(stripe.client, INVOICES, Window(), notices=Warnings())) == []


def test_an_object_whose_embedded_list_is_missing_for_a_moment_is_read_again() -> None:
    stripe = Scripted(lines_answers(NO_LINES))
    (invoice,) = gathered(read_listing(stripe.client, INVOICES, Window(), notices=Warnings()))
    assert [line["id"] for line in invoice["lines"]["data"]] == ["il_1", "il_3"]


@pytest.mark.parametrize("error", [NO_LINES, refused(404)], ids=["its object missing", "unknown route"])
def test_an_embedded_list_that_stays_missing_is_an_error(error: RunError) -> None:
    stripe = Scripted(lines_answers(*[error] * 5))
    with pytest.raises(StripeUnavailable) as caught:
        gathered(read_listing(stripe.client, INVOICES, Window(), notices=Warnings()))
    assert (caught.value.code, caught.value.path) == ("invalid_answer", "/v1/invoices/in_1/lines")


def test_a_list_that_is_no_bucket_stays_beside_the_rows() -> None:
    body = {"available": [{"amount": 1, "currency": "usd"}], "issuing": {"available": [], "pending": [{"amount": 2}]}}
    source = Singleton(
        path="/v1/balance",
        buckets=(
            Bucket(bucket="available", state="available", path=("available",)),
            Bucket(bucket="issuing", state="available", path=("issuing", "available")),
        ),
    )
    (row,) = gathered(read_singleton(Scripted(lambda *_: body).client, source, notices=Warnings(), earlier=NONE))
    assert row["issuing"] == {"pending": [{"amount": 2}]}


def test_leaving_streams_that_fail_in_their_clean_up_does_not_hang() -> None:
    async def failing_late(name: str) -> AsyncGenerator[Page, None]:
        try:
            while True:
                yield Page(name, Window(), None, [], last=False)
        finally:
            raise RuntimeError("late")

    async def leave() -> None:
        async with aclosing(merge_streams([failing_late("a"), failing_late("b")])) as pages:
            async for _ in pages:
                break

    asyncio.run(asyncio.wait_for(leave(), 5))
