"""When a schedule fires. Pure: takes instants with a time zone, and returns instants in UTC.

Minutes and hours count elapsed time; days, weeks and months use local time. `docs/schedules.md` has the rules and
examples.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from counterfoil.schedules.cron import cron_times, is_elapsed
from counterfoil.schedules.model import (
    ELAPSED,
    LAST,
    At,
    Cron,
    Daily,
    Days,
    Every,
    Manual,
    MonthDays,
    NthWeekday,
    Schedule,
    Weekdays,
)
from counterfoil.schedules.time_zones import SECOND, Stretch, first_instant, stretches, wall_clock, zone_info

#: A schedule that does not fire for this long, counted from its anchor at the earliest, never fires again.
HORIZON = timedelta(days=5 * 366)
MONTH = timedelta(days=30)


def next_after(schedule: Schedule, instant: datetime) -> datetime | None:
    """The first instant strictly after this one; None if the schedule never fires again."""
    return next(instants(schedule, instant), None)


def upcoming(schedule: Schedule, instant: datetime, count: int = 5) -> tuple[datetime, ...]:
    """The next instants, at most `count`, in order."""
    return tuple(islice(instants(schedule, instant), count))


def fires_per_month(schedule: Schedule, instant: datetime) -> int:
    """How many times it fires in the thirty days after the instant."""
    return sum(1 for _ in _fires(schedule, instant, instant + MONTH + SECOND))


def instants(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """All instants strictly after this one, in order; ends if the schedule does not fire for five years."""
    if after.tzinfo is None:
        raise ValueError(f"{after} has no time zone")
    found = True
    while found:
        found = False
        for at in _fires(schedule, after, max(after, _earliest(schedule, after)) + HORIZON):
            found, after = True, at
            yield at


def local_days(schedule: Every | At, zone: ZoneInfo) -> tuple[tuple[time, ...], Callable[[date], bool]]:
    """The local times at which a schedule of days, weeks or months fires, and a test for the local days."""
    if isinstance(schedule, At):
        return schedule.times, lambda day: day >= schedule.anchor and _is_day(schedule, day)
    anchor = wall_clock(schedule.anchor, zone)
    start = anchor.date()
    return (anchor.time(),), lambda day: day >= start and _is_step(schedule, start, day)


def _earliest(schedule: Schedule, after: datetime) -> datetime:
    match schedule:
        case Every():
            return schedule.anchor
        case At():
            return datetime.combine(schedule.anchor, time(), UTC)
        case _:
            return after


def _fires(schedule: Schedule, after: datetime, end: datetime) -> Iterator[datetime]:
    """The instants strictly after `after` and before `end`."""
    zone = zone_info(schedule.zone)
    start = after.astimezone(UTC).replace(microsecond=0) + SECOND
    match schedule:
        case Manual():
            return
        case Every(unit=unit) if unit in ELAPSED:
            for stretch in stretches(zone, max(start, schedule.anchor), end):
                yield from _steps(schedule, stretch)
        case Every() | At():
            start = max(start, schedule.anchor) if isinstance(schedule, Every) else start
            yield from _reached(_times(schedule, zone, wall_clock(start, zone), end), zone, start, end)
        case Cron() if is_elapsed(schedule.text):
            for stretch in stretches(zone, start, end):
                yield from _cron_times(schedule, stretch)
        case Cron():
            times = cron_times(schedule.text, wall_clock(start, zone) - SECOND)
            yield from _reached(times, zone, start, end)


def _reached(times: Iterator[datetime], zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Local times as instants; times that become the same instant in a clock change fire once."""
    for local in times:
        at = first_instant(local, zone)
        if at >= end:
            return
        if at >= start:
            yield at
            start = at + SECOND


def _times(schedule: Every | At, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    times, fires = local_days(schedule, zone)
    first, last = start.date().toordinal(), wall_clock(end, zone).date().toordinal()
    for ordinal in range(first, last + 1):
        day = date.fromordinal(ordinal)
        if fires(day):
            for at in times:
                yield datetime.combine(day, at)


def _steps(every: Every, stretch: Stretch) -> Iterator[datetime]:
    """Elapsed steps from the anchor. The offset is constant in a stretch, so local times can be computed."""
    step = timedelta(**{every.unit: every.n})
    at = _step_from(every.anchor, step, stretch.start)
    while at < stretch.end:
        local = (at + stretch.offset).replace(tzinfo=None)
        active = _active_from(every, local)
        if active == local:
            yield at
            at += step
        else:
            at = _step_from(every.anchor, step, active.replace(tzinfo=UTC) - stretch.offset)


def _step_from(anchor: datetime, step: timedelta, instant: datetime) -> datetime:
    return anchor - (anchor - instant) // step * step


def _active_from(every: Every, local: datetime) -> datetime:
    """This time if it is active; otherwise a time to continue from, which is not after the next active time."""
    midnight = datetime.combine(local.date() + timedelta(days=1), time())
    if every.days is not None and local.isoweekday() not in every.days:
        return midnight
    if every.between is None:
        return local
    opens, closes = every.between
    clock = local.time()
    if opens <= clock <= closes or (closes < opens and (clock <= closes or opens <= clock)):
        return local
    return datetime.combine(local.date(), opens) if clock < opens else midnight


def _cron_times(cron: Cron, stretch: Stretch) -> Iterator[datetime]:
    start = (stretch.start + stretch.offset).replace(tzinfo=None)
    for local in cron_times(cron.text, start - SECOND):
        at = local.replace(tzinfo=UTC) - stretch.offset
        if at >= stretch.end:
            return
        yield at


def _is_step(every: Every, start: date, day: date) -> bool:
    if every.days is not None and day.isoweekday() not in every.days:
        return False
    if every.unit == "months":
        return day.day == start.day and _months(start, day) % every.n == 0
    return (day - start).days % (every.n * (7 if every.unit == "weeks" else 1)) == 0


def _is_day(at: At, day: date) -> bool:
    match at.days:
        case Daily():
            passed = (day - at.anchor).days
        case Weekdays():
            passed = (day.toordinal() - 1) // 7 - (at.anchor.toordinal() - 1) // 7
        case _:
            passed = _months(at.anchor, day)
    return passed % at.every == 0 and _is_named(at.days, day)


def _is_named(days: Days, day: date) -> bool:
    match days:
        case Daily():
            return True
        case Weekdays():
            return day.isoweekday() in days.days
        case MonthDays():
            return day.day in days.days or (LAST in days.days and day.day == _length(day))
        case NthWeekday():
            is_nth = day.day + 7 > _length(day) if days.n == -1 else (day.day + 6) // 7 == days.n
            return is_nth and day.isoweekday() == days.weekday


def _months(start: date, day: date) -> int:
    return (day.year - start.year) * 12 + day.month - start.month


def _length(day: date) -> int:
    return monthrange(day.year, day.month)[1]
