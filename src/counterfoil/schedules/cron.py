"""Cron expressions by cronsim, the only module that knows it. All times are those of a clock on the wall."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime

from cronsim import CronSim, CronSimError

from counterfoil.errors import SettingsError


def read_cron(text: str) -> str:
    """The expression with single blanks; SettingsError when it is none, or when no day can meet it."""
    fields = text.split()
    if len(fields) != 5:
        raise SettingsError(
            f"The cron expression {text!r} has {len(fields)} fields",
            hint="Give five: minute, hour, day of month, month, day of week, such as 0 6 * * 1-5.",
        )
    expression = " ".join(fields)
    try:
        CronSim(expression, datetime(2024, 1, 1))  # noqa: DTZ001 - a clock on the wall
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        raise SettingsError(
            f"The cron expression {expression!r} never fires: it names a {field} that does not exist",
            hint="Five fields that can be met together, such as 0 6 * * 1-5 for 06:00 from Monday to Friday.",
        ) from error
    return expression


def is_elapsed(text: str) -> bool:
    """Whether it fires every so many minutes or hours, by the rule of Debian's cron."""
    minute, hour, *_ = text.split()
    return minute.startswith("*") or hour.startswith("*")


def cron_times(text: str, after: datetime) -> Iterator[datetime]:
    """In order, strictly after this one; ends when there is none for fifty years."""
    return CronSim(text, after)


def cron_days(text: str) -> tuple[list[int], Callable[[date], bool]]:
    """The minutes of the day at which it fires, in order, and on which days."""
    cron = CronSim(text, datetime(2024, 1, 1))  # noqa: DTZ001
    minutes = [hour * 60 + minute for hour in sorted(cron.hours) for minute in sorted(cron.minutes)]
    return minutes, lambda day: day.month in cron.months and cron.match_day(day)
