"""An interrupted reading is resumed: no object is missing or read twice, and no page is requested again."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from counterfoil.extract.listing import read_listing
from counterfoil.extract.preview import read_preview
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.singleton import read_singleton
from counterfoil.extract.union import read_union
from counterfoil.extract.warnings import Warnings
from counterfoil.extract.windows import PAGE_ROWS, Request, Windows
from counterfoil.reports.catalogue import report
from counterfoil.reports.report import Listing, Singleton, Union
from counterfoil.values import Page, Position, Window

from .scripted import Scripted, collect, list_response
from .test_shapes import PREVIEW, preview_answers
from .test_windows import TIMES, List, named

SOURCE = "/v1/charges"


def read_until_killed(
    stripe: List, earlier: ResumeState, slots: int, chance: random.Random, answers: int
) -> tuple[list[Page], bool]:
    """The pages stored before a kill after N answers, and whether the reading had ended before."""
    windows = Windows(Window(), reached=earlier.reached(SOURCE))
    in_flight: list[tuple[Request, Any]] = []
    pages: list[Page] = []
    while not windows.done and answers > 0:
        while len(in_flight) < slots and (request := windows.request()):
            in_flight.append((request, stripe.page(request)))
        request, answer = in_flight.pop(chance.randrange(len(in_flight)))
        answers -= 1
        if answer is None:
            windows.cursor_lost(request)
            continue
        chain = request.chain
        kept = windows.answer(request, answer[0], has_more=answer[1], full=len(answer[0]) == PAGE_ROWS)
        bounds = Window(chain.since, chain.until)
        pages.append(Page(SOURCE, bounds, request.cursor, kept, chain.done, chain.position()))
        # The worst case: the row after which the next page would start is deleted.
        if chain.cursor is not None and chance.random() < stripe.loss:
            stripe.gone.add(chain.cursor)
    return pages, windows.done


@settings(max_examples=60, deadline=None)
@example(times=[1_700_000_000] * 900, slots=1, kills=[1, 1, 1, 1], loss=0.3, chance=random.Random(3))
@given(
    times=TIMES,
    slots=st.integers(1, 16),
    kills=st.lists(st.integers(1, 12), max_size=5),
    loss=st.sampled_from([0.0, 0.3, 1.0]),
    chance=st.randoms(use_true_random=False),
)
def test_killed_and_resumed_reading_stores_every_object_exactly_once(
    times: list[int], slots: int, kills: list[int], loss: float, chance: random.Random
) -> None:
    stripe = List(named(times), loss=loss)
    before = set(stripe.times)
    spool: list[Page] = []
    for answers in [*kills, 1_000_000]:
        earlier = ResumeState(report("charges"))
        for page in spool:
            earlier.add(page)
        pages, _ = read_until_killed(stripe, earlier, slots, chance, answers)
        spool += pages
    kept = [one["id"] for page in spool for one in page.objects]
    assert len(kept) == len(set(kept))
    assert before - stripe.gone <= set(kept) <= before


@settings(max_examples=20, deadline=None)
@given(slots=st.integers(1, 16), kill=st.integers(1, 40), chance=st.randoms(use_true_random=False))
def test_kill_loses_only_pages_in_flight(slots: int, kill: int, chance: random.Random) -> None:
    stripe = List(named([1_700_000_000 - 500 * number for number in range(3_000)]))
    earlier = ResumeState(report("charges"))
    pages, _ = read_until_killed(stripe, earlier, slots, chance, kill)
    for page in pages:
        earlier.add(page)
    rest, done = read_until_killed(stripe, earlier, slots, chance, 1_000_000)
    whole, _ = read_until_killed(stripe, ResumeState(report("charges")), slots, chance, 1_000_000)
    assert done
    # Splits depend on the order of arrival, so two complete readings also differ by some half-full pages.
    assert len(pages) + len(rest) <= len(whole) + 2 * slots + 1


def test_finished_reading_has_no_requests_left() -> None:
    stripe = List(named([1_700_000_000 - 500 * number for number in range(1_000)]))
    earlier = ResumeState(report("charges"))
    pages, done = read_until_killed(stripe, earlier, 4, random.Random(1), 1_000_000)
    assert done
    for page in pages:
        earlier.add(page)
    assert Windows(Window(), reached=earlier.reached(SOURCE)).done
    assert earlier.rows == 1_000


def test_resumed_limited_reading_stops_at_its_limit() -> None:
    rows = [{"id": f"c{number:03}", "created": 1_000 - number} for number in range(250)]

    def respond(_path: str, params: dict[str, Any]) -> dict[str, Any]:
        start = next((n + 1 for n, row in enumerate(rows) if row["id"] == params.get("starting_after")), 0)
        return list_response(rows[start : start + params["limit"]], has_more=start + params["limit"] < len(rows))

    earlier = ResumeState(report("charges"))
    earlier.add(Page(SOURCE, Window(), None, rows[:PAGE_ROWS], False, Position(rows[99]["id"], 1_000, 901, 100)))
    stripe = Scripted(respond)
    left = 130 - earlier.rows
    listing = Listing(path=SOURCE)
    got = collect(
        read_listing(stripe.client, listing, Window(), notices=Warnings(), limit=left, resumed=earlier.resumed(SOURCE))
    )
    assert got == rows[100:130]
    assert [params["limit"] for _, params in stripe.sent] == [31]


def test_resume_does_not_request_a_stored_singleton() -> None:
    earlier = ResumeState(report("account"))
    earlier.add(Page("/v1/account", Window(), None, [{"id": "acct_1"}], True))
    stripe = Scripted(lambda *_: {"id": "acct_1"})
    assert (
        collect(read_singleton(stripe.client, Singleton(path="/v1/account"), notices=Warnings(), earlier=earlier)) == []
    )
    assert stripe.sent == []


def test_resume_does_not_request_a_stored_limited_union() -> None:
    earlier = ResumeState(report("transfers"))
    earlier.add(Page("", Window(), None, [{"id": "tr_1", "created": 1}], True))
    stripe = Scripted(lambda *_: list_response([]))
    union = Union(listings={"transfer": Listing(path="/v1/transfers")})
    got = collect(read_union(stripe.client, union, Window(), notices=Warnings(), params=None, limit=5, earlier=earlier))
    assert got == []
    assert stripe.sent == []


def test_resume_does_not_request_a_stored_preview() -> None:
    earlier = ResumeState(report("upcoming_invoices"))
    earlier.add(Page("/v1/subscriptions", Window(5, None), None, [{"id": "in_1", "preview_of": "sub_1"}], True))
    stripe = Scripted(preview_answers)
    rows = collect(read_preview(stripe.client, PREVIEW, notices=Warnings(), earlier=earlier))
    assert [row["preview_of"] for row in rows] == ["sub_4"]


@pytest.mark.parametrize("done", [True, False])
def test_list_without_created_filter_resumes_after_its_cursor(done: bool) -> None:
    earlier = ResumeState(report("charges"))
    earlier.add(Page(SOURCE, Window(), None, [{"id": "b"}], done, Position("b", None, None, 1)))
    stripe = Scripted(lambda *_: list_response([{"id": "a"}]))
    listing = Listing(path=SOURCE, created=None)
    reading = read_listing(stripe.client, listing, Window(), notices=Warnings(), resumed=earlier.resumed(SOURCE))
    assert collect(reading) == ([] if done else [{"id": "a"}])
    assert [params.get("starting_after") for _, params in stripe.sent] == ([] if done else ["b"])
