"""Input of datasets: None keeps the value, and an empty value restores the default."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from counterfoil.app.datasets.input import read_group, read_partition, read_schedule
from counterfoil.errors import SettingsError
from counterfoil.schedules import Manual, next_after, parse
from counterfoil.state.dataset import Choice, Partition, Retry

JANUARY = 1_767_225_600
BEFORE = Choice(since=JANUARY, options={"status": "all"}, hashed=("customer",))


def read_choice(before: Choice, **given: Any) -> Any:
    return read_group("choice", given, before)


def read_retry(before: Retry, **given: Any) -> Any:
    return read_group("retry", given, before)


def test_no_input_changes_nothing() -> None:
    assert read_choice(BEFORE) == BEFORE
    assert read_retry(Retry(attempts=7)) == Retry(attempts=7)
    assert read_schedule(parse("every hour"), None, None) == parse("every hour")


def test_input_is_added_to_existing_values() -> None:
    choice = read_choice(BEFORE, until="2026-02-01", leave_out=["email"])
    assert choice == Choice(
        since=JANUARY,
        until=int(datetime(2026, 2, 1, tzinfo=UTC).timestamp()),
        options={"status": "all"},
        hashed=("customer",),
        left_out=("email",),
    )


def test_empty_value_restores_default() -> None:
    assert read_choice(BEFORE, since="", options=[""], hash=[""]) == Choice()
    assert read_choice(Choice(last_days=3), last_days=0) == Choice()
    assert read_schedule(parse("every hour", "Europe/Berlin"), "", None) == Manual(zone="Europe/Berlin")
    assert read_partition(" ") is None


@pytest.mark.parametrize(
    ("text", "partition"),
    [
        ("3 months", Partition(unit="month", last=3)),
        ("1 week", Partition(unit="week", last=1)),
        ("last 30 Days", Partition(unit="day", last=30)),
    ],
)
def test_period_is_parsed(text: str, partition: Partition) -> None:
    assert read_partition(text) == partition


@pytest.mark.parametrize("text", ["months", "3", "3 years", "-1 days", "three months", "1.5 weeks"])
def test_invalid_period_is_rejected(text: str) -> None:
    with pytest.raises(SettingsError, match=f"period: {text!r}"):
        read_partition(text)


@pytest.mark.parametrize("option", ["status", "=all", "status="])
def test_option_requires_name_and_value(option: str) -> None:
    with pytest.raises(SettingsError, match=f"--option: {option!r}"):
        read_choice(Choice(), options=[option])


def test_reversed_range_is_reported_in_dates() -> None:
    with pytest.raises(SettingsError, match=r"--until 2025-06-01 .* --since 2026-01-01"):
        read_choice(BEFORE, until="2025-06-01")


def test_new_time_zone_keeps_times_of_day() -> None:
    noon = datetime(2027, 1, 4, 12, tzinfo=UTC)
    moved = read_schedule(parse("daily at 06:00", "Europe/Berlin"), None, "Asia/Tokyo")
    assert moved == parse("daily at 06:00", "Asia/Tokyo")
    assert next_after(moved, noon) == datetime(2027, 1, 4, 21, tzinfo=UTC)
    assert read_schedule(Manual(zone="Asia/Tokyo"), "daily at 07:00", None) == parse("daily at 07:00", "Asia/Tokyo")
    assert read_schedule(Manual(), "daily at 07:00 in Asia/Tokyo", "Europe/Berlin").zone == "Asia/Tokyo"


def test_number_of_attempts_enables_retries() -> None:
    off = read_retry(Retry(), retry=False)
    assert off == Retry(on=False)
    assert read_retry(off, retry=5) == Retry(attempts=5)
    assert read_retry(off, retry=True) == Retry()
    assert read_retry(off, retry_minutes=5) == Retry(every_minutes=5)
    assert read_retry(off, retry_manual=True) == Retry(on=False, manual=True)
    with pytest.raises(SettingsError, match="--no-retry"):
        read_retry(Retry(), retry=False, retry_minutes=5)
