"""What a schedule is: frozen values that refuse nonsense. When they fire is told by `schedule_instants`.

All times are whole minutes; weekdays are ISO's, 1 is Monday.
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
#: A Monday and the first of a month: what is counted from when nothing else is said.
FIRST_DAY: Final = date(2024, 1, 1)
YEARS: Final = range(1970, 2200)
LAST: Final = "last"


def _count(what: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise SettingsError(f"{what} is {value!r}", hint=f"Give a whole number from {low} to {high}.")


def _minute(what: str, value: time) -> None:
    if value.second or value.microsecond or value.tzinfo is not None:
        raise SettingsError(f"{what} is {value.isoformat()}", hint="Give a time of the day in whole minutes.")


def _weekdays(days: Iterable[int]) -> tuple[int, ...]:
    days = tuple(days)
    for day in days:
        _count("A weekday", day, 1, 7)
    if not days:
        raise SettingsError("The schedule names no weekday", hint="Name at least one, such as mon.")
    return tuple(sorted(set(days)))


def _anchor_year(year: int) -> None:
    if year not in YEARS:
        raise SettingsError(
            f"The schedule counts from the year {year}",
            hint=f"Count from {YEARS[0]} to {YEARS[-1]}, such as from 2027-01-04.",
        )


@dataclass(frozen=True, slots=True)
class Manual:
    """Runs only when someone says so."""

    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Every:
    """Every n units from the anchor on: never before it.

    Minutes and hours count elapsed time; days, weeks and months repeat the anchor's local time and day.
    """

    n: int
    unit: Unit
    _: KW_ONLY
    anchor: datetime = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    #: Active hours of the local day, both ends included; they may pass midnight. Minutes and hours only.
    between: tuple[time, time] | None = None
    #: Local weekdays on which it fires; None is all. Not with weeks and months.
    days: tuple[int, ...] | None = None
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise SettingsError(f"The schedule counts {self.unit!r}", hint=f"Count {', '.join(get_args(Unit))}.")
        _count(f"The number of {self.unit}", self.n, 1, 1_000_000)
        if self.anchor.tzinfo is None:
            raise SettingsError("The schedule's first time has no time zone", hint="Give it with its offset from UTC.")
        _anchor_year(self.anchor.year)
        object.__setattr__(self, "anchor", self.anchor.astimezone(UTC).replace(second=0, microsecond=0))
        if self.between is not None:
            if self.unit not in ELAPSED:
                raise SettingsError(f"Active hours do not go with {self.unit}", hint="They go with minutes and hours.")
            for end in self.between:
                _minute("An end of the active hours", end)
        if self.days is not None:
            if self.unit in ("weeks", "months"):
                raise SettingsError(f"Days do not go with {self.unit} alone", hint="Add the times, such as at 06:00.")
            object.__setattr__(self, "days", _weekdays(self.days))


@dataclass(frozen=True, slots=True)
class Daily:
    """Each day."""


@dataclass(frozen=True, slots=True)
class Weekdays:
    """The weekdays named."""

    days: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "days", _weekdays(self.days))


@dataclass(frozen=True, slots=True)
class MonthDays:
    """Days of the month, `last` among them. A month without the day is left out."""

    days: tuple[int | Literal["last"], ...]

    def __post_init__(self) -> None:
        numbers = {day for day in self.days if day != LAST}
        for day in numbers:
            _count("A day of the month", day, 1, 31)
        if not self.days:
            raise SettingsError("The schedule names no day of the month", hint="Name at least one, such as 1 or last.")
        last = (LAST,) if LAST in self.days else ()
        object.__setattr__(self, "days", (*sorted(numbers), *last))


@dataclass(frozen=True, slots=True)
class NthWeekday:
    """The nth weekday of the month, -1 being the last. A month without a fifth one is left out."""

    n: int
    weekday: int

    def __post_init__(self) -> None:
        if self.n != -1:
            _count("The weekday's number in the month", self.n, 1, 5)
        _count("A weekday", self.weekday, 1, 7)


Days = Daily | Weekdays | MonthDays | NthWeekday


@dataclass(frozen=True, slots=True)
class At:
    """At local times of the days that `days` tells, on the anchor's day at the earliest."""

    times: tuple[time, ...]
    days: Days
    _: KW_ONLY
    #: Each nth day (`Daily`), week from Monday on (`Weekdays`) or month, counted from the one that holds the anchor.
    every: int = 1
    anchor: date = FIRST_DAY
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if not self.times:
            raise SettingsError("The schedule names no time", hint="Name at least one, such as 06:00.")
        for at in self.times:
            _minute("A time of the schedule", at)
        _count("The schedule's step", self.every, 1, 1000)
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
