"""Windows with about the same number of rows each."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.extract.estimates.balanced_windows import Piece, cut
from counterfoil.values import Window

INSTANTS = st.integers(1_300_000_000, 1_800_000_000)


@st.composite
def pieces(draw: st.DrawFn) -> Piece:
    since = draw(INSTANTS)
    return since, since + draw(st.integers(1, 100_000_000)), draw(st.floats(0, 1e7))


@given(st.lists(pieces(), max_size=20), st.integers(1, 50), st.none() | INSTANTS, st.none() | st.integers(1, 10**8))
def test_windows_cover_the_range_without_gaps(
    found: list[Piece], count: int, since: int | None, length: int | None
) -> None:
    until = None if length is None else (since or 1_500_000_000) + length
    windows = cut(Window(since, until), found, count)
    assert 1 <= len(windows) <= count
    assert (windows[0].since, windows[-1].until) == (since, until)
    for older, newer in pairwise(windows):
        assert older.until == newer.since is not None
    assert all(one.since is None or one.until is None or one.since < one.until for one in windows)


def test_dense_ranges_get_shorter_windows() -> None:
    windows = cut(Window(), [(0, 10_000, 1000), (10_000, 20_000, 3000)], 4)
    assert windows == (Window(None, 10_000), Window(10_000, 13_334), Window(13_334, 16_667), Window(16_667, None))


def test_rows_of_one_page_are_one_window() -> None:
    assert cut(Window(), [(0, 10_000, 100)], 4) == (Window(),)
    assert len(cut(Window(), [(0, 10_000, 101)], 4)) == 2
    assert cut(Window(5, None), [], 4) == (Window(5, None),)
