"""Schedules in words and in JSON, and what is refused before they are saved."""

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


def from_monday(hour: int = 0, *, month: int = 1, day: int = 1) -> datetime:
    return datetime(2024, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "schedule"),
    [
        ("manual", Manual()),
        ("every 30 minutes", Every(30, "minutes")),
        ("Every  Hour", Every(1, "hours")),
        (
            "every 2 hours between 8:00 and 18:00",
            Every(2, "hours", between=(time(8), time(18)), anchor=from_monday(8)),
        ),
        ("every 30 minutes on mon, fri", Every(30, "minutes", days=(1, 5))),
        (
            "every hour on weekdays between 08:00 and 18:00",
            Every(1, "hours", days=(1, 2, 3, 4, 5), between=(time(8), time(18)), anchor=from_monday(8)),
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
def test_words_mean_schedules(words: str, schedule: Schedule) -> None:
    assert parse(words) == schedule


@pytest.mark.parametrize(
    ("schedule", "words"),
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
def test_a_schedule_is_described_in_english(schedule: Schedule, words: str) -> None:
    assert describe(schedule) == words


def test_the_zone_given_is_that_of_words_without_one() -> None:
    assert parse("daily at 06:00", BERLIN).zone == BERLIN
    assert parse("daily at 06:00 in UTC", BERLIN).zone == "UTC"


def test_what_is_counted_begins_at_the_anchor_given() -> None:
    anchor = datetime(2027, 6, 9, 22, 30, tzinfo=UTC)
    assert parse("every 5 hours", anchor=anchor) == Every(5, "hours", anchor=anchor)
    assert parse("every 2 weeks on mon at 06:00", BERLIN, anchor=anchor) == At(
        SIX, Weekdays((1,)), every=2, anchor=date(2027, 6, 10), zone=BERLIN
    )
    assert parse("daily at 06:00", anchor=anchor) == At(SIX, Daily())


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", "is not a schedule"),
        ("sometimes", "'sometimes' is not a schedule"),
        ("every 30 minutes at 06:00", "Times of the day do not go with minutes"),
        ("daily", "does not say at which times"),
        ("every 2 weeks on mon", "does not say at which times"),
        ("weekly at 06:00", "does not say on which days"),
        ("every 2 months at 06:00", "does not say on which days"),
        ("daily on mon at 06:00", "do not go with each day"),
        ("daily between 08:00 and 10:00 at 06:00", "Active hours go with minutes and hours"),
        ("every 2 days between 08:00 and 10:00", "Active hours do not go with days"),
        ("daily at 24:00", "'24:00' is not a time of the day"),
        ("daily at 6", "'6' is not a time of the day"),
        ("daily at 06:00,", "'' is not a time of the day"),
        ("weekly on mo at 06:00", "'mo' is not a day of the week"),
        ("monthly on 32 at 06:00", "A day of the month is 32"),
        ("monthly on 0 at 06:00", "A day of the month is 0"),
        ("monthly on noon at 06:00", "'noon' is not a day of the month"),
        ("monthly on sixth monday at 06:00", "A month has no sixth weekday"),
        ("every 0 minutes", "The number of minutes is 0"),
        ("every 5 hours from tomorrow", "'tomorrow' is not a time to count from"),
        ("every 5 hours from 2027-02-30", "'2027-02-30' is not a time to count from"),
        ("every 5 hours from 9999-12-31 23:59 in America/New_York", "is not a time to count from"),
        ("every 5 hours from 3027-01-01", "counts from the year 3027"),
        ("daily at 06:00 in Europe/Berln", "There is no time zone 'Europe/Berln'"),
        ("cron 0 6 * *", "has 4 fields"),
        ("cron 0 0 6 * * *", "has 6 fields"),
        ("cron 61 6 * * *", "names a minute that does not exist"),
        ("cron 0 0 30 2 *", "never fires: it names a day-of-month that does not exist"),
    ],
)
def test_words_that_are_not_a_schedule_are_refused_with_a_hint(words: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(problem)) as refused:
        parse(words)
    assert refused.value.hint


@given(
    st.text(max_size=40)
    | st.from_regex(r"(every|daily|weekly|cron|monthly)( [a-z0-9:,*/#-]{1,6}){0,6}", fullmatch=True)
)
def test_any_text_is_a_schedule_or_a_setting_that_is_wrong(text: str) -> None:
    try:
        schedule = parse(text)
    except SettingsError:
        return
    assert parse(describe(schedule), schedule.zone) == schedule


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        (At(SIX, Daily(), zone="Berlin"), "no time zone"),
        (Manual(zone="europe/berlin"), "no time zone"),
        (At(SIX, Daily(), zone="../../etc/passwd"), "no time zone"),
        (At(SIX, MonthDays((30, 31)), every=12, anchor=date(2024, 2, 1)), "never fires"),
        (At(SIX, NthWeekday(5, 1), every=12, anchor=date(2025, 2, 1)), "never fires"),
        (Every(24, "hours", between=(time(8), time(9))), "never fires"),
        (Every(7, "days", days=(2,)), "never fires"),
        (Every(90, "months"), "fires only once"),
        (Every(14, "minutes"), "14 minutes after"),
        (At((time(6), time(6, 10)), Daily()), "10 minutes after"),
        (At((time(0), time(23, 50)), Weekdays((1, 2))), "10 minutes after"),
        (Cron("* * * * *"), "1 minute after"),
        (Cron("*/7 * * * *"), "4 minutes after"),
        (Cron("55 23,0 * * 1"), None),
        (Cron("0,50 0,23 * * 1"), None),
        (Cron("0,50 0,23 * * 1,2"), "10 minutes after"),
        (Cron("0,50 0,23 1,31 * *"), "10 minutes after"),
        (Cron("0 0 29 2 *"), None),
        (Every(15, "minutes"), None),
        (Cron("*/15 * * * *"), None),
        (At((time(0), time(23, 50)), Weekdays((1, 3))), None),
        # The change of the clocks brings these two together, once a year.
        (At((time(2, 30), time(3, 5)), Daily(), zone=BERLIN), None),
        (Every(1, "months", anchor=datetime(2030, 1, 31, tzinfo=UTC)), None),
        (Manual(), None),
    ],
)
def test_what_a_schedule_must_keep_before_it_is_saved(schedule: Schedule, problem: str | None) -> None:
    if problem is None:
        check(schedule)
        return
    with pytest.raises(SettingsError, match=problem) as refused:
        check(schedule)
    assert refused.value.hint


def test_a_setting_can_allow_shorter_intervals() -> None:
    check(Every(1, "minutes"), least_minutes=1)
    check(Cron("* * * * *"), least_minutes=1)


@pytest.mark.parametrize(
    ("zone", "suggestion"),
    [("Berlin", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("New York", "America/New_York")],
)
def test_an_unknown_zone_is_answered_with_close_ones(zone: str, suggestion: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check(Manual(zone=zone))
    assert suggestion in str(refused.value.hint)


def test_json_is_plain_and_says_its_version() -> None:
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
        {"colour": "red"},
    ],
)
def test_a_saved_schedule_that_is_damaged_or_newer_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        from_json({**as_json(At(SIX, Daily())), **change})


def test_days_and_times_are_kept_in_order_and_once() -> None:
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
def test_nonsense_is_no_schedule(make: Any) -> None:
    with pytest.raises(SettingsError):
        make()


def test_every_example_of_the_page_for_users_is_a_schedule() -> None:
    page = (Path(__file__).parents[2] / "docs/schedules.md").read_text(encoding="utf-8")
    examples = re.findall(r"^\| `([^`]+)` ", page, re.MULTILINE)
    assert len(examples) > 15
    for words in examples:
        check(parse(words, BERLIN))
