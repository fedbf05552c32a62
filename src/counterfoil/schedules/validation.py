"""Validates a schedule before it is saved: a known zone, a next time, and enough time between two runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from counterfoil.errors import SettingsError
from counterfoil.schedules.cron import cron_days
from counterfoil.schedules.fire_times import HORIZON, local_days, upcoming
from counterfoil.schedules.model import ELAPSED, FIRST_DAY, At, Cron, Every, Manual, Schedule
from counterfoil.schedules.time_zones import zone_info

BEFORE_ALL = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) - timedelta(days=2)
DAY_MINUTES = 24 * 60


def check(schedule: Schedule, *, least_minutes: int = 15) -> None:
    """Raises SettingsError for an unknown zone, a schedule that never fires, and one that fires too often.

    The time between runs is measured in local time: a clock change that shortens it is ignored.
    """
    zone_info(schedule.zone)
    if isinstance(schedule, Manual):
        return
    fires = len(upcoming(schedule, BEFORE_ALL, 2))
    if fires < 2:
        often = "never fires" if fires == 0 else "fires only once"
        raise SettingsError(f"the schedule {often} within five years", hint=_never_hint(schedule))
    minutes = _least_minutes_between(schedule)
    if minutes < least_minutes:
        raise SettingsError(
            f"the schedule has only {_minutes(minutes)} between two runs",
            hint=f"Leave at least {_minutes(least_minutes)} between two runs.",
        )


def _minutes(count: int) -> str:
    return f"{count} minute{'' if count == 1 else 's'}"


def _never_hint(schedule: Schedule) -> str:
    match schedule:
        case Every(between=None, days=None):
            return "Choose a shorter interval."
        case Every():
            return "Extend the active hours or days to include a time of the schedule, or change its start."
        case _:
            return "Use a day that exists, or `last` for the last day of a month."


def _least_minutes_between(schedule: Every | At | Cron) -> int:
    if isinstance(schedule, Every) and schedule.unit in ELAPSED:
        return schedule.n * (60 if schedule.unit == "hours" else 1)
    minutes, fires = _wall_clock(schedule)
    gaps = [later - earlier for earlier, later in pairwise(minutes)]
    over_midnight = DAY_MINUTES - minutes[-1] + minutes[0]
    if over_midnight < min(gaps, default=DAY_MINUTES) and _has_neighbours(fires):
        gaps.append(over_midnight)
    return min(gaps, default=DAY_MINUTES)


def _wall_clock(schedule: Every | At | Cron) -> tuple[list[int], Callable[[date], bool]]:
    """The minutes of the day at which it fires, in order, and a test for the days on which it fires."""
    if isinstance(schedule, Cron):
        return cron_days(schedule.text)
    times, fires = local_days(schedule, zone_info(schedule.zone))
    return [at.hour * 60 + at.minute for at in times], fires


def _has_neighbours(fires: Callable[[date], bool]) -> bool:
    """Whether it ever fires on two consecutive days."""
    first = FIRST_DAY.toordinal()
    days = [fires(date.fromordinal(first + day)) for day in range(HORIZON.days)]
    return any(today and tomorrow for today, tomorrow in pairwise(days))
