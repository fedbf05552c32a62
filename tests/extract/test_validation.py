"""An invalid response is requested again and never becomes rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from counterfoil.errors import StripeUnavailable
from counterfoil.extract.listing import read_listing
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.validation import Code, Expected, check_object, check_page, filters_of
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.catalogue import REPORTS, report
from counterfoil.reports.report import Collected, Listing, Preview, Singleton, Union
from counterfoil.values import Page, StripeObject, Window

from .scripted import Scripted, collect, page_of

PATH = "/v1/charges"
CHARGES = Listing(path=PATH, object="charge")
Row = dict[str, Any]
Answer = dict[str, Any]
#: A proxy's change of an answer, given the parameters and the number of earlier answers to the same request.
Lie = Callable[[Answer, dict[str, Any], int], Answer]


def charge(number: int, at: int, **fields: Any) -> Row:
    return {"object": "charge", "id": f"ch_{number:04}", "created": at, **fields}


def charges(count: int, first: int = 10_000) -> list[Row]:
    """Newest first, one per second."""
    return [charge(count - number, first - number) for number in range(count)]


def page(rows: list[Row], *, has_more: bool = False, **fields: Any) -> Answer:
    return {"object": "list", "url": PATH, "data": rows, "has_more": has_more, **fields}


def expected(**fields: Any) -> Expected:
    return Expected(**{"path": PATH, "limit": 3, "objects": frozenset({"charge"}), "created": "created", **fields})


VALID = [charge(3, 30), charge(2, 20), charge(1, 10)]

DEVIATIONS: list[tuple[Code, Answer, Expected]] = [
    ("not_a_list", {"error": {"message": "no"}}, expected()),
    ("not_a_list", page([], has_more=None), expected()),  # type: ignore[arg-type]
    ("not_a_list", {**page(VALID), "object": "search_result"}, expected()),
    ("not_a_list", page([*VALID[:2], None]), expected()),  # type: ignore[list-item]
    ("no_identifier", page([charge(1, 10, id=7)]), expected()),
    ("no_identifier", page([charge(1, 10, id="")]), expected()),
    ("wrong_object", page([charge(1, 10, object="refund")]), expected()),
    ("too_many_rows", page([*VALID, charge(0, 5)]), expected()),
    ("empty_page", page([], has_more=True), expected()),
    ("empty_page", page(VALID[:1], has_more=True), expected(first="ch_0003", newest=30)),
    ("repeated_identifier", page([VALID[0], VALID[0]]), expected()),
    ("repeated_identifier", page(VALID), expected(seen={"ch_0002"})),
    ("not_contiguous", page(VALID), expected(first="ch_0004", newest=40)),
    ("not_contiguous", page([]), expected(first="ch_0004", newest=40)),
    ("contradiction", page(VALID), expected(first="ch_0003", newest=31)),
    ("no_time", page([charge(1, 10, created=None)]), expected()),
    ("no_time", page([charge(1, 10, created=True)]), expected()),
    ("no_time", page([charge(1, 10, created=10.0)]), expected()),
    ("not_descending", page([VALID[1], VALID[0]]), expected()),
    ("not_descending", page(VALID), expected(newest=29)),
    ("outside_window", page(VALID), expected(window=Window(11, None))),
    ("outside_window", page(VALID), expected(window=Window(None, 30))),
    ("outside_filter", page([charge(1, 10, customer="cus_2")]), expected(filters={"customer": frozenset({"cus_1"})})),
    ("wrong_url", page(VALID, url="/v1/refunds"), expected()),
    ("short_page", page(VALID[:2], has_more=True), expected()),
]


@pytest.mark.parametrize(
    ("code", "body", "wanted"), DEVIATIONS, ids=[f"{code}-{n}" for n, (code, *_) in enumerate(DEVIATIONS)]
)
def test_deviation_of_a_page_from_its_request_is_detected(code: Code, body: Answer, wanted: Expected) -> None:
    found = check_page(body, wanted)
    assert found is not None
    assert found.code == code


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (page(VALID, has_more=True), expected()),
        (page([]), expected()),
        (page(VALID), expected(window=Window(10, 31))),
        (page(VALID), expected(first="ch_0003", newest=30, seen={"ch_0003"})),
        (page([charge(2, 10), charge(1, 10)]), expected()),
        (page([charge(1, 10), charge(2, 10)]), expected()),
        (page([charge(1, 10, customer=None)]), expected(filters={"customer": frozenset({"cus_1"})})),
        (page(VALID[:2], has_more=True), expected(tolerated={"short_page"})),
        (page([charge(1, 10, created=None)]), expected(created=None)),
    ],
)
def test_valid_page_has_no_deviation(body: Answer, wanted: Expected) -> None:
    assert check_page(body, wanted) is None


def test_only_filters_repeated_in_each_row_are_compared() -> None:
    assert filters_of({"status": "all", "active": "true", "limit": "5"}) == {}
    assert filters_of({"status": "open", "customer": "cus_1"}) == {
        "status": frozenset({"open"}),
        "customer": frozenset({"cus_1"}),
    }
    assert filters_of({"type": "charge.*"}) == {}
    assert filters_of({"types": ["a", "b"]}) == {"type": frozenset({"a", "b"})}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"id": "ch_2", "object": "charge", "created": 1}, "wrong_identifier"),
        ({"id": "ch_1", "object": "refund", "created": 1}, "wrong_object"),
        ({"id": "ch_1", "object": "charge"}, "no_time"),
        ({"error": {}}, "wrong_identifier"),
        ({}, "wrong_identifier"),
        ({"id": "ch_1", "object": "charge", "created": 1}, None),
    ],
)
def test_single_object_must_match_its_request(body: StripeObject, code: str | None) -> None:
    found = check_object(body, id="ch_1", object="charge", created="created")
    assert (found.code if found else None) == code


def read(lie: Lie, rows: list[Row], window: Window = Window(), **options: Any) -> tuple[list[str], Scripted, Warnings]:  # noqa: B008
    """The ids read through a lying proxy, the requests, and the warnings."""
    answered: dict[str, int] = {}

    def respond(path: str, params: dict[str, Any]) -> Answer:
        key = f"{path} {sorted((k, str(v)) for k, v in params.items())}"
        answered[key] = answered.get(key, 0) + 1
        body = page_of(rows, params)
        return lie({**body, "url": path}, params, answered[key] - 1)

    stripe, notices = Scripted(respond), Warnings()
    got = collect(read_listing(stripe.client, CHARGES, window, notices=notices, **options))
    return [one["id"] for one in got], stripe, notices


def once(change: Callable[[Answer], Answer]) -> Lie:
    """A proxy that changes only the first answer to each request."""
    return lambda body, _params, before: body if before else change(body)


ROWS = charges(950)
IDS = sorted(one["id"] for one in ROWS)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: {**body, "data": [], "has_more": True},
        lambda body: {**body, "data": body["data"][1:]} if body["has_more"] else body,
        lambda body: {**body, "data": body["data"][:-3]} if body["has_more"] else body,
        lambda body: {**body, "data": body["data"] + body["data"][-1:]},
        lambda body: {**body, "data": body["data"][::-1]} if len(body["data"]) > 1 else body,
        lambda body: {**body, "has_more": False} if len(body["data"]) == 100 else body,
        lambda body: {**body, "data": [charge(9, 10, object="refund")]},
        lambda body: {"object": "list"},
        lambda body: {"error": {"message": "odd"}},
        lambda body: {},
        lambda body: {**body, "data": page_of(ROWS, {"limit": 100, "created[lt]": 9_100})["data"], "has_more": True},
    ],
    ids=[
        "empty page",
        "first row missing",
        "last rows missing",
        "last row twice",
        "reversed",
        "ends early",
        "another object",
        "no rows",
        "error with status 200",
        "empty object",
        "another page",
    ],
)
def test_wrong_first_response_loses_and_duplicates_no_rows(change: Callable[[Answer], Answer]) -> None:
    def lie(body: Answer, params: dict[str, Any], before: int) -> Answer:
        # Nothing determines the first row of an unbounded list, so its newest page can't be validated.
        bounded = "starting_after" in params or "created[lt]" in params
        return change(body) if bounded and not before else body

    got, _, notices = read(lie, ROWS)
    assert sorted(got) == IDS
    assert list(notices) == []


def test_later_page_of_the_same_list_is_rejected() -> None:
    later = page_of(ROWS, {"limit": 100, "starting_after": ROWS[350]["id"]})

    def lie(body: Answer, params: dict[str, Any], before: int) -> Answer:
        return {**later, "url": PATH} if "starting_after" in params and not before else body

    got, _, _ = read(lie, ROWS, limit=950)
    assert got == [one["id"] for one in ROWS]


def test_differing_invalid_responses_fail_the_reading() -> None:
    def lie(body: Answer, params: dict[str, Any], before: int) -> Answer:
        if "starting_after" not in params:
            return body
        return [{**body, "data": [], "has_more": True}, {}, {**body, "has_more": None}][before % 3]

    with pytest.raises(StripeUnavailable) as caught:
        read(lie, ROWS)
    assert (caught.value.code, caught.value.path) == ("invalid_answer", PATH)
    assert "starting_after=ch_" in caught.value.message


def test_different_rows_outside_the_window_fail_the_reading() -> None:
    def lie(body: Answer, params: dict[str, Any], before: int) -> Answer:
        if "created[lt]" not in params:
            return body
        first = 20_000 + 1_000 * (before % 3)
        return {**body, "data": [charge(first - number, first - number) for number in range(100)], "has_more": True}

    with pytest.raises(StripeUnavailable) as caught:
        read(lie, ROWS)
    assert caught.value.code == "invalid_answer"


@pytest.mark.parametrize("limit", [None, 150])
def test_list_that_ignores_windows_is_read_as_one_chain(limit: int | None) -> None:
    def lie(_body: Answer, params: dict[str, Any], _before: int) -> Answer:
        whole = {name: value for name, value in params.items() if not name.startswith("created")}
        return {**page_of(ROWS, whole), "url": PATH}

    got, stripe, notices = read(lie, ROWS, limit=limit)
    assert sorted(got) == IDS[-len(got) :]
    assert len(got) == (limit or len(ROWS))
    assert len(got) == len(set(got))
    assert len(stripe.sent) < 60
    assert any("outside_window" in notice for notice in notices) == (limit is None)


def test_list_in_another_order_is_read_completely_and_limited_to_its_range() -> None:
    rows = sorted(charges(730), key=lambda one: int(one["id"][-2:]) * 1_000 + one["created"] % 997)
    expected_ids = sorted(one["id"] for one in rows if 9_400 <= one["created"] < 9_900)

    def lie(_body: Answer, params: dict[str, Any], _before: int) -> Answer:
        within = [
            one
            for one in rows
            if params.get("created[gte]", 0) <= one["created"] < params.get("created[lt]", 1_000_000)
        ]
        return {**page_of(within, {k: v for k, v in params.items() if not k.startswith("created")}), "url": PATH}

    got, _, notices = read(lie, rows, Window(9_400, 9_900))
    assert sorted(got) == expected_ids
    assert any("not_descending" in notice for notice in notices)


def test_a_list_with_short_pages_is_read_with_a_warning() -> None:
    def lie(_body: Answer, params: dict[str, Any], _before: int) -> Answer:
        return {**page_of(ROWS, params, max_rows=70), "url": PATH}

    got, stripe, notices = read(lie, ROWS)
    assert sorted(got) == IDS
    assert len(list(notices)) == 1
    assert len(stripe.sent) < 40, "only the first short page is requested three times"


def test_short_pages_that_omit_different_rows_fail_the_run() -> None:
    omitted = iter(range(1_000))

    def lie(_body: Answer, params: dict[str, Any], _before: int) -> Answer:
        body = page_of(ROWS, params)
        if body["has_more"]:
            del body["data"][next(omitted) % 40 + 1]
        return {**body, "url": PATH}

    with pytest.raises(StripeUnavailable) as caught:
        read(lie, ROWS)
    assert caught.value.code == "invalid_answer"


def test_chain_without_windows_resumes_without_duplicates() -> None:
    def ignoring(_path: str, params: dict[str, Any]) -> Answer:
        whole = {name: value for name, value in params.items() if not name.startswith("created")}
        return {**page_of(ROWS, whole), "url": PATH}

    async def some(earlier: ResumeState, pages: int) -> list[Page]:
        found: list[Page] = []
        reading = read_listing(
            Scripted(ignoring).client, CHARGES, Window(), notices=Warnings(), resumed=earlier.resumed(PATH)
        )
        async for one in reading:
            found.append(one)
            if len(found) == pages:
                break
        await reading.aclose()
        return found

    spool: list[Page] = []
    for pages in (3, 4, 1_000, 1_000):
        earlier = ResumeState(report("charges"))
        for one in spool:
            earlier.add(one)
        more = asyncio.run(some(earlier, pages))
        spool += more
    assert more == [], "a list that was read to its end is not requested again"
    got = [one["id"] for each in spool for one in each.objects]
    assert sorted(got) == IDS
    assert any(one.unwindowed for one in spool)


def test_rows_without_a_time_cannot_be_limited_to_a_range() -> None:
    def lie(body: Answer, _params: dict[str, Any], _before: int) -> Answer:
        return {**body, "data": [{**one, "created": None} for one in body["data"]]}

    with pytest.raises(StripeUnavailable) as caught:
        read(lie, ROWS, Window(9_400, 9_900))
    assert caught.value.code == "invalid_answer"
    got, _, _ = read(lie, ROWS)
    assert sorted(got) == IDS


def test_every_source_names_the_object_of_its_rows() -> None:
    def without_object(source: object) -> list[str]:
        match source:
            case Listing():
                return [source.path] if not source.object and not source.retired else []
            case Singleton():
                return [] if source.object else [source.path]
            case Union():
                return [path for one in source.listings.values() for path in without_object(one)]
            case Collected():
                return [path for one in source.places for path in without_object(one.listing)]
            case Preview():
                below = [path for one in source.previewed for path in without_object(one.listing)]
                return below if source.object else [*below, source.path]
            case _:
                raise AssertionError(source)

    assert [path for one in REPORTS for path in without_object(one.source)] == []


def test_response_that_contradicts_an_earlier_page_fails_the_reading() -> None:
    def lie(body: Answer, params: dict[str, Any], _before: int) -> Answer:
        if "starting_after" in params:
            return body
        return {**body, "data": [{**one, "created": one["created"] + 3_600} for one in body["data"]]}

    with pytest.raises(StripeUnavailable) as caught:
        read(lie, ROWS, limit=300)
    assert caught.value.code == "contradiction"
