"""Windows read each object exactly once, for any distribution of `created`, with few requests."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from counterfoil.extract.windows import PAGE_ROWS, Request, Windows
from counterfoil.values import StripeObject, Window

NOW = 1_793_534_400
EVERYTHING = Window()


@dataclass
class List:
    """A list like Stripe's: newest first by (created, id), paged by cursor, filtered by `created`."""

    times: dict[str, int]
    gone: set[str] = field(default_factory=set)
    #: The probability of a deletion after each page, for tests that delete objects during reading.
    loss: float = 0.0

    def page(self, request: Request) -> tuple[list[StripeObject], bool] | None:
        if request.after in self.gone:
            return None
        after = (self.times[request.after], request.after) if request.after else None
        matching = sorted(
            (
                (created, one)
                for one, created in self.times.items()
                if one not in self.gone and created in request.window and (after is None or (created, one) < after)
            ),
            reverse=True,
        )
        rows = [{"id": one, "created": created} for created, one in matching[:PAGE_ROWS]]
        if request.first is not None and (not rows or rows[0]["id"] != request.first):
            return None  # for the caller this is a lost cursor
        return rows, len(matching) > PAGE_ROWS


def read_all(stripe: List, windows: Windows, slots: int, chance: random.Random, in_between: Any = None) -> list[str]:
    """The ids that are stored, in the order of arrival; answers arrive in any order."""
    in_flight: list[tuple[Request, Any]] = []
    kept: list[str] = []
    while not windows.done:
        while len(in_flight) < slots and (request := windows.request()):
            in_flight.append((request, stripe.page(request)))
        request, answer = in_flight.pop(chance.randrange(len(in_flight)))
        if answer is None:
            windows.cursor_lost(request)
        else:
            rows, more = answer
            full = len(rows) == PAGE_ROWS
            kept += [row["id"] for row in windows.answer(request, rows, has_more=more, full=full)]
        if in_between is not None:
            in_between()
    return kept


def named(times: list[int]) -> dict[str, int]:
    return {f"ch_{number:06}": created for number, created in enumerate(times)}


@dataclass
class Sorted:
    """A list that does not change, fast for many rows; ids are positions."""

    times: list[int]
    requests: int = 0

    def __post_init__(self) -> None:
        self.times.sort()

    def page(self, request: Request) -> tuple[list[StripeObject], bool]:
        self.requests += 1
        since, until = request.window.since, request.window.until
        low = 0 if since is None else bisect_left(self.times, since)
        high = len(self.times) if until is None else bisect_left(self.times, until)
        if request.after is not None:
            high = min(high, int(request.after))
        first = max(low, high - PAGE_ROWS)
        rows = [{"id": f"{n:08}", "created": self.times[n]} for n in range(high - 1, first - 1, -1)]
        return rows, first > low


def requests_for(times: list[int], slots: int, window: Window = EVERYTHING) -> int:
    stripe, windows = Sorted(times), Windows(window)
    in_flight: list[tuple[Request, Any]] = []
    while not windows.done:
        while len(in_flight) < slots and (request := windows.request()):
            in_flight.append((request, stripe.page(request)))
        request, (rows, more) = in_flight.pop(0)
        windows.answer(request, rows, has_more=more, full=len(rows) == PAGE_ROWS)
    return stripe.requests


def rounds_for(times: list[int], slots: int, window: Window) -> int:
    """The number of rounds; in each round all slots send a request and receive its answer."""
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
    # An object in every second, to detect bounds that are off by one.
    st.builds(lambda count, step: list(range(NOW - count * step, NOW, step)), st.integers(0, 1_200), st.integers(1, 3)),
    st.builds(lambda count, second: [second] * count, st.integers(0, 900), st.integers(0, NOW)),
    st.builds(
        lambda burst, histogram: [NOW - 1_000_000] * burst + histogram,
        st.integers(0, 500),
        st.lists(st.integers(NOW - 63_072_000, NOW), max_size=300),
    ),
)


@settings(max_examples=80, deadline=None)
@example(list(range(NOW - 2_000, NOW)), 8, random.Random(1))
@given(TIMES, st.integers(1, 64), st.randoms(use_true_random=False))
def test_every_object_is_read_exactly_once(times: list[int], slots: int, chance: random.Random) -> None:
    stripe = List(named(times))
    kept = read_all(stripe, Windows(Window()), slots, chance)
    assert sorted(kept) == sorted(stripe.times)


@settings(max_examples=60, deadline=None)
@given(TIMES, st.integers(0, 2 * NOW), st.integers(0, 2 * NOW), st.integers(1, 16), st.randoms(use_true_random=False))
def test_bounded_window_reads_exactly_its_objects(
    times: list[int], one: int, other: int, slots: int, chance: random.Random
) -> None:
    stripe, window = List(named(times)), Window(min(one, other), max(one, other))
    kept = read_all(stripe, Windows(window), slots, chance)
    assert sorted(kept) == sorted(name for name, created in stripe.times.items() if created in window)


@settings(max_examples=80, deadline=None)
@given(TIMES, st.integers(1, 16), st.randoms(use_true_random=False))
def test_objects_are_read_once_while_others_are_created_and_deleted(
    times: list[int], slots: int, chance: random.Random
) -> None:
    stripe = List(named(times))
    before = set(stripe.times)

    def in_between() -> None:
        stripe.times[f"new_{len(stripe.times):06}"] = chance.choice([NOW, NOW + 5, NOW - 63_072_000, NOW - 1_000_000])
        if before - stripe.gone and chance.random() < 0.7:
            stripe.gone.add(chance.choice(sorted(before - stripe.gone)))

    kept = read_all(stripe, Windows(Window()), slots, chance, in_between)
    assert len(kept) == len(set(kept))
    assert before - stripe.gone <= set(kept)


@pytest.mark.parametrize("slots", [1, 4, 16, 64])
@pytest.mark.parametrize(("rows", "requests"), [(0, 1), (1, 1), (99, 1), (100, 2)])
def test_only_a_full_page_causes_another_request(rows: int, requests: int, slots: int) -> None:
    assert requests_for([NOW - 1_000 * number for number in range(rows)], slots) == requests


@pytest.mark.parametrize("slots", [1, 4, 16])
def test_parallel_reading_needs_few_additional_requests(slots: int) -> None:
    chance = random.Random(1)
    times = [NOW - int(63_072_000 * chance.random() ** 2) for _ in range(8_000)]
    assert requests_for(times, slots) <= math.ceil(len(times) / PAGE_ROWS) * 1.05 + slots


def test_slow_pages_use_almost_all_slots() -> None:
    chance = random.Random(1)
    times = [NOW - chance.randrange(10_000_000) for _ in range(100_000)]
    window = Window(NOW - 10_000_000)
    assert rounds_for(times, 64, window) <= math.ceil(1_000 / 64) + 5
    assert requests_for(times, 64, window) <= 1_000 * 1.05 + 64


@pytest.mark.parametrize("slots", [4, 64])
def test_bound_long_before_the_first_object_costs_few_requests(slots: int) -> None:
    times = [NOW - 300 * number for number in range(3_000)]
    assert requests_for(times, slots, Window(NOW - 10 * 31_557_600)) <= 30 * 1.05 + 10 + slots


def test_gap_of_thirteen_years_costs_few_requests() -> None:
    times = [NOW - number for number in range(2_000)] + [NOW - 13 * 31_557_600 - number for number in range(2_000)]
    assert requests_for(times, 4) <= 40 * 1.6


def test_many_requests_are_in_flight_after_the_first_page() -> None:
    windows = Windows(Window())
    first = windows.request()
    assert first is not None
    assert windows.request() is None, "the density of the list is not known yet"
    stripe = List(named([NOW - 1_000 * number for number in range(5_000)]))
    rows, more = stripe.page(first) or ([], False)
    windows.answer(first, rows, has_more=more)
    requests = [windows.request() for _ in range(4)]
    assert all(requests)
    assert len({(request.window.since, request.window.until) for request in requests if request}) == 4
