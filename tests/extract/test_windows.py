"""Windows read each object exactly once, whatever the distribution of `created`, and spend few requests on it."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from counterfoil.errors import StripeUnavailable
from counterfoil.extract.windows import PAGE_ROWS, Request, Windows
from counterfoil.values import StripeObject, Window

NOW = 1_793_534_400
EVERYTHING = Window()


@dataclass
class List:
    """A list as Stripe keeps one: newest first by (created, id), paged by cursor, filtered by `created`."""

    times: dict[str, int]
    gone: set[str] = field(default_factory=set)
    #: How often, for tests that lose objects while they read.
    loss: float = 0.0

    def page(self, request: Request) -> tuple[list[StripeObject], bool] | None:
        if request.cursor in self.gone:
            return None
        after = (self.times[request.cursor], request.cursor) if request.cursor else None
        matching = sorted(
            (
                (created, one)
                for one, created in self.times.items()
                if one not in self.gone and created in request.window and (after is None or (created, one) < after)
            ),
            reverse=True,
        )
        return [{"id": one, "created": created} for created, one in matching[:PAGE_ROWS]], len(matching) > PAGE_ROWS


def read_all(stripe: List, windows: Windows, slots: int, chance: random.Random, meanwhile: Any = None) -> list[str]:
    """The ids that are kept, in the order of arrival; answers come back in any order."""
    in_flight: list[tuple[Request, Any]] = []
    kept: list[str] = []
    while not windows.done:
        while len(in_flight) < slots and (request := windows.request()):
            in_flight.append((request, stripe.page(request)))
        request, answer = in_flight.pop(chance.randrange(len(in_flight)))
        if answer is None:
            windows.cursor_lost(request)
        else:
            kept += [row["id"] for row in windows.answer(request, answer[0], has_more=answer[1])]
        if meanwhile is not None:
            meanwhile()
    return kept


def named(times: list[int]) -> dict[str, int]:
    return {f"ch_{number:06}": created for number, created in enumerate(times)}


@dataclass
class Sorted:
    """A list that does not change, quick for many rows; ids are places."""

    times: list[int]
    asked: int = 0

    def __post_init__(self) -> None:
        self.times.sort()

    def page(self, request: Request) -> tuple[list[StripeObject], bool]:
        self.asked += 1
        since, until = request.window.since, request.window.until
        low = 0 if since is None else bisect_left(self.times, since)
        high = len(self.times) if until is None else bisect_left(self.times, until)
        if request.cursor is not None:
            high = min(high, int(request.cursor))
        first = max(low, high - PAGE_ROWS)
        rows = [{"id": f"{place:08}", "created": self.times[place]} for place in range(high - 1, first - 1, -1)]
        return rows, first > low


def requests_for(times: list[int], slots: int, window: Window = EVERYTHING) -> int:
    stripe, windows = Sorted(times), Windows(window)
    in_flight: list[tuple[Request, Any]] = []
    while not windows.done:
        while len(in_flight) < slots and (request := windows.request()):
            in_flight.append((request, stripe.page(request)))
        request, (rows, more) = in_flight.pop(0)
        windows.answer(request, rows, has_more=more)
    return stripe.asked


def rounds_for(times: list[int], slots: int, window: Window) -> int:
    """As many times as a page takes: every slot's answer comes before the next request goes."""
    stripe, windows, rounds = Sorted(times), Windows(window), 0
    while not windows.done:
        requests: list[Request] = []
        while len(requests) < slots and (request := windows.request()):
            requests.append(request)
        for request in requests:
            rows, more = stripe.page(request)
            windows.answer(request, rows, has_more=more)
        rounds += 1
    return rounds


TIMES = st.one_of(
    st.lists(st.integers(0, 2 * NOW), max_size=700),
    st.lists(st.integers(NOW - 3, NOW), max_size=700),
    st.lists(st.sampled_from([NOW, NOW - 13 * 31_557_600, NOW - 1, NOW + 86_400]), max_size=700),
    # An object in every second: a bound that is off by one can't miss them all.
    st.builds(lambda count, step: list(range(NOW - count * step, NOW, step)), st.integers(0, 1_200), st.integers(1, 3)),
    st.builds(lambda count, second: [second] * count, st.integers(0, 900), st.integers(0, NOW)),
    st.builds(
        lambda burst, spread: [NOW - 1_000_000] * burst + spread,
        st.integers(0, 500),
        st.lists(st.integers(NOW - 63_072_000, NOW), max_size=300),
    ),
)


@settings(max_examples=80, deadline=None)
@example(list(range(NOW - 2_000, NOW)), 8, random.Random(1))
@given(TIMES, st.integers(1, 64), st.randoms(use_true_random=False))
def test_every_object_is_read_exactly_once_whatever_the_times(
    times: list[int], slots: int, chance: random.Random
) -> None:
    stripe = List(named(times))
    kept = read_all(stripe, Windows(Window()), slots, chance)
    assert sorted(kept) == sorted(stripe.times)


@settings(max_examples=60, deadline=None)
@given(TIMES, st.integers(0, 2 * NOW), st.integers(0, 2 * NOW), st.integers(1, 16), st.randoms(use_true_random=False))
def test_a_bounded_window_holds_what_was_created_in_it(
    times: list[int], one: int, other: int, slots: int, chance: random.Random
) -> None:
    stripe, window = List(named(times)), Window(min(one, other), max(one, other))
    kept = read_all(stripe, Windows(window), slots, chance)
    assert sorted(kept) == sorted(name for name, created in stripe.times.items() if created in window)


@settings(max_examples=80, deadline=None)
@given(TIMES, st.integers(1, 16), st.randoms(use_true_random=False))
def test_what_is_there_all_the_time_is_read_once_while_others_come_and_go(
    times: list[int], slots: int, chance: random.Random
) -> None:
    stripe = List(named(times))
    before = set(stripe.times)

    def meanwhile() -> None:
        stripe.times[f"new_{len(stripe.times):06}"] = chance.choice([NOW, NOW + 5, NOW - 63_072_000, NOW - 1_000_000])
        if before - stripe.gone and chance.random() < 0.7:
            stripe.gone.add(chance.choice(sorted(before - stripe.gone)))

    kept = read_all(stripe, Windows(Window()), slots, chance, meanwhile)
    assert len(kept) == len(set(kept))
    assert before - stripe.gone <= set(kept)


@pytest.mark.parametrize("slots", [1, 4, 16, 64])
@pytest.mark.parametrize("rows", [0, 1, 99, 100])
def test_up_to_a_hundred_rows_take_one_request(rows: int, slots: int) -> None:
    assert requests_for([NOW - 1_000 * number for number in range(rows)], slots) == 1


@pytest.mark.parametrize("slots", [1, 4, 16])
def test_many_rows_take_few_requests_more_than_a_chain(slots: int) -> None:
    chance = random.Random(1)
    times = [NOW - int(63_072_000 * chance.random() ** 2) for _ in range(8_000)]
    assert requests_for(times, slots) <= math.ceil(len(times) / PAGE_ROWS) * 1.05 + slots


def test_slow_pages_fill_every_slot_from_the_second_round_to_the_last_but_few() -> None:
    chance = random.Random(1)
    times = [NOW - chance.randrange(10_000_000) for _ in range(100_000)]
    window = Window(NOW - 10_000_000)
    assert rounds_for(times, 64, window) <= math.ceil(1_000 / 64) + 5
    assert requests_for(times, 64, window) <= 1_000 * 1.05 + 64


@pytest.mark.parametrize("slots", [4, 64])
def test_a_bound_long_before_the_first_object_costs_no_more_than_the_search_and_a_request_a_slot(slots: int) -> None:
    times = [NOW - 300 * number for number in range(3_000)]
    assert requests_for(times, slots, Window(NOW - 10 * 31_557_600)) <= 30 * 1.05 + 10 + slots


def test_a_gap_of_thirteen_years_costs_no_crawl_through_it() -> None:
    times = [NOW - number for number in range(2_000)] + [NOW - 13 * 31_557_600 - number for number in range(2_000)]
    assert requests_for(times, 4) <= 40 * 1.6


def test_reading_in_parallel_really_has_many_requests_in_flight() -> None:
    windows = Windows(Window())
    first = windows.request()
    assert first is not None
    assert windows.request() is None, "nothing is known yet of how dense the list is"
    stripe = List(named([NOW - 1_000 * number for number in range(5_000)]))
    rows, more = stripe.page(first) or ([], False)
    windows.answer(first, rows, has_more=more)
    requests = [windows.request() for _ in range(4)]
    assert all(requests)
    assert len({(request.window.since, request.window.until) for request in requests if request}) == 4


def test_a_page_that_ends_with_its_own_cursor_is_an_error_not_a_loop() -> None:
    windows = Windows(Window(), created=None)
    request = windows.request()
    assert request is not None
    windows.answer(request, [{"id": "a"}, {"id": "b"}], has_more=True)
    again = windows.request()
    assert again is not None
    with pytest.raises(StripeUnavailable, match="ends with b again"):
        windows.answer(again, [{"id": "b"}], has_more=True)


def test_an_empty_page_that_says_more_follows_is_an_error() -> None:
    windows = Windows(Window())
    request = windows.request()
    assert request is not None
    with pytest.raises(StripeUnavailable, match="more follows"):
        windows.answer(request, [], has_more=True)


@pytest.mark.parametrize(
    "row", [{"id": "a"}, {"id": "a", "created": "yesterday"}, {"created": 1}, {"id": 5, "created": 1}]
)
def test_a_row_without_id_or_creation_is_an_error(row: dict[str, Any]) -> None:
    windows = Windows(Window())
    request = windows.request()
    assert request is not None
    with pytest.raises(StripeUnavailable, match="no id or no time of creation"):
        windows.answer(request, [row], has_more=False)
