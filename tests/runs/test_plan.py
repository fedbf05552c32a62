"""Plans of pulls: validation of their options. Errors name the invalid value."""

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
def test_date_is_utc_midnight_and_an_instant_keeps_its_offset(written: Any, seconds: int) -> None:
    assert parse_instant(written, "--since") == seconds


@pytest.mark.parametrize("written", ["yesterday", "2026-13-01", "2026-02-30", "01.02.2026", "", "20260131"])
def test_invalid_date_is_named_with_the_expected_format(written: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("charges"), since=written)
    assert "--since" in caught.value.message
    assert written in caught.value.message
    assert "isoformat" not in caught.value.message
    assert "2026-01-31" in (caught.value.hint or "")


def test_limit_beyond_64_bits_is_rejected() -> None:
    with pytest.raises(SettingsError, match="--limit"):
        plan(report("charges"), limit=2**63)
    assert plan(report("charges"), limit=2**63 - 1).limit == 2**63 - 1


def test_instant_without_a_time_zone_is_rejected() -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("charges"), since="2026-01-31T09:30:00")
    assert "--since" in caught.value.message
    assert "2026-01-31T09:30:00" in caught.value.message
    assert "time zone" in caught.value.message


@pytest.mark.parametrize("until", ["2026-01-01", "2025-12-31"])
def test_end_that_is_not_after_the_start_is_rejected(until: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("charges"), since="2026-01-01", until=until)
    assert f"--until {until}" in caught.value.message
    assert "--since 2026-01-01" in caught.value.message


def test_range_is_half_open() -> None:
    made = plan(report("charges"), since="1970-01-02", until="1970-01-03")
    assert made.window == Window(86_400, 172_800)
    assert 86_400 in made.window
    assert 172_800 not in made.window


def test_report_without_creation_times_rejects_since() -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("balance"), since="2026-01-01")
    assert "Balance" in caught.value.message
    assert "--since" in (caught.value.hint or "")


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one_is_rejected(limit: int) -> None:
    with pytest.raises(SettingsError, match=str(limit)):
        plan(report("charges"), limit=limit)


@pytest.mark.parametrize("limit", ["5", 5.0, True, [5]])
def test_limit_that_is_not_a_whole_number_is_rejected_with_its_value(limit: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("charges"), limit=limit)
    assert repr(limit) in caught.value.message


def test_limit_accepts_any_integer_type() -> None:
    assert plan(report("charges"), limit=numpy.int64(5)).scope == {"limit": 5}


def test_unknown_option_is_rejected_with_the_closest_name() -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("subscriptions"), options={"statuss": "all"})
    assert "'statuss'" in caught.value.message
    assert "'status'" in (caught.value.hint or "")


def test_unknown_value_of_an_option_is_rejected_with_the_valid_ones() -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("subscriptions"), options={"status": "dead"})
    assert "'dead'" in caught.value.message
    assert "not_canceled" in (caught.value.hint or "")


def test_unknown_currency_is_rejected() -> None:
    with pytest.raises(SettingsError) as caught:
        plan(report("balance_transactions"), options={"currency": "dollars"})
    assert "currency" in caught.value.message
    assert "'dollars'" in caught.value.message
    assert "usd" in (caught.value.hint or "")


def test_default_of_an_option_does_not_narrow_the_scope() -> None:
    assert plan(report("subscriptions"), options={"status": "not_canceled"}).scope == {}


def test_option_sends_its_request_parameter() -> None:
    assert plan(report("subscriptions")).params == {}
    assert plan(report("subscriptions"), options={"status": "all"}).params == {"status": "all"}


@pytest.mark.parametrize(
    ("now", "before", "expected"),
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
def test_narrower_scope_is_detected(now: dict[str, Any], before: dict[str, Any], expected: bool) -> None:
    assert narrower(plan(report("subscriptions"), **now), before) is expected
