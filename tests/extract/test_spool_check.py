"""Pages of any interrupted reading are consistent; duplicate, overlapping and foreign pages are detected."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from counterfoil.extract.resume import ResumeState
from counterfoil.extract.spool_check import contradiction
from counterfoil.reports.catalogue import report
from counterfoil.values import Page, Position, StripeObject, Window

from .test_earlier import SOURCE, read_until_killed
from .test_windows import TIMES, List, named

CHARGES = report("charges")
KILLS = st.lists(st.integers(1, 12), max_size=4)


def _spool(stripe: List, kills: list[int], slots: int, chance: random.Random, *, whole: bool = True) -> list[Page]:
    """The pages of a reading that was killed after these numbers of answers, then completed if `whole`."""
    spool: list[Page] = []
    for answers in [*kills, *([1_000_000] if whole else [])]:
        earlier = ResumeState(CHARGES)
        for page in spool:
            earlier.add(page)
        pages, _ = read_until_killed(stripe, earlier, slots, chance, answers)
        spool += pages
    return spool


def _even(rows: int = 900) -> List:
    return List(named([1_700_000_000 - 500 * number for number in range(rows)]))


@settings(max_examples=60, deadline=None)
@example(times=[1_700_000_000] * 900, slots=1, kills=[1, 1, 1, 1], loss=0.3, whole=True, chance=random.Random(3))
@given(
    times=TIMES,
    slots=st.integers(1, 16),
    kills=KILLS,
    loss=st.sampled_from([0.0, 0.3, 1.0]),
    whole=st.booleans(),
    chance=st.randoms(use_true_random=False),
)
def test_pages_of_interrupted_readings_are_consistent(
    times: list[int], slots: int, kills: list[int], loss: float, whole: bool, chance: random.Random
) -> None:
    spool = _spool(List(named(times), loss=loss), kills, slots, chance, whole=whole)
    assert contradiction(spool, CHARGES, Window()) is None


@settings(max_examples=60, deadline=None)
@given(
    times=TIMES,
    slots=st.integers(1, 16),
    kills=KILLS,
    whole=st.booleans(),
    chance=st.randoms(use_true_random=False),
    data=st.data(),
)
def test_duplicate_page_is_detected(
    times: list[int], slots: int, kills: list[int], whole: bool, chance: random.Random, data: st.DataObject
) -> None:
    spool = _spool(List(named(times)), kills, slots, chance, whole=whole)
    if not spool:
        return
    which = data.draw(st.integers(0, len(spool) - 1))
    spool.insert(data.draw(st.integers(which, len(spool))), spool[which])
    assert contradiction(spool, CHARGES, Window()) is not None


@settings(max_examples=40, deadline=None)
@given(
    times=TIMES.filter(bool),
    slots=st.integers(1, 16),
    chance=st.randoms(use_true_random=False),
    data=st.data(),
)
def test_page_of_another_reading_is_detected(
    times: list[int], slots: int, chance: random.Random, data: st.DataObject
) -> None:
    stripe = List(named(times))
    spool = _spool(stripe, [], slots, chance)
    others = [page for page in _spool(stripe, [], slots + 1, chance) if page.objects]
    spool.insert(data.draw(st.integers(0, len(spool))), data.draw(st.sampled_from(others)))
    assert contradiction(spool, CHARGES, Window()) is not None


@settings(max_examples=40, deadline=None)
@given(chance=st.randoms(use_true_random=False), data=st.data())
def test_page_of_another_source_is_detected(chance: random.Random, data: st.DataObject) -> None:
    spool = _spool(_even(), [], 4, chance)
    which = data.draw(st.integers(0, len(spool) - 1))
    foreign = data.draw(st.sampled_from([{"source": "/v1/refunds"}, {"parents": ("cus_1",)}, {"whole": True}]))
    spool[which] = replace(spool[which], **foreign)
    assert contradiction(spool, CHARGES, Window()) is not None


@settings(max_examples=40, deadline=None)
@given(chance=st.randoms(use_true_random=False), seconds=st.integers(1, 10**7))
def test_pages_of_another_period_are_detected(chance: random.Random, seconds: int) -> None:
    spool = _spool(_even(), [], 4, chance)
    assert contradiction(spool, CHARGES, Window(until=1_700_000_001)) is not None
    assert contradiction(spool, CHARGES, Window(since=1_700_000_000 - seconds)) is not None


def _row(number: int) -> StripeObject:
    return {"id": f"ch_{number}", "created": number}


def _page(until: int | None, numbers: range, *, since: int | None = None, **fields: Any) -> Page:
    rows = [_row(number) for number in numbers]
    position = Position(rows[-1]["id"], rows[0]["created"], rows[-1]["created"], len(rows)) if rows else None
    page = Page(SOURCE, Window(since, until), None, rows, last=False, position=position)
    return replace(page, **fields)


FIRST = _page(None, range(900, 800, -1), since=800)
OLDER = _page(800, range(799, 700, -1))


@pytest.mark.parametrize(
    ("pages", "wrong"),
    [
        ((FIRST, OLDER), False),
        ((replace(FIRST, last=True), OLDER), False),
        # The response ignored `created[lt]`.
        ((FIRST, _page(800, range(900, 800, -1))), True),
        # A finished window reaches below the end of another one.
        ((replace(FIRST, last=True, window=Window(700)), _page(800, range(799, 798, -1))), True),
        ((_page(None, range(900, 700, -1)), OLDER), True),
        # An unfinished window that reached below another one.
        ((_page(None, range(900, 700, -1)), _page(800, range(650, 600, -1))), True),
        # Cursors.
        ((replace(FIRST, cursor="ch_901"),), True),
        ((FIRST, _page(None, range(800, 700, -1), cursor="ch_805", position=Position("ch_701", 900, 701, 199))), True),
        ((FIRST, _page(None, range(800, 700, -1), cursor="ch_801", position=Position("ch_701", 900, 701, 199))), False),
        ((FIRST, _page(None, range(900, 800, -1), cursor="ch_801", position=Position("ch_701", 900, 701, 199))), True),
        # After the end of a window.
        ((replace(FIRST, last=True), _page(None, range(800, 799, -1), cursor="ch_801")), True),
        # Rows that are not in order, or without a required value.
        ((_page(None, range(700, 800)),), True),
        ((replace(FIRST, objects=[{"id": "ch_1", "created": "yesterday"}]),), True),
        ((replace(FIRST, position=None),), True),
        ((_page(None, range(0)),), True),
        ((_page(None, range(0), last=True),), False),
    ],
)
def test_contradictory_pages_are_detected(pages: tuple[Page, ...], wrong: bool) -> None:
    assert (contradiction(pages, CHARGES, Window()) is not None) is wrong


def test_limited_reading_with_too_many_rows_is_detected() -> None:
    assert contradiction([FIRST], CHARGES, Window(), limit=100) is None
    assert contradiction([FIRST], CHARGES, Window(), limit=99) is not None


@pytest.mark.parametrize(
    ("key", "source", "row", "same"),
    [
        ("account", "/v1/account", {"id": "acct_1"}, True),
        ("transfers", "payout", {"id": "po_1", "created": 5}, False),
        ("upcoming_invoices", "/v1/subscriptions", {"id": "in_1", "preview_of": "sub_1"}, False),
    ],
)
def test_each_kind_of_report_is_checked(key: str, source: str, row: StripeObject, same: bool) -> None:
    position = None if same else Position("x", 5, 5, 1)
    page = Page(source, Window(), None, [row], last=True, position=position)
    assert contradiction([page], report(key), Window()) is None
    assert contradiction([page, page], report(key), Window()) is not None
    assert contradiction([replace(page, source="/v1/other")], report(key), Window()) is not None


def test_limited_union_has_one_page() -> None:
    page = Page("", Window(), None, [{"id": "tr_1", "created": 1}], True)
    assert contradiction([page], report("transfers"), Window(), limit=5) is None
    assert contradiction([page, page], report("transfers"), Window(), limit=5) is not None
    assert contradiction([page], report("transfers"), Window()) is not None
