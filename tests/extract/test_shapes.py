"""Each kind of source: its requests and its rows."""

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

from .scripted import Respond, Scripted, collect, list_response, page_of

CHARGES = Listing(path="/v1/charges")
NONE = ResumeState(report("charges"))


def refused(status: int, **details: Any) -> RunError:
    return RunError("refused", status=status, **details)


def test_a_listing_sends_its_window_its_parameters_and_its_expansions() -> None:
    stripe = Scripted(lambda _path, _params: list_response([]))
    listing = Listing(path="/v1/plans", params={"active": "true"}, expand=("data.tiers",), api_version="2020-08-27")
    collect(read_listing(stripe.client, listing, Window(5, 9), notices=Warnings(), params={"product": "prod_1"}))
    assert stripe.sent == [
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


def test_list_without_created_filter_is_read_as_one_chain() -> None:
    rows: list[dict[str, Any]] = [{"id": f"acct_{number}"} for number in range(120)]
    stripe = Scripted(lambda _path, params: page_of(rows, params))
    listing = Listing(path="/v1/accounts", created=None)
    assert collect(read_listing(stripe.client, listing, Window(), notices=Warnings())) == rows
    # The second page begins with the last row of the first.
    assert [params for _, params in stripe.sent] == [{"limit": 100}, {"limit": 100, "starting_after": "acct_98"}]


def test_limit_reads_only_the_n_newest_rows() -> None:
    rows = [{"id": f"c{number:03}", "created": 1_000 - number} for number in range(250)]

    def respond(_path: str, params: dict[str, Any]) -> dict[str, Any]:
        start = next((n + 1 for n, row in enumerate(rows) if row["id"] == params.get("starting_after")), 0)
        return list_response(rows[start : start + params["limit"]], has_more=start + params["limit"] < len(rows))

    stripe = Scripted(respond)
    assert collect(read_listing(stripe.client, CHARGES, Window(), notices=Warnings(), limit=130)) == rows[:130]
    assert [params["limit"] for _, params in stripe.sent] == [100, 31]


def test_retired_list_yields_no_rows_and_a_warning() -> None:
    def respond(_path: str, _params: dict[str, Any]) -> dict[str, Any]:
        raise refused(404)

    notices = Warnings()
    listing = Listing(path="/v1/recipients", retired=frozenset({404}))
    assert collect(read_listing(Scripted(respond).client, listing, Window(), notices=notices)) == []
    (warning,) = notices
    assert "retired" in warning
    assert "connected accounts" in warning


@pytest.mark.parametrize("error", [refused(404), PermissionMissing("no", permission="rak_charge_read")])
def test_error_of_an_active_list_is_raised(error: Exception) -> None:
    def respond(_path: str, _params: dict[str, Any]) -> dict[str, Any]:
        raise error

    with pytest.raises(type(error)) as caught:
        collect(read_listing(Scripted(respond).client, CHARGES, Window(), notices=Warnings()))
    assert caught.value is error


@pytest.mark.parametrize(
    "answer",
    [{}, {"data": [], "has_more": "no"}, {"data": {}, "has_more": False}, {"data": [1], "has_more": False}],
)
def test_response_that_is_not_a_list_is_rejected(answer: dict[str, Any]) -> None:
    with pytest.raises(StripeUnavailable, match="not a list") as caught:
        collect(read_listing(Scripted(lambda *_: answer).client, CHARGES, Window(), notices=Warnings()))
    assert (caught.value.code, caught.value.path) == ("invalid_answer", "/v1/charges")


def test_deleted_cursor_restarts_its_second_without_duplicates() -> None:
    rows = [{"id": f"c{number:03}", "created": 1_000 - number // 30} for number in range(180)]
    deleted: set[str] = set()

    def respond(_path: str, params: dict[str, Any]) -> dict[str, Any]:
        cursor = params.get("starting_after")
        if cursor is not None and cursor not in deleted:
            deleted.add(cursor)
            raise refused(404, code="resource_missing", param="starting_after")
        older = [row for row in rows if row["created"] < params.get("created[lt]", 10_000)]
        return list_response(older[: params["limit"]], has_more=len(older) > params["limit"])

    got = collect(read_listing(Scripted(respond, in_flight=1).client, CHARGES, Window(), notices=Warnings()))
    assert [row["id"] for row in got] == [row["id"] for row in rows]


def test_other_missing_resource_is_raised() -> None:
    def respond(_path: str, _params: dict[str, Any]) -> dict[str, Any]:
        raise refused(404, code="resource_missing", param="customer")

    with pytest.raises(RunError) as caught:
        collect(read_listing(Scripted(respond).client, CHARGES, Window(), notices=Warnings()))
    assert (caught.value.code, caught.value.param) == ("resource_missing", "customer")


def invoice_answers(path: str, params: dict[str, Any]) -> dict[str, Any]:
    if path == "/v1/invoices":
        lines = {"data": [{"id": "il_1"}], "has_more": True, "url": "/v1/invoices/in_1/lines?kept=yes"}
        return list_response([{"id": "in_1", "created": 5, "lines": lines}])
    assert path == "/v1/invoices/in_1/lines"
    assert params["kept"] == "yes"
    return page_of([{"id": f"il_{number}"} for number in range(1, 151)], params)


def test_an_embedded_list_is_read_to_its_end_by_its_own_url() -> None:
    stripe = Scripted(invoice_answers)
    listing = Listing(path="/v1/invoices", lists=("lines",), expand=("data.discounts", "data.lines.data.discounts"))
    (invoice,) = collect(read_listing(stripe.client, listing, Window(), notices=Warnings()))
    assert [line["id"] for line in invoice["lines"]["data"]] == [f"il_{number}" for number in range(1, 151)]
    assert invoice["lines"]["has_more"] is False
    assert [params.get("expand") for _, params in stripe.sent[1:]] == [["data.discounts"]] * 2


def test_embedded_list_url_on_another_host_is_not_followed() -> None:
    lines = {"data": [{"id": "il_1"}], "has_more": True, "url": "https://elsewhere.example/v1/lines"}
    invoice = {"id": "in_1", "created": 5, "lines": lines}
    stripe = Scripted(lambda path, _: list_response([invoice]) if path == "/v1/invoices" else invoice)
    listing = Listing(path="/v1/invoices", lists=("lines",))
    with pytest.raises(StripeUnavailable, match=r"https://elsewhere\.example") as caught:
        collect(read_listing(stripe.client, listing, Window(), notices=Warnings()))
    assert caught.value.code == "invalid_answer"
    assert {path for path, _ in stripe.sent} == {"/v1/invoices", "/v1/invoices/in_1"}


def test_a_singleton_is_one_row() -> None:
    stripe = Scripted(lambda *_: {"id": "acct_1", "object": "account"})
    rows = collect(read_singleton(stripe.client, Singleton(path="/v1/account"), notices=Warnings(), earlier=NONE))
    assert rows == [{"id": "acct_1", "object": "account"}]


def test_each_bucket_entry_is_a_row_with_the_shared_fields() -> None:
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
    rows = collect(read_singleton(Scripted(lambda *_: body).client, source, notices=Warnings(), earlier=NONE))
    shared = {"object": "balance", "livemode": False, "_state": "available"}
    assert rows == [
        {**shared, "amount": 1, "currency": "usd", "_bucket": "available"},
        {**shared, "amount": 2, "currency": "jpy", "_bucket": "available"},
        {**shared, "amount": 3, "currency": "usd", "_bucket": "issuing"},
    ]


def kinds(path: str, _params: dict[str, Any]) -> dict[str, Any]:
    base = 10 if path == "/v1/payouts" else 11
    return list_response([{"id": f"{path}-{n}", "created": base - 2 * n} for n in range(3)])


UNION = Union(listings={"transfer": Listing(path="/v1/transfers"), "payout": Listing(path="/v1/payouts")})


def test_union_contains_the_objects_of_all_its_lists_with_their_kind() -> None:
    rows = collect(
        read_union(Scripted(kinds).client, UNION, Window(), notices=Warnings(), params=None, limit=None, earlier=NONE)
    )
    assert sorted(row["_kind"] for row in rows) == ["payout"] * 3 + ["transfer"] * 3
    assert all(row["id"].startswith(f"/v1/{row['_kind']}s") for row in rows)


def test_union_preserves_the_kind_field_of_its_objects() -> None:
    def answers(path: str, _params: dict[str, Any]) -> dict[str, Any]:
        return list_response([{"id": f"{path}-1", "created": 5, "kind": "standard"}])

    rows = collect(
        read_union(Scripted(answers).client, UNION, Window(), notices=Warnings(), params=None, limit=None, earlier=NONE)
    )
    assert {(row["kind"], row["_kind"]) for row in rows} == {("standard", "transfer"), ("standard", "payout")}


def test_buckets_preserve_the_bucket_and_state_fields_of_their_entries() -> None:
    entry = {"amount": 1, "currency": "usd", "bucket": "b", "state": "s"}
    source = Singleton(
        path="/v1/balance", buckets=(Bucket(bucket="available", state="available", path=("available",)),)
    )
    stripe = Scripted(lambda *_: {"available": [entry]})
    rows = collect(read_singleton(stripe.client, source, notices=Warnings(), earlier=NONE))
    assert rows == [{**entry, "_bucket": "available", "_state": "available"}]


LINES = report("invoice_line_items")
TWO_INVOICES = list_response(
    [
        {"id": name, "created": 5, "lines": {"data": [{"id": "il_1", "invoice": name}], "has_more": False}}
        for name in ("in_2", "in_1")
    ]
)


def test_lines_with_the_same_id_on_two_invoices_are_two_rows() -> None:
    assert isinstance(LINES.source, Collected)
    pages = read_collected(
        Scripted(lambda *_: TWO_INVOICES).client, LINES.source, notices=Warnings(), earlier=ResumeState(LINES)
    )
    assert sorted((row["invoice"], row["id"]) for row in collect(pages)) == [("in_1", "il_1"), ("in_2", "il_1")]


def test_resumed_reading_includes_lines_with_the_same_id_on_other_invoices() -> None:
    earlier = ResumeState(LINES)
    line = {"id": "il_1", "invoice": "in_2"}
    earlier.add(Page("/v1/invoices", Window(), None, [line], last=False, position=Position("in_2", 5, 5, 1)))
    assert isinstance(LINES.source, Collected)
    answers = Scripted(lambda *_: TWO_INVOICES)
    pages = read_collected(answers.client, LINES.source, notices=Warnings(), earlier=earlier)
    assert [(row["invoice"], row["id"]) for row in collect(pages)] == [("in_1", "il_1")]


def test_limited_union_contains_the_newest_objects_of_all_its_lists() -> None:
    rows = collect(
        read_union(Scripted(kinds).client, UNION, Window(), notices=Warnings(), params=None, limit=3, earlier=NONE)
    )
    assert [row["created"] for row in rows] == [11, 10, 9]


def test_union_raises_the_error_of_one_of_its_lists() -> None:
    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        if path == "/v1/payouts":
            raise refused(400, code="odd")
        return kinds(path, params)

    with pytest.raises(RunError) as caught:
        collect(
            read_union(
                Scripted(respond).client, UNION, Window(), notices=Warnings(), params=None, limit=None, earlier=NONE
            )
        )
    assert caught.value.code == "odd"


def test_embedded_objects_are_collected_once_from_every_path() -> None:
    answers = {
        "/v1/customers": list_response([{"id": "cus_1", "created": 1, "discount": {"id": "di_1"}}]),
        "/v1/subscriptions": list_response(
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
    rows = collect(
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
        return list_response([{"id": one, "created": 1, "status": status} for one, status in statuses.items()])
    if params["subscription"] == "sub_3":
        raise refused(404, code="invoice_upcoming_none")
    return {"id": "upcoming_in_1", "lines": {"data": [], "has_more": False}}


def test_active_objects_with_an_upcoming_invoice_have_a_preview() -> None:
    rows = collect(read_preview(Scripted(preview_answers).client, PREVIEW, notices=Warnings(), earlier=NONE))
    assert [row["preview_of"] for row in rows] == ["sub_1", "sub_4"]


def failing(*subscriptions: str) -> Respond:
    """Previews; Stripe refuses those of the given subscriptions."""

    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("subscription") in subscriptions:
            raise refused(400, code="customer_tax_location_invalid")
        return preview_answers(path, params)

    return respond


def test_refused_preview_is_a_warning_and_the_others_are_rows() -> None:
    notices = Warnings()
    rows = collect(read_preview(Scripted(failing("sub_4")).client, PREVIEW, notices=notices, earlier=NONE))
    assert [row["preview_of"] for row in rows] == ["sub_1"]
    assert "sub_4" in "".join(notices)


def test_error_is_raised_if_stripe_refuses_every_preview() -> None:
    stripe = Scripted(failing("sub_1", "sub_3", "sub_4"))
    with pytest.raises(RunError) as caught:
        collect(read_preview(stripe.client, PREVIEW, notices=Warnings(), earlier=NONE))
    assert caught.value.code == "customer_tax_location_invalid"


def test_list_that_answered_once_is_not_treated_as_retired() -> None:
    def respond(_path: str, params: dict[str, Any]) -> dict[str, Any]:
        if "starting_after" in params:
            raise refused(403)
        return list_response([{"id": "rp_1"}], has_more=True)

    listing = Listing(path="/v1/recipients", created=None, retired=frozenset({403}))
    with pytest.raises(RunError):
        collect(read_listing(Scripted(respond).client, listing, Window(), notices=Warnings()))


INVOICES = Listing(path="/v1/invoices", lists=("lines",))


def lines_answers(*refusals: RunError, invoice: list[dict[str, Any] | RunError] | None = None) -> Respond:
    """An invoice of three lines; the second line is deleted when the rest of the list is requested."""
    remaining = list(refusals)
    again = list(invoice or [])

    def respond(path: str, params: dict[str, Any]) -> dict[str, Any]:
        lines = {"data": [{"id": "il_1"}, {"id": "il_2"}], "has_more": True, "url": "/v1/invoices/in_1/lines"}
        if path == "/v1/invoices":
            return list_response([{"id": "in_1", "created": 5, "lines": lines}])
        if path == "/v1/invoices/in_1":
            answer = again.pop(0) if again else {"id": "in_1", "created": 5, "lines": lines}
            if isinstance(answer, RunError):
                raise answer
            return answer
        if params.get("starting_after") and remaining:
            raise remaining.pop(0)
        return page_of([{"id": "il_1"}, {"id": "il_3"}], params)

    return respond


@pytest.mark.parametrize("status", [400, 404])
def test_embedded_list_restarts_after_its_cursor_is_deleted(status: int) -> None:
    stripe = Scripted(lines_answers(refused(status, code="resource_missing", param="starting_after")))
    (invoice,) = collect(read_listing(stripe.client, INVOICES, Window(), notices=Warnings()))
    assert [line["id"] for line in invoice["lines"]["data"]] == ["il_1", "il_3"]
    assert invoice["lines"]["has_more"] is False


DELETED = refused(404, code="resource_missing", param="id")
NO_LINES = refused(404, code="resource_missing", param="invoice")


def test_object_deleted_with_its_embedded_list_yields_no_row() -> None:
    stripe = Scripted(lines_answers(NO_LINES, invoice=[DELETED, DELETED]))
    assert collect(read_listing(stripe.client, INVOICES, Window(), notices=Warnings())) == []


def test_object_with_a_temporarily_missing_list_is_read_again() -> None:
    stripe = Scripted(lines_answers(NO_LINES))
    (invoice,) = collect(read_listing(stripe.client, INVOICES, Window(), notices=Warnings()))
    assert [line["id"] for line in invoice["lines"]["data"]] == ["il_1", "il_3"]


@pytest.mark.parametrize("error", [NO_LINES, refused(404)], ids=["missing object", "unknown route"])
def test_permanently_missing_embedded_list_is_an_error(error: RunError) -> None:
    stripe = Scripted(lines_answers(*[error] * 5))
    with pytest.raises(StripeUnavailable) as caught:
        collect(read_listing(stripe.client, INVOICES, Window(), notices=Warnings()))
    assert (caught.value.code, caught.value.path) == ("invalid_answer", "/v1/invoices/in_1/lines")


def test_list_without_a_bucket_is_preserved_in_the_rows() -> None:
    body = {"available": [{"amount": 1, "currency": "usd"}], "issuing": {"available": [], "pending": [{"amount": 2}]}}
    source = Singleton(
        path="/v1/balance",
        buckets=(
            Bucket(bucket="available", state="available", path=("available",)),
            Bucket(bucket="issuing", state="available", path=("issuing", "available")),
        ),
    )
    (row,) = collect(read_singleton(Scripted(lambda *_: body).client, source, notices=Warnings(), earlier=NONE))
    assert row["issuing"] == {"pending": [{"amount": 2}]}


def test_closing_streams_with_failing_cleanup_does_not_hang() -> None:
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
