"""The types of schedules: frozen values that reject invalid fields. `fire_times` computes when they fire.

All times are whole minutes; weekdays are those of ISO 8601, 1 is Monday.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, date, datetime, time
from typing import Final, Literal, get_args

from counterfoil.errors import SettingsError
from counterfoil.schedules.cron import read_cron

Unit = Literal["minutes", "hours", "days", "weeks", "months"]
#: Units that count elapsed time; the others count days of the calendar in the zone.
ELAPSED: Final = ("minutes", "hours")
#: The default start for counting: a Monday and the first of a month.
FIRST_DAY: Final = date(2024, 1, 1)
YEARS: Final = range(1970, 2200)
LAST: Final = "last"


def _count(what: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise SettingsError(f"invalid {what}: {value!r}", hint=f"Use a whole number from {low} to {high}.")


def _minute(what: str, value: time) -> None:
    if value.second or value.microsecond or value.tzinfo is not None:
        raise SettingsError(f"invalid {what}: {value.isoformat()}", hint="Use a time of day in whole minutes.")


def _weekdays(days: Iterable[int]) -> tuple[int, ...]:
    days = tuple(days)
    for day in days:
        _count("weekday", day, 1, 7)
    if not days:
        raise SettingsError("the schedule has no weekday", hint="Add at least one, such as mon.")
    return tuple(sorted(set(days)))


def _anchor_year(year: int) -> None:
    if year not in YEARS:
        raise SettingsError(
            f"invalid start year: {year}",
            hint=f"Use a year from {YEARS[0]} to {YEARS[-1]}, such as in `from 2027-01-04`.",
        )


@dataclass(frozen=True, slots=True)
class Manual:
    """Runs only on request."""

    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Every:
    """Every n units from the anchor on, and never before it.

    Minutes and hours count elapsed time; days, weeks and months repeat the anchor's local time and day.
    """

    n: int
    unit: Unit
    _: KW_ONLY
    anchor: datetime = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    #: Active hours of the local day, including both ends; they may span midnight. Only for minutes and hours.
    between: tuple[time, time] | None = None
    #: Local weekdays on which it fires; None for all. Not for weeks and months.
    days: tuple[int, ...] | None = None
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise SettingsError(f"invalid unit: {self.unit!r}", hint=f"Use one of: {', '.join(get_args(Unit))}.")
        _count(f"number of {self.unit}", self.n, 1, 1_000_000)
        if self.anchor.tzinfo is None:
            raise SettingsError("the start of the schedule has no time zone", hint="Add the offset from UTC.")
        _anchor_year(self.anchor.year)
        object.__setattr__(self, "anchor", self.anchor.astimezone(UTC).replace(second=0, microsecond=0))
        if self.between is not None:
            if self.unit not in ELAPSED:
                raise SettingsError(f"active hours can't be used with {self.unit}", hint="Use minutes or hours.")
            for end in self.between:
                _minute("active hours", end)
        if self.days is not None:
            if self.unit in ("weeks", "months"):
                raise SettingsError(f"days with {self.unit} require times", hint="Add a time, such as at 06:00.")
            object.__setattr__(self, "days", _weekdays(self.days))


@dataclass(frozen=True, slots=True)
class Daily:
    """Every day."""


@dataclass(frozen=True, slots=True)
class Weekdays:
    """The given weekdays."""

    days: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "days", _weekdays(self.days))


@dataclass(frozen=True, slots=True)
class MonthDays:
    """Days of the month, which may include `last`. A month without the day is skipped."""

    days: tuple[int | Literal["last"], ...]

    def __post_init__(self) -> None:
        numbers = {day for day in self.days if day != LAST}
        for day in numbers:
            _count("day of the month", day, 1, 31)
        if not self.days:
            raise SettingsError("the schedule has no day of the month", hint="Add at least one, such as 1 or last.")
        last = (LAST,) if LAST in self.days else ()
        object.__setattr__(self, "days", (*sorted(numbers), *last))


@dataclass(frozen=True, slots=True)
class NthWeekday:
    """The nth weekday of the month; -1 is the last. A month without a fifth one is skipped."""

    n: int
    weekday: int

    def __post_init__(self) -> None:
        if self.n != -1:
            _count("position of the weekday in the month", self.n, 1, 5)
        _count("weekday", self.weekday, 1, 7)


Days = Daily | Weekdays | MonthDays | NthWeekday


@dataclass(frozen=True, slots=True)
class At:
    """At local times on the given days, from the anchor's day on."""

    times: tuple[time, ...]
    days: Days
    _: KW_ONLY
    #: Every nth day (`Daily`), week from Monday on (`Weekdays`) or month, counted from the anchor's.
    every: int = 1
    anchor: date = FIRST_DAY
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if not self.times:
            raise SettingsError("the schedule has no time", hint="Add at least one, such as 06:00.")
        for at in self.times:
            _minute("time", at)
        _count("interval", self.every, 1, 1000)
        _anchor_year(self.anchor.year)
        object.__setattr__(self, "times", tuple(sorted(set(self.times))))


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields: minute, hour, day of month, month, day of week, as cronsim (Debian's cron) reads them."""

    text: str
    _: KW_ONLY
    zone: str = "UTC"

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", read_cron(self.text))


Schedule = Manual | Every | At | Cron
