"""The histogram estimates how many rows were created before an instant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.extract.estimates.created_histogram import CreatedHistogram

_CREATED = st.lists(st.integers(0, 10_000), min_size=1, max_size=600).map(sorted)


@given(created=_CREATED, instant=st.integers(-5, 10_005))
def test_estimate_is_off_by_at_most_two_buckets(created: list[int], instant: int) -> None:
    instant = min(instant, created[-1])
    before = CreatedHistogram.of(created).before(instant)
    older = sum(one < instant for one in created)
    upto = sum(one <= instant for one in created)
    bucket = len(created) / 256 + 1
    assert older - 2 * bucket <= before <= upto + 2 * bucket


@given(created=_CREATED)
def test_estimate_never_decreases(created: list[int]) -> None:
    histogram = CreatedHistogram.of(created)
    before = [histogram.before(instant) for instant in range(-10, 11_000, 97)]
    assert before == sorted(before)


@given(created=_CREATED, share=st.floats(0, 1))
def test_instant_has_the_requested_rows_before_it(created: list[int], share: float) -> None:
    histogram = CreatedHistogram.of(created)
    instant = histogram.instant(histogram.rows * share)
    bucket = histogram.rows / 256
    assert histogram.before(instant) <= histogram.rows * share + bucket
    assert histogram.before(instant + 1) >= histogram.rows * share - 2 * bucket


@given(created=_CREATED, rows=st.integers(0, 500), later=st.integers(0, 2_000))
def test_later_rows_leave_earlier_estimates_unchanged(created: list[int], rows: int, later: int) -> None:
    histogram = CreatedHistogram.of(created)
    grown = histogram.grown(rows, created[-1] + later)
    assert grown.rows == histogram.rows + rows
    assert list(grown.instants) == sorted(grown.instants)
    bucket = grown.rows / 256
    for instant in range(0, created[-1], 331):
        assert abs(grown.before(instant) - histogram.before(instant)) <= 2 * bucket + 1


def test_empty_histogram_estimates_no_rows() -> None:
    assert CreatedHistogram.of([]).before(5) == 0
    assert CreatedHistogram.of([]).grown(3, 7).rows == 3
