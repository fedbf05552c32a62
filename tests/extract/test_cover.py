"""The fetch plan of changed ids has the lowest cost and covers all of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.extract.estimates.created_histogram import CreatedHistogram
from counterfoil.extract.fetch_plan import ROW_COST, plan_fetch, window_cost

_CREATED = st.lists(st.integers(0, 5_000), min_size=1, max_size=400).map(sorted)


def _cheapest(known: list[int], histogram: CreatedHistogram) -> float:
    """The lowest cost of all ways to divide the ids, in order, into groups."""
    best = None
    for cuts in range(2 ** (len(known) - 1)):
        bounds = [0, *(n + 1 for n in range(len(known) - 1) if cuts >> n & 1), len(known)]
        cost = 0.0
        for start, end in pairwise(bounds):
            rows = histogram.before(known[end - 1] + 1) - histogram.before(known[start])
            window = window_cost(max(rows, end - start))
            cost += min(window, (end - start) * (1 + ROW_COST))
        best = cost if best is None else min(best, cost)
    return best or 0.0


@given(created=_CREATED, changed=st.lists(st.integers(0, 5_000), min_size=1, max_size=8))
def test_fetch_plan_has_the_lowest_cost(created: list[int], changed: list[int]) -> None:
    histogram = CreatedHistogram.of(created)
    found = plan_fetch({str(n): instant for n, instant in enumerate(changed)}, histogram)
    assert found.cost == pytest.approx(_cheapest(sorted(changed), histogram))


@given(
    created=_CREATED,
    changed=st.dictionaries(st.text("abc", min_size=1), st.none() | st.integers(-10, 6_000)),
    singly=st.booleans(),
)
def test_fetch_plan_covers_every_id_and_repeats_none_singly(
    created: list[int], changed: dict[str, int | None], singly: bool
) -> None:
    found = plan_fetch(changed, CreatedHistogram.of(created), singly=singly)
    assert len(set(found.singly)) == len(found.singly)
    for id_, instant in changed.items():
        assert id_ in found.singly or (instant is not None and any(instant in window for window in found.windows))
    if not singly:
        assert all(changed[id_] is None for id_ in found.singly)
    assert all(one.since >= other.until for one, other in pairwise(found.windows) if one.since and other.until)


def test_close_ids_share_a_window_and_distant_ids_are_fetched_singly() -> None:
    histogram = CreatedHistogram.of(range(0, 1_000_000, 10))
    close = {f"close_{n}": 500_000 + n * 100 for n in range(9)}
    found = plan_fetch({**close, "far": 100_000}, histogram)
    assert [(window.since, window.until) for window in found.windows] == [(500_000, 500_801)]
    assert found.singly == ("far",)


def test_ids_are_fetched_singly_without_a_histogram() -> None:
    assert plan_fetch({"a": 1, "b": 1}, None).singly == ("a", "b")
