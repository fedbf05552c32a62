"""Schedules as English phrases, which the command line accepts and the program shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Final, Literal, cast

from counterfoil.errors import SettingsError
from counterfoil.schedules.model import (
    ELAPSED,
    FIRST_DAY,
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
    Unit,
    Weekdays,
)
from counterfoil.schedules.time_zones import first_instant, wall_clock, zone_info

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ORDINALS: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
WORKDAYS: Final = (1, 2, 3, 4, 5)
EXAMPLES: Final = (
    "every 30 minutes",
    "every 2 hours between 08:00 and 18:00",
    "daily at 06:00, 18:00",
    "weekdays at 07:30",
    "weekly on mon,thu at 09:00",
    "monthly on 1,15,last at 06:00",
    "monthly on first monday at 06:00",
    "cron 0 6 * * *",
    "manual",
)

_DAY = r"(?:mon|tue(?:s)?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_CLOCK = r"\d{1,2}:\d{2}"
_FORM = re.compile(
    r"(?:(?P<word>daily|weekly|monthly)|every (?:(?P<n>\d{1,9}) )?(?P<unit>minute|hour|day|week|month)s?)"
    r"(?: on (?P<on>.+?))?"
    rf"(?: between (?P<opens>{_CLOCK}) and (?P<closes>{_CLOCK}))?"
    r"(?: at (?P<at>.+?))?"
    r"(?: from (?P<start>\S+(?: \d\S*)?))?"
)
#: Short forms, and the phrases that the form above accepts for them.
_SHORT: Final = (
    (re.compile(r"at (?=\d)"), "daily at "),
    (re.compile(r"(?:every )?weekdays?\b(?! on)"), "weekly on weekdays"),
    (re.compile(r"(?:every )?weekends?\b(?! on)"), "weekly on weekends"),
    (re.compile(rf"every (?={_DAY}\b)"), "weekly on "),
)
_UNITS: Final = {"daily": "days", "weekly": "weeks", "monthly": "months"}


def parse(text: str, zone: str = "UTC", *, anchor: datetime | None = None) -> Schedule:
    """The schedule of a phrase; `in Europe/Berlin` at its end overrides `zone`.

    A phrase that counts without a start counts from `anchor`. Without an anchor, it counts from Monday, 1 January 2024,
    at midnight or at the start of the active hours. SettingsError names the invalid part.
    """
    words = " ".join(text.split())
    if match := re.fullmatch(r"(.+) in (\S+)", words, re.IGNORECASE):
        words, zone = match[1], match[2]
    zone_info(zone)
    if words.lower() == "manual":
        return Manual(zone=zone)
    if match := re.fullmatch(r"cron (.+)", words, re.IGNORECASE):
        return Cron(match[1], zone=zone)
    words = words.lower()
    for short, long in _SHORT:
        words = re.sub(rf"^{short.pattern}", long, words)
    form = _FORM.fullmatch(words)
    if form is None:
        raise _refusal(f"invalid schedule: {text!r}", *EXAMPLES)
    parts = form.groupdict()
    unit = cast("Unit", _UNITS.get(parts["word"]) or f"{parts['unit']}s")
    if parts["at"] is None and parts["word"] is None:
        return _every(parts, unit, zone, anchor)
    return _at(parts, unit, zone, anchor)


def _every(parts: dict[str, str | None], unit: Unit, zone: str, anchor: datetime | None) -> Every:
    between = (_clock(parts["opens"]), _clock(parts["closes"])) if parts["opens"] and parts["closes"] else None
    if parts["on"] and unit in ("weeks", "months"):
        raise _refusal("the schedule has no time", "every 2 weeks on mon at 09:00")
    start = _start(parts["start"], zone, between) if parts["start"] else anchor or _default_anchor(zone, between)
    days = _weekdays(parts["on"]) if parts["on"] else None
    return Every(int(parts["n"] or 1), unit, anchor=start, between=between, days=days, zone=zone)


def _at(parts: dict[str, str | None], unit: Unit, zone: str, anchor: datetime | None) -> At:
    if unit in ELAPSED:
        raise _refusal(f"times of day can't be used with {unit}", f"every 30 {unit} from 2027-01-04 08:15")
    if parts["opens"]:
        raise _refusal("active hours require minutes or hours", "every 2 hours between 08:00 and 18:00")
    if parts["at"] is None:
        raise _refusal("the schedule has no time", "daily at 06:00, 18:00")
    every = int(parts["n"] or 1)
    if parts["start"]:
        start = wall_clock(_start(parts["start"], zone, None), zone_info(zone)).date()
    elif anchor is not None and every > 1:
        start = wall_clock(anchor, zone_info(zone)).date()
    else:
        start = FIRST_DAY
    times = tuple(_clock(at) for at in _listed(parts["at"]))
    return At(times, _days(unit, parts["on"]), every=every, anchor=start, zone=zone)


def _days(unit: Unit, named: str | None) -> Days:
    if unit == "days":
        if named:
            raise _refusal("weekdays can't be used with daily", "weekly on mon,thu at 09:00")
        return Daily()
    if named is None:
        raise _refusal("the schedule has no days", "weekly on mon at 09:00", "monthly on 1 at 09:00")
    if unit == "weeks":
        return Weekdays(_weekdays(named))
    if match := re.fullmatch(rf"(?:the )?(\S+) ({_DAY})", named):
        if match[1] not in ORDINALS and not re.fullmatch("1st|2nd|3rd|4th|5th", match[1]):
            raise _refusal(f"a month has no {match[1]} weekday", "monthly on first monday at 06:00")
        return NthWeekday(ORDINALS.get(match[1]) or int(match[1][0]), _weekday(match[2]))
    return MonthDays(tuple(_month_day(day) for day in _listed(named)))


def _listed(text: str) -> list[str]:
    """The parts between commas or `and`."""
    return re.split(r" ?, ?(?:and )?| and ", text)


def _weekdays(text: str) -> tuple[int, ...]:
    sets = {"weekdays": WORKDAYS, "weekends": (6, 7)}
    return tuple(day for word in _listed(text) for day in sets.get(word) or (_weekday(word),))


def _weekday(word: str) -> int:
    for number, name in enumerate(WEEKDAYS, 1):
        if len(word) > 2 and name.lower().startswith(word):
            return number
    raise _refusal(f"invalid day of the week: {word!r}", "weekly on mon,thu at 09:00")


def _month_day(word: str) -> int | Literal["last"]:
    match = re.fullmatch(r"(?:the )?(?:day )?(?:(\d{1,2})(?:st|nd|rd|th)?|last)(?: day)?", word)
    if match is None:
        raise _refusal(f"invalid day of the month: {word!r}", "monthly on 1,15,last at 06:00")
    return int(match[1]) if match[1] else LAST


def _clock(word: str | None) -> time:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", word or "")
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise _refusal(f"invalid time of day: {word!r}", "daily at 06:00, 18:00")
    return time(int(match[1]), int(match[2]))


def _default_anchor(zone: str, between: tuple[time, time] | None) -> datetime:
    return first_instant(datetime.combine(FIRST_DAY, between[0] if between else time()), zone_info(zone))


def _start(text: str, zone: str, between: tuple[time, time] | None) -> datetime:
    """The instant of a local date or time in the zone, or of a time with an offset."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            start = datetime.combine(date.fromisoformat(text), between[0] if between else time())
        else:
            start = datetime.fromisoformat(text.upper())
        return first_instant(start, zone_info(zone)) if start.tzinfo is None else start.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _refusal(f"invalid start: {text!r}", "every 5 hours from 2027-01-04 08:00") from error


def _refusal(problem: str, *examples: str) -> SettingsError:
    return SettingsError(problem, hint=f"Use, for example: {', '.join(f'`{example}`' for example in examples)}.")


def describe(schedule: Schedule) -> str:
    """A phrase such as `weekdays at 07:30 in Europe/Berlin`, which `parse` reads as the same schedule."""
    match schedule:
        case Manual():
            return "manual"
        case Every():
            phrase = _every_words(schedule)
        case At():
            phrase = f"{_days_words(schedule)} at {_joined([f'{at:%H:%M}' for at in schedule.times])}"
            if schedule.anchor != FIRST_DAY:
                phrase += f" from {schedule.anchor.isoformat()}"
        case Cron():
            phrase = f"cron {schedule.text}"
    return f"{phrase} in {schedule.zone}"


def _every_words(every: Every) -> str:
    phrase = f"every {_counted(every.n, every.unit)}"
    if every.days is not None:
        phrase += f" on {_weekday_words(every.days)}"
    if every.between is not None:
        phrase += f" between {every.between[0]:%H:%M} and {every.between[1]:%H:%M}"
    if every.anchor != _default_anchor(every.zone, every.between):
        phrase += f" from {_start_words(every)}"
    return phrase


def _start_words(every: Every) -> str:
    zone = zone_info(every.zone)
    local = wall_clock(every.anchor, zone)
    if first_instant(local, zone) == every.anchor:
        return f"{local:%Y-%m-%d %H:%M}"
    return every.anchor.astimezone(zone).isoformat(timespec="minutes")


def _days_words(at: At) -> str:
    match at.days:
        case Daily():
            return "daily" if at.every == 1 else f"every {at.every} days"
        case Weekdays():
            if at.every > 1:
                return f"every {at.every} weeks on {_weekday_words(at.days.days)}"
            if at.days.days == WORKDAYS:
                return "weekdays"
            return f"weekly on {_weekday_words(at.days.days)}"
        case _:
            often = "monthly" if at.every == 1 else f"every {at.every} months"
            return f"{often} on {_month_words(at.days)}"


def _month_words(days: MonthDays | NthWeekday) -> str:
    if isinstance(days, NthWeekday):
        ordinal = next(word for word, n in ORDINALS.items() if n == days.n)
        return f"the {ordinal} {WEEKDAYS[days.weekday - 1]}"
    return "the " + _joined([f"{day} day" if day == LAST else _ordinal(day) for day in days.days])


def _ordinal(n: int) -> str:
    return f"{n}{'th' if n in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def _weekday_words(days: Sequence[int]) -> str:
    if tuple(days) == WORKDAYS:
        return "weekdays"
    return _joined([WEEKDAYS[day - 1] for day in days])


def _counted(n: int, unit: str) -> str:
    return unit.removesuffix("s") if n == 1 else f"{n} {unit}"


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
