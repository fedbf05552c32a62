"""Properties of schedules around clock changes, compared with a search through every minute."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

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
    describe,
    fires_per_month,
    from_json,
    instants,
    next_after,
    parse,
    upcoming,
)

#: Time zones, each with interesting days in UTC, such as those of clock changes.
ZONE_DAYS = {
    "Europe/Berlin": (date(2027, 3, 28), date(2027, 10, 31), date(2027, 12, 31)),
    "America/New_York": (date(2027, 3, 14), date(2027, 11, 7), date(2028, 2, 29)),
    "Australia/Lord_Howe": (date(2027, 4, 3), date(2027, 10, 2)),
    "Africa/Cairo": (date(2026, 4, 23), date(2026, 10, 29)),
    "America/Santiago": (date(2027, 4, 4), date(2027, 9, 5)),
    "Pacific/Apia": (date(2011, 12, 30),),
    "Asia/Kolkata": (date(2027, 3, 28),),
    "UTC": (date(2027, 3, 31),),
}
DAYS_SEARCHED = 5

clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))
#: Times of day, with more of those at which clocks change.
near_changes = st.one_of(clocks, st.builds(time, st.integers(0, 3), st.sampled_from((0, 15, 29, 30, 45))))
weekdays = st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple)
anchors = st.builds(
    lambda year, minute: datetime(year, 1, 1, tzinfo=UTC) + timedelta(minutes=minute),
    st.sampled_from((2010, 2010, 2026, 2027)),
    st.integers(0, 365 * 1440),
)
anchor_days = st.dates(date(2010, 1, 1), date(2011, 12, 1))
zones = st.sampled_from(sorted(ZONE_DAYS))

elapsed = st.builds(
    Every,
    st.integers(1, 2000),
    st.just("minutes"),
    anchor=anchors,
    between=st.none() | st.tuples(near_changes, near_changes),
    days=st.none() | weekdays,
    zone=zones,
) | st.builds(
    Every,
    st.integers(1, 60),
    st.just("hours"),
    anchor=anchors,
    between=st.none() | st.tuples(clocks, clocks),
    zone=zones,
)
dates = st.builds(Every, st.integers(1, 5), st.just("days"), anchor=anchors, days=st.none() | weekdays, zone=zones) | (
    st.builds(Every, st.integers(1, 5), st.sampled_from(("weeks", "months")), anchor=anchors, zone=zones)
)
month_days = st.lists(st.integers(1, 31) | st.just("last"), min_size=1, max_size=4).map(tuple)
named_days = st.one_of(
    st.just(Daily()),
    st.builds(Weekdays, weekdays),
    st.builds(MonthDays, month_days),
    st.builds(NthWeekday, st.sampled_from((1, 2, 3, 4, 5, -1)), st.integers(1, 7)),
)
at = st.builds(
    At,
    st.lists(near_changes, min_size=1, max_size=4).map(tuple),
    named_days,
    every=st.integers(1, 3),
    anchor=anchor_days,
    zone=zones,
)


def comma_separated(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))


minute_fields = st.sampled_from(("*", "*/7", "*/15", "*/30", "0", "30", "1,31", "15-20", "59"))
hour_fields = st.sampled_from(("*", "*/2", "*/5", "0", "2", "1-3", "2,3", "23"))
day_fields = st.sampled_from(("*", "*/2", "1-28", "28,29,30,31"))
weekday_fields = st.just("*") | weekdays.map(comma_separated)
crons = st.builds(
    lambda fields, zone: Cron(" ".join(fields), zone=zone),
    st.tuples(minute_fields, hour_fields, day_fields, st.just("*"), weekday_fields),
    zones,
)
schedules = st.one_of(elapsed, dates, at, crons)


@st.composite
def moments(draw: st.DrawFn, schedule: Schedule) -> datetime:
    """An instant, usually within a day of a clock change."""
    day = draw(st.sampled_from(ZONE_DAYS[schedule.zone]))
    start = datetime.combine(day, time(), UTC)
    return start + timedelta(seconds=draw(st.integers(-86_400, 172_800)), microseconds=draw(st.sampled_from((0, 1))))


@cache
def minutes(zone: str, day: date) -> list[tuple[datetime, datetime]]:
    """Every minute around the day: the instant and the local time."""
    start = datetime.combine(day, time(), UTC) - timedelta(days=2)
    every = (start + timedelta(minutes=minute) for minute in range(DAYS_SEARCHED * 1440))
    return [(instant, instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)) for instant in every]


def searched(schedule: Schedule, table: list[tuple[datetime, datetime]]) -> list[datetime]:
    """The minutes of the table at which the schedule fires, found by testing each minute."""
    match schedule:
        case Every(unit="minutes" | "hours"):
            step = schedule.n * (60 if schedule.unit == "hours" else 1)
            return [
                at
                for at, local in table
                if at >= schedule.anchor
                and (at - schedule.anchor) // timedelta(minutes=1) % step == 0
                and (schedule.days is None or local.isoweekday() in schedule.days)
                and is_active(schedule.between, local.time())
            ]
        case Cron() if schedule.text.split()[0].startswith("*") or schedule.text.split()[1].startswith("*"):
            return [at for at, local in table if matches_cron(schedule.text, local)]
        case _:
            found = reached(local_times(schedule, table), table)
            return [at for at in found if not isinstance(schedule, Every) or at >= schedule.anchor]


def reached(wanted: list[datetime], table: list[tuple[datetime, datetime]]) -> list[datetime]:
    """A local time fires at the first minute at which the local clock shows or has passed it."""
    found, index = [], 0
    for clock in sorted(wanted):
        while index < len(table) and table[index][1] < clock:
            index += 1
        found += [table[index][0]] if index < len(table) else []
    return sorted(set(found))


def local_times(schedule: Schedule, table: list[tuple[datetime, datetime]]) -> list[datetime]:
    first, last = table[0][1], table[-1][1]
    days = [first.date() + timedelta(days=n) for n in range((last.date() - first.date()).days + 1)]
    match schedule:
        case Every():
            anchor = schedule.anchor.astimezone(ZoneInfo(schedule.zone)).replace(tzinfo=None)
            found = [datetime.combine(day, anchor.time()) for day in days if is_step(schedule, anchor.date(), day)]
        case At():
            found = [
                datetime.combine(day, clock) for day in days if is_named(schedule, day) for clock in schedule.times
            ]
        case Cron():
            clocks_of_day = [time(hour, minute) for hour in range(24) for minute in range(60)]
            every = [datetime.combine(day, clock) for day in days for clock in clocks_of_day]
            found = [clock for clock in every if matches_cron(schedule.text, clock)]
    return [clock for clock in found if clock > first]


def is_active(between: tuple[time, time] | None, clock: time) -> bool:
    if between is None:
        return True
    opens, closes = between
    return opens <= clock <= closes if opens <= closes else not closes < clock < opens


def is_step(every: Every, anchor: date, day: date) -> bool:
    if every.unit == "months":
        return day.day == anchor.day and (day.year * 12 + day.month - anchor.year * 12 - anchor.month) % every.n == 0
    days = every.n * (7 if every.unit == "weeks" else 1)
    return (day - anchor).days % days == 0 and (every.days is None or day.isoweekday() in every.days)


def is_named(schedule: At, day: date) -> bool:
    months = day.year * 12 + day.month - schedule.anchor.year * 12 - schedule.anchor.month
    length = monthrange(day.year, day.month)[1]
    match schedule.days:
        case Daily():
            return (day - schedule.anchor).days % schedule.every == 0
        case Weekdays(days):
            monday = schedule.anchor - timedelta(days=schedule.anchor.weekday())
            return day.isoweekday() in days and (day - monday).days // 7 % schedule.every == 0
        case MonthDays(days):
            return months % schedule.every == 0 and (day.day in days or ("last" in days and day.day == length))
        case NthWeekday(n, weekday):
            same = [number for number in range(1, length + 1) if day.replace(day=number).isoweekday() == weekday]
            nth = same[-1] if n == -1 else (same[n - 1] if n <= len(same) else 0)
            return months % schedule.every == 0 and day.day == nth


def matches_cron(text: str, clock: datetime) -> bool:
    minute, hour, day, _, weekday = text.split()
    by_day = in_field(day, clock.day, 1, 31)
    by_weekday = in_field(weekday, clock.isoweekday(), 1, 7)
    is_day = by_day and by_weekday if day.startswith("*") or weekday == "*" else by_day or by_weekday
    return is_day and in_field(minute, clock.minute, 0, 59) and in_field(hour, clock.hour, 0, 23)


def in_field(field: str, value: int, low: int, high: int) -> bool:
    for part in field.split(","):
        term, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if term == "*" else term).partition("-")
        if value in range(int(first), int(last or first) + 1, int(step or 1)):
            return True
    return False


def within(schedule: Schedule, start: datetime, end: datetime) -> Iterator[datetime]:
    return takewhile(lambda at: at < end, instants(schedule, start))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), schedule=schedules)
def test_fire_times_match_search_through_every_minute(data: st.DataObject, schedule: Schedule) -> None:
    table = minutes(schedule.zone, data.draw(st.sampled_from(ZONE_DAYS[schedule.zone])))
    # Omits the table's first day: an earlier local time may fire on it.
    start, end = table[1440][0], table[-1][0]
    expected = [at for at in searched(schedule, table) if start < at < end]
    assert list(within(schedule, start, end)) == expected


@settings(deadline=None)
@given(data=st.data(), schedule=schedules)
def test_next_fire_time_is_the_first_later_one(data: st.DataObject, schedule: Schedule) -> None:
    moment = data.draw(moments(schedule))
    following = next_after(schedule, moment)
    if following is not None:
        assert following > moment
        assert following.tzinfo is UTC
        between = moment + (following - moment) * data.draw(st.floats(0, 1, exclude_max=True))
        assert next_after(schedule, min(between, following - timedelta(microseconds=1))) == following


@settings(deadline=None)
@given(data=st.data(), schedule=schedules)
def test_upcoming_matches_repeated_next_after(data: st.DataObject, schedule: Schedule) -> None:
    moment = data.draw(moments(schedule))
    found = upcoming(schedule, moment, 8)
    assert all(earlier < later for earlier, later in pairwise(found))
    stepped: list[datetime] = []
    step: datetime | None = moment
    while step is not None and len(stepped) < 8:
        step = next_after(schedule, step)
        stepped += [step] if step else []
    assert list(found) == stepped


@settings(deadline=None, max_examples=50)
@given(data=st.data(), schedule=at)
def test_month_is_thirty_days_after_instant(data: st.DataObject, schedule: Schedule) -> None:
    moment = data.draw(moments(schedule))
    end = moment + timedelta(days=30)
    assert fires_per_month(schedule, moment) == sum(1 for at in upcoming(schedule, moment, 200) if at <= end)


@given(schedules | st.builds(Manual, zones))
def test_json_round_trip_preserves_schedule(schedule: Schedule) -> None:
    assert from_json(as_json(schedule)) == schedule


@given(schedules | st.builds(Manual, zones))
def test_phrase_round_trip_preserves_schedule(schedule: Schedule) -> None:
    assert parse(describe(schedule), schedule.zone) == schedule


@given(schedules)
def test_equal_schedules_have_equal_hashes(schedule: Schedule) -> None:
    assert hash(schedule) == hash(from_json(as_json(schedule)))
