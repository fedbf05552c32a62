"""Sampling estimates the number of rows of a list from a few of its pages."""

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


def sampled(times: list[int], since: int | None = None) -> Sampling:
    """The sampling of the list after its last sample."""
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
    """Mostly in a few hours of each day."""
    return NOW - 86_400 * chance.randrange(730) - int(86_400 * chance.random() ** 2)


@pytest.mark.parametrize("created", [even, growing, by_day])
@pytest.mark.parametrize(("rows", "max_samples"), [(3_000, 8), (30_000, 15), (300_000, 40)])
def test_few_samples_estimate_the_number_of_rows(
    created: Callable[[random.Random], int], rows: int, max_samples: int
) -> None:
    chance = random.Random(4)
    sampling = sampled([created(chance) for _ in range(rows)])
    assert sampling.count <= max_samples
    assert sampling.rows == pytest.approx(rows, rel=0.35)
    assert abs(sampling.rows - rows) <= sampling.doubt + 0.02 * rows


def test_lower_bound_is_not_the_start_of_the_list() -> None:
    chance = random.Random(4)
    times = [even(chance) for _ in range(30_000)]
    sampling = sampled(times, NOW - YEAR)
    assert sampling.rows == pytest.approx(sum(created >= NOW - YEAR for created in times), rel=0.1)


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_list_of_one_page_needs_one_sample(rows: int) -> None:
    sampling = sampled([NOW - number for number in range(rows)])
    assert (sampling.count, sampling.rows, sampling.doubt) == (1, rows, 0)
    assert not sampling.goes_on


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2 * NOW) | st.integers(NOW - 3, NOW) | st.just(NOW - YEAR), max_size=600),
    st.none() | st.integers(0, 2 * NOW),
)
def test_sampling_of_any_list_ends_with_an_estimate(times: list[int], since: int | None) -> None:
    sampling = sampled(times, since)
    assert sampling.count <= 40
    assert sampling.rows >= 0
    assert sampling.doubt >= 0
