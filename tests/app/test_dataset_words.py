"""Words of a person become values; none leaves what was, an empty one takes it back."""

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


def test_nothing_said_is_nothing_changed() -> None:
    assert read_choice(BEFORE) == BEFORE
    assert read_retry(Retry(attempts=7)) == Retry(attempts=7)
    assert read_schedule(parse("every hour"), None, None) == parse("every hour")


def test_what_is_said_stands_beside_what_was() -> None:
    made = read_choice(BEFORE, until="2026-02-01", leave_out=["email"])
    assert made == Choice(
        since=JANUARY,
        until=int(datetime(2026, 2, 1, tzinfo=UTC).timestamp()),
        options={"status": "all"},
        hashed=("customer",),
        left_out=("email",),
    )


def test_an_empty_word_takes_back() -> None:
    assert read_choice(BEFORE, since="", options=[""], hash=[""]) == Choice()
    assert read_choice(Choice(last_days=3), last_days=0) == Choice()
    assert read_schedule(parse("every hour", "Europe/Berlin"), "", None) == Manual(zone="Europe/Berlin")
    assert read_partition(" ") is None


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ("3 months", Partition(unit="month", last=3)),
        ("1 week", Partition(unit="week", last=1)),
        ("last 30 Days", Partition(unit="day", last=30)),
    ],
)
def test_a_period_is_read(words: str, made: Partition) -> None:
    assert read_partition(words) == made


@pytest.mark.parametrize("words", ["months", "3", "3 years", "-1 days", "three months", "1.5 weeks"])
def test_what_is_no_period_is_refused(words: str) -> None:
    with pytest.raises(SettingsError, match="is not a period"):
        read_partition(words)


@pytest.mark.parametrize("word", ["status", "=all", "status="])
def test_an_option_has_a_name_and_a_value(word: str) -> None:
    with pytest.raises(SettingsError, match="is not NAME=VALUE"):
        read_choice(Choice(), options=[word])


def test_a_range_that_ends_before_it_begins_is_told_in_dates() -> None:
    with pytest.raises(SettingsError, match="--until 2025-06-01 is not after --since 2026-01-01"):
        read_choice(BEFORE, until="2025-06-01")


def test_another_zone_moves_the_clock_times() -> None:
    noon = datetime(2027, 1, 4, 12, tzinfo=UTC)
    moved = read_schedule(parse("daily at 06:00", "Europe/Berlin"), None, "Asia/Tokyo")
    assert moved == parse("daily at 06:00", "Asia/Tokyo")
    assert next_after(moved, noon) == datetime(2027, 1, 4, 21, tzinfo=UTC)
    assert read_schedule(Manual(zone="Asia/Tokyo"), "daily at 07:00", None) == parse("daily at 07:00", "Asia/Tokyo")
    assert read_schedule(Manual(), "daily at 07:00 in Asia/Tokyo", "Europe/Berlin").zone == "Asia/Tokyo"


def test_numbers_of_attempts_turn_retries_on() -> None:
    off = read_retry(Retry(), retry=False)
    assert off == Retry(on=False)
    assert read_retry(off, retry=5) == Retry(attempts=5)
    assert read_retry(off, retry=True) == Retry()
    assert read_retry(off, retry_minutes=5) == Retry(every_minutes=5)
    assert read_retry(off, retry_manual=True) == Retry(on=False, manual=True)
    with pytest.raises(SettingsError, match="--no-retry does not go with"):
        read_retry(Retry(), retry=False, retry_minutes=5)
