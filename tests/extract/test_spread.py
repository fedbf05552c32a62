"""The histogram estimates how many rows were created before an instant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.extract.estimates.created_histogram import CreatedHistogram

_CREATED = st.lists(st.integers(0, 10_000), min_size=1, max_size=600).map(sorted)


@given(created=_CREATED, instant=st.integers(-5, 10_005))
def test_it_is_off_by_two_parts_at_most(created: list[int], instant: int) -> None:
    instant = min(instant, created[-1])
    before = CreatedHistogram.of(created).before(instant)
    there = sum(one < instant for one in created)
    upto = sum(one <= instant for one in created)
    part = len(created) / 256 + 1
    assert there - 2 * part <= before <= upto + 2 * part


@given(created=_CREATED)
def test_it_never_falls(created: list[int]) -> None:
    histogram = CreatedHistogram.of(created)
    before = [histogram.before(instant) for instant in range(-10, 11_000, 97)]
    assert before == sorted(before)


@given(created=_CREATED, share=st.floats(0, 1))
def test_an_instant_has_the_rows_before_it_that_it_was_asked_for(created: list[int], share: float) -> None:
    histogram = CreatedHistogram.of(created)
    instant = histogram.instant(histogram.rows * share)
    part = histogram.rows / 256
    assert histogram.before(instant) <= histogram.rows * share + part
    assert histogram.before(instant + 1) >= histogram.rows * share - 2 * part


@given(created=_CREATED, rows=st.integers(0, 500), later=st.integers(0, 2_000))
def test_rows_that_come_later_change_nothing_of_what_was(created: list[int], rows: int, later: int) -> None:
    histogram = CreatedHistogram.of(created)
    grown = histogram.grown(rows, created[-1] + later)
    assert grown.rows == histogram.rows + rows
    assert list(grown.instants) == sorted(grown.instants)
    part = grown.rows / 256
    for instant in range(0, created[-1], 331):
        assert abs(grown.before(instant) - histogram.before(instant)) <= 2 * part + 1


def test_nothing_is_told_of_no_rows() -> None:
    assert CreatedHistogram.of([]).before(5) == 0
    assert CreatedHistogram.of([]).grown(3, 7).rows == 3
