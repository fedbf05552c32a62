"""Schedules as phrases and as JSON, and their validation."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    as_json,
    check,
    describe,
    from_json,
    parse,
)

BERLIN = "Europe/Berlin"
SIX = (time(6),)


def default_anchor(hour: int = 0, *, month: int = 1, day: int = 1) -> datetime:
    return datetime(2024, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("phrase", "schedule"),
    [
        ("manual", Manual()),
        ("every 30 minutes", Every(30, "minutes")),
        ("Every  Hour", Every(1, "hours")),
        (
            "every 2 hours between 8:00 and 18:00",
            Every(2, "hours", between=(time(8), time(18)), anchor=default_anchor(8)),
        ),
        ("every 30 minutes on mon, fri", Every(30, "minutes", days=(1, 5))),
        (
            "every hour on weekdays between 08:00 and 18:00",
            Every(1, "hours", days=(1, 2, 3, 4, 5), between=(time(8), time(18)), anchor=default_anchor(8)),
        ),
        (
            "every 5 hours from 2027-01-04 08:00",
            Every(5, "hours", anchor=datetime(2027, 1, 4, 8, tzinfo=UTC)),
        ),
        (
            "every 5 hours from 2027-01-04T08:00+01:00",
            Every(5, "hours", anchor=datetime(2027, 1, 4, 7, tzinfo=UTC)),
        ),
        (
            "every 5 hours from 2027-07-04 08:00 in Europe/Berlin",
            Every(5, "hours", anchor=datetime(2027, 7, 4, 6, tzinfo=UTC), zone=BERLIN),
        ),
        ("every 2 weeks", Every(2, "weeks")),
        ("every 3 days at 06:00 from 2027-01-04", At(SIX, Daily(), every=3, anchor=date(2027, 1, 4))),
        ("daily at 06:00, 18:00", At((time(6), time(18)), Daily())),
        ("at 9:00 and 17:30", At((time(9), time(17, 30)), Daily())),
        ("every day at 06:00", At(SIX, Daily())),
        ("daily at 02:30 in Europe/Berlin", At((time(2, 30),), Daily(), zone=BERLIN)),
        ("weekdays at 07:30", At((time(7, 30),), Weekdays((1, 2, 3, 4, 5)))),
        ("every weekday at 07:30", At((time(7, 30),), Weekdays((1, 2, 3, 4, 5)))),
        ("weekends at 07:30", At((time(7, 30),), Weekdays((6, 7)))),
        ("weekly on mon,thu at 09:00", At((time(9),), Weekdays((1, 4)))),
        ("every monday and Thursday at 09:00", At((time(9),), Weekdays((1, 4)))),
        ("every 2 weeks on mon at 09:00", At((time(9),), Weekdays((1,)), every=2)),
        ("monthly on 1,15,last at 06:00", At(SIX, MonthDays((1, 15, "last")))),
        ("every month on the last day at 06:00", At(SIX, MonthDays(("last",)))),
        ("monthly on the 1st, 2nd and 23rd at 06:00", At(SIX, MonthDays((1, 2, 23)))),
        ("monthly on first monday at 06:00", At(SIX, NthWeekday(1, 1))),
        ("monthly on the 2nd tue at 06:00", At(SIX, NthWeekday(2, 2))),
        ("every 3 months on the last friday at 06:00", At(SIX, NthWeekday(-1, 5), every=3)),
        ("cron 0 6 * * MON-fri", Cron("0 6 * * MON-fri")),
        ("cron  0 6 L * *  in Europe/Berlin", Cron("0 6 L * *", zone=BERLIN)),
    ],
)
def test_phrase_is_parsed(phrase: str, schedule: Schedule) -> None:
    assert parse(phrase) == schedule


@pytest.mark.parametrize(
    ("schedule", "phrase"),
    [
        (Manual(zone=BERLIN), "manual"),
        (Every(1, "hours"), "every hour in UTC"),
        (
            Every(2, "hours", between=(time(8), time(18))),
            "every 2 hours between 08:00 and 18:00 from 2024-01-01 00:00 in UTC",
        ),
        # The second 02:30 of that night.
        (
            Every(5, "hours", anchor=datetime(2027, 10, 31, 1, 30, tzinfo=UTC), zone=BERLIN),
            "every 5 hours from 2027-10-31T02:30+01:00 in Europe/Berlin",
        ),
        (At((time(6), time(12), time(18)), Daily(), zone=BERLIN), "daily at 06:00, 12:00 and 18:00 in Europe/Berlin"),
        (At(SIX, Weekdays((1, 2, 3, 4, 5))), "weekdays at 06:00 in UTC"),
        (
            At(SIX, Weekdays((1,)), every=2, anchor=date(2027, 1, 4)),
            "every 2 weeks on Monday at 06:00 from 2027-01-04 in UTC",
        ),
        (At(SIX, MonthDays((1, 12, 23, "last"))), "monthly on the 1st, 12th, 23rd and last day at 06:00 in UTC"),
        (At(SIX, NthWeekday(2, 1)), "monthly on the second Monday at 06:00 in UTC"),
        (Cron("0 6 * * *"), "cron 0 6 * * * in UTC"),
    ],
)
def test_schedule_is_described_as_phrase(schedule: Schedule, phrase: str) -> None:
    assert describe(schedule) == phrase


def test_zone_in_phrase_overrides_argument() -> None:
    assert parse("daily at 06:00", BERLIN).zone == BERLIN
    assert parse("daily at 06:00 in UTC", BERLIN).zone == "UTC"


def test_intervals_start_at_given_anchor() -> None:
    anchor = datetime(2027, 6, 9, 22, 30, tzinfo=UTC)
    assert parse("every 5 hours", anchor=anchor) == Every(5, "hours", anchor=anchor)
    assert parse("every 2 weeks on mon at 06:00", BERLIN, anchor=anchor) == At(
        SIX, Weekdays((1,)), every=2, anchor=date(2027, 6, 10), zone=BERLIN
    )
    assert parse("daily at 06:00", anchor=anchor) == At(SIX, Daily())


@pytest.mark.parametrize(
    ("phrase", "value", "example"),
    [
        ("", "''", "every 2 hours"),
        ("sometimes", "'sometimes'", "every 2 hours"),
        ("every 30 minutes at 06:00", "minutes", "every 30 minutes from 2027-01-04 08:15"),
        ("daily", "no time", "daily at 06:00, 18:00"),
        ("every 2 weeks on mon", "no time", "every 2 weeks on mon at 09:00"),
        ("weekly at 06:00", "no days", "weekly on mon at 09:00"),
        ("every 2 months at 06:00", "no days", "monthly on 1 at 09:00"),
        ("daily on mon at 06:00", "daily", "weekly on mon,thu at 09:00"),
        ("daily between 08:00 and 10:00 at 06:00", "active hours", "every 2 hours between 08:00 and 18:00"),
        ("every 2 days between 08:00 and 10:00", "active hours", "minutes or hours"),
        ("daily at 24:00", "'24:00'", "daily at 06:00, 18:00"),
        ("daily at 6", "'6'", "daily at 06:00, 18:00"),
        ("daily at 06:00,", "''", "daily at 06:00, 18:00"),
        ("weekly on mo at 06:00", "'mo'", "weekly on mon,thu at 09:00"),
        ("monthly on 32 at 06:00", "day of the month: 32", "1 to 31"),
        ("monthly on 0 at 06:00", "day of the month: 0", "1 to 31"),
        ("monthly on noon at 06:00", "'noon'", "monthly on 1,15,last at 06:00"),
        ("monthly on sixth monday at 06:00", "sixth", "monthly on first monday at 06:00"),
        ("every 0 minutes", "number of minutes: 0", "1 to 1000000"),
        ("every 5 hours from tomorrow", "'tomorrow'", "every 5 hours from 2027-01-04 08:00"),
        ("every 5 hours from 2027-02-30", "'2027-02-30'", "every 5 hours from 2027-01-04 08:00"),
        ("every 5 hours from 9999-12-31 23:59 in America/New_York", "'9999-12-31 23:59'", "every 5 hours from"),
        ("every 5 hours from 3027-01-01", "year: 3027", "1970 to 2199"),
        ("daily at 06:00 in Europe/Berln", "'Europe/Berln'", "Europe/Berlin"),
        ("cron 0 6 * *", "4 fields", "0 6 * * 1-5"),
        ("cron 0 0 6 * * *", "6 fields", "0 6 * * 1-5"),
        ("cron 61 6 * * *", "minute", "0 6 * * 1-5"),
        ("cron 0 0 30 2 *", "day-of-month", "0 6 * * 1-5"),
    ],
)
def test_invalid_phrase_is_rejected_with_value_and_example(phrase: str, value: str, example: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(phrase)
    assert value in caught.value.message
    assert example in (caught.value.hint or "")


@given(
    st.text(max_size=40)
    | st.from_regex(r"(every|daily|weekly|cron|monthly)( [a-z0-9:,*/#-]{1,6}){0,6}", fullmatch=True)
)
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    try:
        schedule = parse(text)
    except SettingsError:
        return
    assert parse(describe(schedule), schedule.zone) == schedule


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        (At(SIX, Daily(), zone="Berlin"), "time zone 'Berlin'"),
        (Manual(zone="europe/berlin"), "time zone 'europe/berlin'"),
        (At(SIX, Daily(), zone="../../etc/passwd"), "time zone '../../etc/passwd'"),
        (At(SIX, MonthDays((30, 31)), every=12, anchor=date(2024, 2, 1)), "never fires"),
        (At(SIX, NthWeekday(5, 1), every=12, anchor=date(2025, 2, 1)), "never fires"),
        (Every(24, "hours", between=(time(8), time(9))), "never fires"),
        (Every(7, "days", days=(2,)), "never fires"),
        (Every(90, "months"), "fires only once"),
        (Every(14, "minutes"), "14 minutes"),
        (At((time(6), time(6, 10)), Daily()), "10 minutes"),
        (At((time(0), time(23, 50)), Weekdays((1, 2))), "10 minutes"),
        (Cron("* * * * *"), "1 minute"),
        (Cron("*/7 * * * *"), "4 minutes"),
        (Cron("55 23,0 * * 1"), None),
        (Cron("0,50 0,23 * * 1"), None),
        (Cron("0,50 0,23 * * 1,2"), "10 minutes"),
        (Cron("0,50 0,23 1,31 * *"), "10 minutes"),
        (Cron("0 0 29 2 *"), None),
        (Every(15, "minutes"), None),
        (Cron("*/15 * * * *"), None),
        (At((time(0), time(23, 50)), Weekdays((1, 3))), None),
        # A clock change makes these two closer once a year.
        (At((time(2, 30), time(3, 5)), Daily(), zone=BERLIN), None),
        (Every(1, "months", anchor=datetime(2030, 1, 31, tzinfo=UTC)), None),
        (Manual(), None),
    ],
)
def test_check_rejects_unusable_schedules(schedule: Schedule, problem: str | None) -> None:
    if problem is None:
        check(schedule)
        return
    with pytest.raises(SettingsError, match=rf"\b{re.escape(problem)}") as caught:
        check(schedule)
    assert caught.value.hint


def test_setting_allows_shorter_interval() -> None:
    check(Every(1, "minutes"), least_minutes=1)
    check(Cron("* * * * *"), least_minutes=1)


@pytest.mark.parametrize(
    ("zone", "suggestion"),
    [("Berlin", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("New York", "America/New_York")],
)
def test_unknown_zone_suggests_similar_ones(zone: str, suggestion: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check(Manual(zone=zone))
    assert suggestion in str(caught.value.hint)


def test_json_has_plain_values_and_version() -> None:
    saved = as_json(Every(2, "hours", between=(time(8), time(18)), days=(1, 2), zone=BERLIN))
    assert json.loads(json.dumps(saved)) == {
        "version": 1,
        "zone": BERLIN,
        "kind": "every",
        "n": 2,
        "unit": "hours",
        "anchor": "2024-01-01T00:00:00+00:00",
        "between": ["08:00", "18:00"],
        "days": [1, 2],
    }
    assert as_json(At(SIX, MonthDays((1, "last")))) == {
        "version": 1,
        "zone": "UTC",
        "kind": "at",
        "times": ["06:00"],
        "days": {"kind": "month_days", "days": [1, "last"]},
        "every": 1,
        "anchor": "2024-01-01",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": None},
        {"kind": "sometimes"},
        {"kind": ["at"]},
        {"zone": None},
        {"times": ["6"]},
        {"times": []},
        {"times": None},
        {"times": [6]},
        {"days": {"kind": "weekdays", "days": [0]}},
        {"days": {"kind": "weekdays", "days": ["1"]}},
        {"days": {"kind": "month_days", "days": ["first"]}},
        {"days": "daily"},
        {"every": "2"},
        {"every": True},
        {"anchor": "yesterday"},
        {"extra": "value"},
    ],
)
def test_damaged_or_newer_json_is_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        from_json({**as_json(At(SIX, Daily())), **change})


def test_days_and_times_are_sorted_and_unique() -> None:
    assert At((time(18), time(6), time(18)), Weekdays((5, 1, 5))) == At((time(6), time(18)), Weekdays((1, 5)))
    assert MonthDays(("last", 15, 1)).days == (1, 15, "last")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Every(1, "years"),  # type: ignore[arg-type]
        lambda: Every(1, "hours", anchor=datetime(2027, 1, 1)),  # noqa: DTZ001
        lambda: Every(1, "weeks", days=(1,)),
        lambda: Every(1, "hours", between=(time(8, 0, 1), time(9))),
        lambda: At((time(6, 0, 30),), Daily()),
        lambda: At((), Daily()),
        lambda: At(SIX, Weekdays(())),
        lambda: At(SIX, MonthDays(())),
        lambda: NthWeekday(0, 1),
    ],
)
def test_invalid_fields_are_rejected(make: Any) -> None:
    with pytest.raises(SettingsError):
        make()


def test_every_documented_example_is_valid() -> None:
    page = (Path(__file__).parents[2] / "docs/schedules.md").read_text(encoding="utf-8")
    examples = re.findall(r"^\| `([^`]+)` ", page, re.MULTILINE)
    assert len(examples) > 15
    for phrase in examples:
        check(parse(phrase, BERLIN))
