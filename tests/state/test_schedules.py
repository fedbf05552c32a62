"""Fire times of schedules, as literal tables in UTC, before and after clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from counterfoil.errors import SettingsError
from counterfoil.schedules import (
    At,
    Cron,
    Daily,
    Every,
    Manual,
    MonthDays,
    NthWeekday,
    Schedule,
    Weekdays,
    fires_per_month,
    next_after,
    upcoming,
)

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(schedule: Schedule, after: str, count: int) -> list[str]:
    return [f"{at:%m-%d %H:%M}" for at in upcoming(schedule, utc(after), count)]


# Berlin's clocks change from 02:00 to 03:00 at 2027-03-28 01:00 UTC, and from 03:00 to 02:00 at 2027-10-31 01:00 UTC.
@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        (At((time(2, 30),), Daily(), zone=BERLIN), "2027-03-26 12:00", ["03-27 01:30", "03-28 01:00", "03-29 00:30"]),
        (At((time(2, 30),), Daily(), zone=BERLIN), "2027-10-29 12:00", ["10-30 00:30", "10-31 00:30", "11-01 01:30"]),
        (Cron("30 2 * * *", zone=BERLIN), "2027-03-26 12:00", ["03-27 01:30", "03-28 01:00", "03-29 00:30"]),
        (Cron("30 2 * * *", zone=BERLIN), "2027-10-31 00:30", ["11-01 01:30"]),
        (Cron("30 2 * * *", zone=BERLIN), "2027-10-31 01:10", ["11-01 01:30"]),
        (Cron("*/15 * * * *", zone=BERLIN), "2027-03-28 00:30", ["03-28 00:45", "03-28 01:00", "03-28 01:15"]),
        (Cron("*/15 * * * *", zone=BERLIN), "2027-10-31 00:40", ["10-31 00:45", "10-31 01:00", "10-31 01:15"]),
        (Cron("30 * * * *", zone=BERLIN), "2027-10-30 23:45", ["10-31 00:30", "10-31 01:30", "10-31 02:30"]),
        (
            Every(5, "hours", anchor=utc("2027-03-27 20:00"), zone=BERLIN),
            "2027-03-27 20:00",
            ["03-28 01:00", "03-28 06:00", "03-28 11:00"],
        ),
        (
            Every(5, "hours", anchor=utc("2027-10-30 20:00"), zone=BERLIN),
            "2027-10-30 19:59",
            ["10-30 20:00", "10-31 01:00", "10-31 06:00"],
        ),
        (
            At((time(9),), Weekdays((1,)), every=2, anchor=date(2027, 3, 17), zone=BERLIN),
            "2027-03-01 00:00",
            ["03-29 07:00", "04-12 07:00"],
        ),
        (
            At((time(9),), Weekdays((1,)), every=2, anchor=date(2027, 3, 15), zone=BERLIN),
            "2027-10-20 00:00",
            ["10-25 07:00", "11-08 08:00"],
        ),
        (
            Every(2, "weeks", anchor=utc("2027-03-15 08:00"), zone=BERLIN),
            "2027-03-15 07:00",
            ["03-15 08:00", "03-29 07:00", "04-12 07:00"],
        ),
        (At((time(9),), NthWeekday(2, 1), zone=BERLIN), "2027-03-01 00:00", ["03-08 08:00", "04-12 07:00"]),
        (At((time(9),), NthWeekday(2, 1), zone=BERLIN), "2027-10-01 00:00", ["10-11 07:00", "11-08 08:00"]),
        (At((time(6),), MonthDays(("last",)), zone=BERLIN), "2027-02-01 00:00", ["02-28 05:00", "03-31 04:00"]),
        (At((time(6),), MonthDays(("last",)), zone=BERLIN), "2027-09-01 00:00", ["09-30 04:00", "10-31 05:00"]),
        (
            At((time(9), time(17, 30)), Daily(), zone=BERLIN),
            "2027-03-27 00:00",
            ["03-27 08:00", "03-27 16:30", "03-28 07:00", "03-28 15:30"],
        ),
        (
            At((time(9), time(17, 30)), Daily(), zone=BERLIN),
            "2027-10-30 00:00",
            ["10-30 07:00", "10-30 15:30", "10-31 08:00", "10-31 16:30"],
        ),
    ],
)
def test_fire_times_around_clock_changes_in_berlin(schedule: Schedule, after: str, expected: list[str]) -> None:
    assert fires(schedule, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("zone", "clock", "after", "expected"),
    [
        ("America/New_York", time(2, 30), "2027-03-13 12:00", ["03-14 07:00", "03-15 06:30"]),
        ("America/New_York", time(1, 30), "2027-11-06 12:00", ["11-07 05:30", "11-08 06:30"]),
        # A change of half an hour: from 02:00 to 02:30, and from 02:00 to 01:30.
        ("Australia/Lord_Howe", time(2, 15), "2027-10-02 12:00", ["10-02 15:30", "10-03 15:15"]),
        ("Australia/Lord_Howe", time(1, 45), "2027-04-03 12:00", ["04-03 14:45", "04-04 15:15"]),
        # A change at midnight: 24 April 2026 began at 01:00 in Cairo.
        ("Africa/Cairo", time(0), "2026-04-22 22:30", ["04-23 22:00", "04-24 21:00"]),
        ("Asia/Kolkata", time(2, 30), "2027-03-27 12:00", ["03-27 21:00", "03-28 21:00"]),
        # 30 December 2011 did not exist in Samoa.
        ("Pacific/Apia", time(6), "2011-12-28 20:00", ["12-29 16:00", "12-30 10:00", "12-30 16:00"]),
    ],
)
def test_local_time_fires_once_a_day_in_every_zone(zone: str, clock: time, after: str, expected: list[str]) -> None:
    assert fires(At((clock,), Daily(), anchor=date(2000, 1, 1), zone=zone), after, len(expected)) == expected


def test_times_merged_by_clock_change_fire_once() -> None:
    schedule = At((time(2, 15), time(2, 45), time(3)), Daily(), zone=BERLIN)
    assert fires(schedule, "2027-03-27 12:00", 2) == ["03-28 01:00", "03-29 00:15"]


def test_active_hours_include_both_ends() -> None:
    schedule = Every(2, "hours", between=(time(8), time(18)))
    assert fires(schedule, "2027-03-01 00:00", 7) == [
        *(f"03-01 {hour:02}:00" for hour in range(8, 20, 2)),
        "03-02 08:00",
    ]


def test_active_hours_can_span_midnight() -> None:
    schedule = Every(4, "hours", between=(time(22), time(4)))
    assert fires(schedule, "2027-03-01 00:00", 3) == ["03-01 04:00", "03-02 00:00", "03-02 04:00"]


def test_repeated_hour_is_active_twice() -> None:
    schedule = Every(30, "minutes", between=(time(2), time(2, 15)), zone=BERLIN)
    assert fires(schedule, "2027-10-30 12:00", 3) == ["10-31 00:00", "10-31 01:00", "11-01 01:00"]


def test_days_of_intervals_are_local_days() -> None:
    schedule = Every(12, "hours", days=(1,), zone="Pacific/Auckland")
    assert fires(schedule, "2027-06-01 00:00", 3) == ["06-06 12:00", "06-07 00:00", "06-13 12:00"]


def test_schedule_never_fires_before_anchor() -> None:
    anchor = utc("2031-05-31 06:00")
    assert next_after(Every(15, "minutes", anchor=anchor), utc("2024-01-01")) == anchor
    assert next_after(Every(1, "months", anchor=anchor), utc("2024-01-01")) == anchor
    assert fires(At((time(6),), Weekdays((1, 7)), anchor=date(2031, 1, 7)), "2024-01-01", 1) == ["01-12 06:00"]


def test_month_without_the_day_is_skipped() -> None:
    thirty_first = At((time(6),), MonthDays((31,)))
    assert fires(thirty_first, "2027-01-31 12:00", 3) == ["03-31 06:00", "05-31 06:00", "07-31 06:00"]
    last = At((time(6),), MonthDays((15, "last")))
    assert fires(last, "2028-02-01", 3) == ["02-15 06:00", "02-29 06:00", "03-15 06:00"]
    same_day = Every(1, "months", anchor=utc("2027-01-31 06:00"))
    assert fires(same_day, "2027-01-31 12:00", 2) == ["03-31 06:00", "05-31 06:00"]


def test_nth_weekday_of_month() -> None:
    assert fires(At((time(6),), NthWeekday(5, 1)), "2027-01-01", 2) == ["03-29 06:00", "05-31 06:00"]
    assert fires(At((time(6),), NthWeekday(-1, 5)), "2027-01-01", 2) == ["01-29 06:00", "02-26 06:00"]


def test_intervals_count_from_anchor() -> None:
    assert fires(At((time(6),), Daily(), every=3, anchor=date(2027, 1, 1)), "2027-01-01 06:00", 2) == [
        "01-04 06:00",
        "01-07 06:00",
    ]
    quarters = At((time(6),), MonthDays((1,)), every=3, anchor=date(2027, 1, 20))
    assert fires(quarters, "2027-01-01", 2) == ["04-01 06:00", "07-01 06:00"]
    # 3 January 2027 is a Sunday, the end of its week.
    fortnights = At((time(6),), Weekdays((1,)), every=2, anchor=date(2027, 1, 3))
    assert fires(fortnights, "2027-01-01", 2) == ["01-11 06:00", "01-25 06:00"]


def test_cron_matches_days_like_debian() -> None:
    assert fires(Cron("0 6 13 * 5"), "2027-08-01", 3) == ["08-06 06:00", "08-13 06:00", "08-20 06:00"]
    assert fires(Cron("0 6 L * *"), "2027-02-01", 2) == ["02-28 06:00", "03-31 06:00"]
    assert fires(Cron("0 6 * * mon#2"), "2027-03-01", 1) == ["03-08 06:00"]


def test_manual_schedule_never_fires() -> None:
    assert next_after(Manual(), utc("2027-01-01")) is None
    assert fires_per_month(Manual(), utc("2027-01-01")) == 0


def test_search_for_impossible_fire_time_ends() -> None:
    assert next_after(At((time(6),), MonthDays((31,)), every=12, anchor=date(2024, 2, 1)), utc("2027-01-01")) is None
    assert next_after(Every(24, "hours", between=(time(8), time(9))), utc("2027-01-01")) is None


@pytest.mark.parametrize(
    ("schedule", "count"),
    [
        (Every(15, "minutes"), 30 * 96),
        (Every(2, "hours", between=(time(8), time(18))), 30 * 6),
        (At((time(6), time(18)), Daily()), 60),
        (At((time(6),), Weekdays((1,))), 4),
        (Cron("*/30 * * * *"), 30 * 48),
    ],
)
def test_number_of_fire_times_in_thirty_days(schedule: Schedule, count: int) -> None:
    assert fires_per_month(schedule, utc("2027-06-01 00:00")) == count


def test_naive_instant_is_rejected() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        next_after(Every(15, "minutes"), datetime(2027, 1, 1))  # noqa: DTZ001


def test_unknown_time_zone_is_rejected() -> None:
    with pytest.raises(SettingsError, match="time zone 'Mars/Base'"):
        next_after(At((time(6),), Daily(), zone="Mars/Base"), utc("2027-01-01"))


@pytest.mark.parametrize(
    "schedule",
    [
        Every(15, "minutes", between=(time(3), time(3)), days=(7,), zone=BERLIN),
        Every(7, "minutes", zone="Australia/Lord_Howe"),
        Every(11, "months", anchor=utc("2027-01-30 06:00"), zone=BERLIN),
        At((time(6),), NthWeekday(5, 1), every=12, anchor=date(2024, 1, 1), zone=BERLIN),
        Cron("0 0 29 2 *", zone="America/New_York"),
        Cron("*/15 * 29 2 *", zone="America/New_York"),
        Cron("*/15 8-18 * * 1-5", zone=BERLIN),
    ],
)
def test_five_fire_times_of_rare_schedules_are_found(schedule: Schedule) -> None:
    times = upcoming(schedule, utc("2027-03-01"))
    assert len(times) == 5
    assert utc("2027-03-01") < times[0]
    assert list(times) == sorted(set(times))


def test_microseconds_do_not_repeat_fire_time() -> None:
    at = utc("2027-03-01 06:00")
    schedule = At((time(6),), Daily())
    assert next_after(schedule, at - timedelta(microseconds=1)) == at
    assert next_after(schedule, at + timedelta(microseconds=1)) == at + timedelta(days=1)
