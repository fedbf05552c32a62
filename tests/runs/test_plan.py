"""A plan takes the words of a person, and names the wrong one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy
import pytest

from counterfoil.errors import SettingsError
from counterfoil.reports.catalogue import report
from counterfoil.runs.plans.overwrite_check import narrower
from counterfoil.runs.plans.pull_plan import parse_instant, plan
from counterfoil.values import Window


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-02T00:00:00Z", 86_400),
        ("1970-01-02T01:00:00+01:00", 86_400),
        (date(1970, 1, 2), 86_400),
        (datetime(1970, 1, 2, 1, tzinfo=timezone(timedelta(hours=1))), 86_400),
        (datetime(1970, 1, 2, tzinfo=UTC), 86_400),
        (86_400, 86_400),
    ],
)
def test_a_date_is_utc_midnight_and_an_instant_is_what_it_says(written: Any, seconds: int) -> None:
    assert parse_instant(written, "--since") == seconds


@pytest.mark.parametrize("written", ["yesterday", "2026-13-01", "2026-02-30", "01.02.2026", "", "20260131"])
def test_what_is_no_date_is_named_with_the_way_to_write_one(written: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("charges"), since=written)
    assert "--since" in caught.value.message
    assert written in caught.value.message
    assert "isoformat" not in caught.value.message
    assert "2026-01-31" in (caught.value.hint or "")


def test_a_limit_that_no_table_can_count_is_refused() -> None:
    with pytest.raises(SettingsError, match="--limit"):
        plan(report("charges"), limit=2**63)
    assert plan(report("charges"), limit=2**63 - 1).limit == 2**63 - 1


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(SettingsError, match="no time zone"):
        plan(report("charges"), since="2026-01-31T09:30:00")


@pytest.mark.parametrize("until", ["2026-01-01", "2025-12-31"])
def test_an_end_that_is_not_after_its_start_is_refused(until: str) -> None:
    with pytest.raises(SettingsError, match=f"--until {until} is not after --since 2026-01-01"):
        plan(report("charges"), since="2026-01-01", until=until)


def test_the_range_is_half_open() -> None:
    made = plan(report("charges"), since="1970-01-02", until="1970-01-03")
    assert made.window == Window(86_400, 172_800)
    assert 86_400 in made.window
    assert 172_800 not in made.window


def test_a_report_without_creation_can_not_be_narrowed_by_it() -> None:
    with pytest.raises(SettingsError, match="Balance has no time of creation"):
        plan(report("balance"), since="2026-01-01")


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(SettingsError, match=str(limit)):
        plan(report("charges"), limit=limit)


@pytest.mark.parametrize("limit", ["5", 5.0, True, [5]])
def test_limit_that_is_not_a_whole_number_is_refused_and_named(limit: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("charges"), limit=limit)
    assert repr(limit) in caught.value.message


def test_limit_is_any_integer_type() -> None:
    assert plan(report("charges"), limit=numpy.int64(5)).scope == {"limit": 5}


def test_an_unknown_option_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("subscriptions"), options={"statuss": "all"})
    assert "'statuss'" in caught.value.message
    assert "'status'" in (caught.value.hint or "")


def test_an_unknown_choice_is_refused_with_the_choices() -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("subscriptions"), options={"status": "dead"})
    assert "'dead'" in caught.value.message
    assert "not_canceled" in (caught.value.hint or "")


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(SettingsError, match="'dollars' is not a currency"):
        plan(report("balance_transactions"), options={"currency": "dollars"})


def test_the_default_of_an_option_is_no_narrowing() -> None:
    assert plan(report("subscriptions"), options={"status": "not_canceled"}).scope == {}


def test_an_option_sends_what_stripe_wants() -> None:
    assert plan(report("subscriptions")).params == {}
    assert plan(report("subscriptions"), options={"status": "all"}).params == {"status": "all"}


@pytest.mark.parametrize(
    ("asked", "before", "expected"),
    [
        ({}, {}, False),
        ({"since": 10}, {}, True),
        ({"until": 10}, {}, True),
        ({"limit": 10}, {}, True),
        ({}, {"since": 10}, False),
        ({"since": 5}, {"since": 10}, False),
        ({"since": 10}, {"since": 5}, True),
        ({"until": 20}, {"until": 10}, False),
        ({"until": 10}, {"until": 20}, True),
        ({"limit": 10}, {"limit": 20}, True),
        ({"limit": 20}, {"limit": 10}, False),
        ({"options": {"status": "all"}}, {}, False),
        ({}, {"options": {"status": "all"}}, True),
    ],
)
def test_a_narrower_choice_is_told_from_a_wider_one(
    asked: dict[str, Any], before: dict[str, Any], expected: bool
) -> None:
    assert narrower(plan(report("subscriptions"), **asked), before) is expected
