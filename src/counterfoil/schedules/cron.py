"""Cron expressions, read by cronsim; no other module uses it. All times are local times without a zone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime

from cronsim import CronSim, CronSimError

from counterfoil.errors import SettingsError


def read_cron(text: str) -> str:
    """The expression with single spaces; SettingsError if it is invalid or never fires."""
    fields = text.split()
    if len(fields) != 5:
        raise SettingsError(
            f"the cron expression {text!r} has {len(fields)} fields",
            hint="Use five: minute, hour, day of month, month, day of week, such as 0 6 * * 1-5.",
        )
    expression = " ".join(fields)
    try:
        CronSim(expression, datetime(2024, 1, 1))  # noqa: DTZ001 - a local time
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        raise SettingsError(
            f"the cron expression {expression!r} never fires: its {field} does not exist",
            hint="Use five fields that can match together, such as 0 6 * * 1-5 for 06:00 from Monday to Friday.",
        ) from error
    return expression


def is_elapsed(text: str) -> bool:
    """Whether it fires at an interval of minutes or hours, by the rule of Debian's cron."""
    minute, hour, *_ = text.split()
    return minute.startswith("*") or hour.startswith("*")


def cron_times(text: str, after: datetime) -> Iterator[datetime]:
    """The times strictly after this one, in order; ends if there is none for fifty years."""
    return CronSim(text, after)


def cron_days(text: str) -> tuple[list[int], Callable[[date], bool]]:
    """The minutes of the day at which it fires, in order, and a test for the days on which it fires."""
    cron = CronSim(text, datetime(2024, 1, 1))  # noqa: DTZ001
    minutes = [hour * 60 + minute for hour in sorted(cron.hours) for minute in sorted(cron.minutes)]
    return minutes, lambda day: day.month in cron.months and cron.match_day(day)
