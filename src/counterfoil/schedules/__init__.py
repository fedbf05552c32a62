"""Schedules: values that define when a dataset is due, their instants, and their forms as phrases and as JSON.

Pure: no clock and no database. `docs/schedules.md` has the rules and examples.
"""

from counterfoil.schedules.fire_times import fires_per_month, instants, next_after, upcoming
from counterfoil.schedules.model import (
    At,
    Cron,
    Daily,
    Days,
    Every,
    Manual,
    MonthDays,
    NthWeekday,
    Schedule,
    Unit,
    Weekdays,
)
from counterfoil.schedules.phrases import describe, parse
from counterfoil.schedules.serialization import as_json, from_json
from counterfoil.schedules.validation import check

__all__ = [
    "At",
    "Cron",
    "Daily",
    "Days",
    "Every",
    "Manual",
    "MonthDays",
    "NthWeekday",
    "Schedule",
    "Unit",
    "Weekdays",
    "as_json",
    "check",
    "describe",
    "fires_per_month",
    "from_json",
    "instants",
    "next_after",
    "parse",
    "upcoming",
]
