"""The check of windows passes for every complete reading, and names gaps, overlaps and missing pages."""

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
    """The spool's notes of a simulated reading. Objects are deleted in between with the probability `lose`."""
    windows, notes = Windows(window), []
    in_flight = []
    while not windows.done:
        while len(in_flight) < slots and (request := windows.request()):
            in_flight.append((request, stripe.page(request)))
        request, response = in_flight.pop(chance.randrange(len(in_flight)))
        if response is None:
            windows.cursor_lost(request)
            continue
        rows = windows.answer(request, response[0], has_more=response[1])
        chain = request.chain
        notes.append(
            PageNote(SOURCE, Window(chain.since, chain.until), request.cursor, len(rows), chain.done, chain.position())
        )
        if chain.cursor is not None and chance.random() < lose:
            stripe.gone.add(chain.cursor)
    return notes


TIMES = st.lists(st.integers(NOW - YEAR, NOW), min_size=0, max_size=1_500)


@given(times=TIMES, slots=st.integers(1, 8), seed=st.integers(0, 99), lose=st.sampled_from([0.0, 0.0, 0.2]))
def test_any_complete_reading_is_covered(times: list[int], slots: int, seed: int, lose: float) -> None:
    notes = read(List(named(times)), Window(NOW - YEAR // 2), slots, random.Random(seed), lose=lose)
    found = check_windows(notes, {SOURCE: [Window(NOW - YEAR // 2)]})
    assert (found.result, found.differences) == ("PASS", ())


def evenly_spread(rows: int = 1_000) -> list[PageNote]:
    stripe = List(named([NOW - YEAR + n * (YEAR // rows) for n in range(rows)]))
    return read(stripe, Window(), 4, random.Random(1))


def faults(notes: list[PageNote], *windows: Window) -> list[str]:
    found = check_windows(notes, {SOURCE: windows or [Window()]})
    assert found.result == ("FAIL" if found.differences else "PASS")
    return [each["fault"] for each in found.differences]


def test_any_lost_page_is_found() -> None:
    notes = evenly_spread()
    assert faults(notes) == []
    for number in range(len(notes)):
        assert faults(notes[:number] + notes[number + 1 :]) != [], number


def test_unfinished_list_is_a_gap() -> None:
    notes = evenly_spread()
    last = max(number for number, note in enumerate(notes) if note.last)
    assert faults([*notes[:last], replace(notes[last], last=False), *notes[last + 1 :]]) == ["a gap"]


def test_overlapping_windows_are_found() -> None:
    position = Position("ch_1", 150, 60, 2)
    notes = [
        PageNote(SOURCE, Window(100, None), None, 2, True, position),
        PageNote(SOURCE, Window(None, 120), None, 1, True, position),
    ]
    assert faults(notes) == ["an overlap"]


def test_uncovered_range_is_a_gap() -> None:
    note = PageNote(SOURCE, Window(100, 200), None, 0, True, None)
    assert faults([note], Window(100, 200)) == []
    assert faults([note], Window(100, 300)) == ["a gap"]
    assert faults([note], Window(50, 200)) == ["a gap"]
    assert faults([note], Window(100, 200), Window(300, 400)) == ["a gap"]


def test_list_without_creation_times_is_one_window() -> None:
    pages = [
        PageNote(SOURCE, Window(), None, 100, False, Position("a", None, None, 100)),
        PageNote(SOURCE, Window(), "a", 3, True, Position("b", None, None, 103)),
    ]
    assert faults(pages) == []
    assert faults(pages[:1]) == ["a gap"]
    assert faults(pages[1:]) == ["a page is missing"]


def test_source_without_pages_is_a_gap_unless_read_by_ids() -> None:
    assert faults([]) == ["a gap"]
    assert check_windows([], {}).result == "NOT APPLICABLE"


def test_figures_contain_windows_and_pages() -> None:
    found = check_windows(evenly_spread(), {SOURCE: [Window()]})
    figures = found.figures["sources"][SOURCE]
    assert figures["pages"] >= 10
    assert 1 < figures["windows"] <= figures["pages"]
