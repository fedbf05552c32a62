"""The windows of a run are covered, however they were cut; a gap, an overlap or a lost page is named."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.archive import PageNote
from counterfoil.extract.windows import Windows
from counterfoil.proof.windows import check_windows
from counterfoil.values import Position, Window
from tests.extract.test_windows import NOW, List, named

SOURCE = "/v1/charges"
YEAR = 365 * 86_400


def read(stripe: List, window: Window, slots: int, chance: random.Random, *, lose: float = 0.0) -> list[PageNote]:
    """What the spool would note of a reading; some objects go meanwhile."""
    windows, notes = Windows(window), []
    in_flight = []
    while not windows.done:
        while len(in_flight) < slots and (request := windows.request()):
            in_flight.append((request, stripe.page(request)))
        request, answer = in_flight.pop(chance.randrange(len(in_flight)))
        if answer is None:
            windows.cursor_lost(request)
            continue
        kept = windows.answer(request, answer[0], has_more=answer[1])
        chain = request.chain
        notes.append(
            PageNote(SOURCE, Window(chain.since, chain.until), request.cursor, len(kept), chain.done, chain.position())
        )
        if chain.cursor is not None and chance.random() < lose:
            stripe.gone.add(chain.cursor)
    return notes


TIMES = st.lists(st.integers(NOW - YEAR, NOW), min_size=0, max_size=1_500)


@given(times=TIMES, slots=st.integers(1, 8), seed=st.integers(0, 99), lose=st.sampled_from([0.0, 0.0, 0.2]))
def test_whatever_was_read_is_covered(times: list[int], slots: int, seed: int, lose: float) -> None:
    notes = read(List(named(times)), Window(NOW - YEAR // 2), slots, random.Random(seed), lose=lose)
    found = check_windows(notes, {SOURCE: [Window(NOW - YEAR // 2)]})
    assert (found.result, found.differences) == ("PASS", ())


def spread(rows: int = 1_000) -> list[PageNote]:
    stripe = List(named([NOW - YEAR + n * (YEAR // rows) for n in range(rows)]))
    return read(stripe, Window(), 4, random.Random(1))


def faults(notes: list[PageNote], *windows: Window) -> list[str]:
    found = check_windows(notes, {SOURCE: windows or [Window()]})
    assert found.result == ("FAIL" if found.differences else "PASS")
    return [each["fault"] for each in found.differences]


def test_any_page_that_is_lost_is_noticed() -> None:
    notes = spread()
    assert faults(notes) == []
    for number in range(len(notes)):
        assert faults(notes[:number] + notes[number + 1 :]) != [], number


def test_a_list_that_was_not_read_to_its_end_is_a_gap() -> None:
    notes = spread()
    last = max(number for number, note in enumerate(notes) if note.last)
    assert faults([*notes[:last], replace(notes[last], last=False), *notes[last + 1 :]]) == ["a gap"]


def test_windows_that_overlap_are_noticed() -> None:
    position = Position("ch_1", 150, 60, 2)
    notes = [
        PageNote(SOURCE, Window(100, None), None, 2, True, position),
        PageNote(SOURCE, Window(None, 120), None, 1, True, position),
    ]
    assert faults(notes) == ["an overlap"]


def test_what_is_not_in_the_range_is_a_gap() -> None:
    note = PageNote(SOURCE, Window(100, 200), None, 0, True, None)
    assert faults([note], Window(100, 200)) == []
    assert faults([note], Window(100, 300)) == ["a gap"]
    assert faults([note], Window(50, 200)) == ["a gap"]
    assert faults([note], Window(100, 200), Window(300, 400)) == ["a gap"]


def test_a_list_without_a_time_of_creation_is_one_window() -> None:
    pages = [
        PageNote(SOURCE, Window(), None, 100, False, Position("a", None, None, 100)),
        PageNote(SOURCE, Window(), "a", 3, True, Position("b", None, None, 103)),
    ]
    assert faults(pages) == []
    assert faults(pages[:1]) == ["a gap"]
    assert faults(pages[1:]) == ["a page is missing"]


def test_a_source_without_a_page_is_a_gap_and_one_by_ids_is_no_matter_of_windows() -> None:
    assert faults([]) == ["a gap"]
    assert check_windows([], {}).result == "NOT APPLICABLE"


def test_figures_tell_windows_and_pages() -> None:
    found = check_windows(spread(), {SOURCE: [Window()]})
    figures = found.figures["sources"][SOURCE]
    assert figures["pages"] >= 10
    assert 1 < figures["windows"] <= figures["pages"]
