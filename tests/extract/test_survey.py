"""A survey judges how many rows a list holds from a few of its pages."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil.extract.estimates.sampling import Sampling

NOW = 1_793_534_400
YEAR = 31_557_600


def surveyed(times: list[int], since: int | None = None) -> Sampling:
    """The survey of the list once it asks for no more."""
    times = sorted(times)
    sampling = Sampling(since)
    instants: list[int | None] = [None]
    while instants:
        for until in instants:
            low = 0 if since is None else bisect_left(times, since)
            high = len(times) if until is None else bisect_left(times, until)
            first = max(low, high - 100)
            sampling.add(until, times[first:high][::-1], has_more=first > low)
        instants = list(sampling.next())
    return sampling


def even(chance: random.Random) -> int:
    return NOW - chance.randrange(2 * YEAR)


def growing(chance: random.Random) -> int:
    return NOW - int(2 * YEAR * chance.random() ** 2)


def by_day(chance: random.Random) -> int:
    """Most of it in a few hours of each day."""
    return NOW - 86_400 * chance.randrange(730) - int(86_400 * chance.random() ** 2)


@pytest.mark.parametrize("created", [even, growing, by_day])
@pytest.mark.parametrize(("rows", "most_looks"), [(3_000, 8), (30_000, 15), (300_000, 40)])
def test_a_list_is_judged_right_by_a_few_of_its_pages(
    created: Callable[[random.Random], int], rows: int, most_looks: int
) -> None:
    chance = random.Random(4)
    sampling = surveyed([created(chance) for _ in range(rows)])
    assert sampling.count <= most_looks
    assert sampling.rows == pytest.approx(rows, rel=0.35)
    assert abs(sampling.rows - rows) <= sampling.doubt + 0.02 * rows


def test_a_bound_is_where_the_list_is_cut_and_not_where_it_begins() -> None:
    chance = random.Random(4)
    times = [even(chance) for _ in range(30_000)]
    sampling = surveyed(times, NOW - YEAR)
    assert sampling.rows == pytest.approx(sum(created >= NOW - YEAR for created in times), rel=0.1)


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_a_list_of_one_page_is_looked_at_once(rows: int) -> None:
    sampling = surveyed([NOW - number for number in range(rows)])
    assert (sampling.count, sampling.rows, sampling.doubt) == (1, rows, 0)
    assert not sampling.goes_on


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2 * NOW) | st.integers(NOW - 3, NOW) | st.just(NOW - YEAR), max_size=600),
    st.none() | st.integers(0, 2 * NOW),
)
def test_whatever_the_list_the_survey_ends_with_a_number_of_rows(times: list[int], since: int | None) -> None:
    sampling = surveyed(times, since)
    assert sampling.count <= 40
    assert sampling.rows >= 0
    assert sampling.doubt >= 0
