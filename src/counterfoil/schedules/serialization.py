"""Schedules as JSON objects with a version, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any

from counterfoil.errors import SettingsError
from counterfoil.schedules.model import At, Cron, Daily, Days, Every, Manual, MonthDays, NthWeekday, Schedule, Weekdays

VERSION = 1


def as_json(schedule: Schedule) -> dict[str, Any]:
    """The schedule as strings, whole numbers, lists and nulls; equal schedules give equal dicts."""
    return {"version": VERSION, "zone": schedule.zone, **_fields(schedule)}


def from_json(saved: Mapping[str, Any]) -> Schedule:
    """The saved schedule; SettingsError if it has another version, is damaged or has unknown fields."""
    if saved.get("version") != VERSION:
        raise SettingsError(
            f"the schedule was saved in version {saved.get('version')!r}, but this program reads {VERSION}",
            hint="Install the version of counterfoil that saved it, or a newer one.",
        )
    try:
        schedule = _KINDS[saved["kind"]](saved)
        if as_json(schedule).keys() != saved.keys():
            raise ValueError(f"invalid fields: {', '.join(saved)}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingsError(
            f"the saved schedule can't be read: {error}", hint="Set the schedule of the dataset again."
        ) from error
    return schedule


def _fields(schedule: Schedule) -> dict[str, Any]:
    match schedule:
        case Manual():
            return {"kind": "manual"}
        case Every():
            return {
                "kind": "every",
                "n": schedule.n,
                "unit": schedule.unit,
                "anchor": schedule.anchor.isoformat(),
                "between": [_clock(end) for end in schedule.between] if schedule.between else None,
                "days": list(schedule.days) if schedule.days else None,
            }
        case At():
            return {
                "kind": "at",
                "times": [_clock(at) for at in schedule.times],
                "days": _days(schedule.days),
                "every": schedule.every,
                "anchor": schedule.anchor.isoformat(),
            }
        case Cron():
            return {"kind": "cron", "text": schedule.text}


def _days(days: Days) -> dict[str, Any]:
    match days:
        case Daily():
            return {"kind": "daily"}
        case Weekdays():
            return {"kind": "weekdays", "days": list(days.days)}
        case MonthDays():
            return {"kind": "month_days", "days": list(days.days)}
        case NthWeekday():
            return {"kind": "nth_weekday", "n": days.n, "weekday": days.weekday}


def _every(saved: Mapping[str, Any]) -> Every:
    between, days = saved["between"], saved["days"]
    if between is not None:
        opens, closes = between
        between = (time.fromisoformat(opens), time.fromisoformat(closes))
    return Every(
        saved["n"],
        saved["unit"],
        anchor=datetime.fromisoformat(saved["anchor"]),
        between=between,
        days=None if days is None else tuple(days),
        zone=_zone(saved),
    )


def _at(saved: Mapping[str, Any]) -> At:
    return At(
        tuple(time.fromisoformat(at) for at in saved["times"]),
        _DAYS[saved["days"]["kind"]](saved["days"]),
        every=saved["every"],
        anchor=date.fromisoformat(saved["anchor"]),
        zone=_zone(saved),
    )


def _zone(saved: Mapping[str, Any]) -> str:
    zone = saved["zone"]
    if not isinstance(zone, str):
        raise TypeError(f"invalid zone: {zone!r}")
    return zone


def _clock(at: time) -> str:
    return f"{at:%H:%M}"


_DAYS: Mapping[str, Callable[[Mapping[str, Any]], Days]] = {
    "daily": lambda _: Daily(),
    "weekdays": lambda saved: Weekdays(tuple(saved["days"])),
    "month_days": lambda saved: MonthDays(tuple(saved["days"])),
    "nth_weekday": lambda saved: NthWeekday(saved["n"], saved["weekday"]),
}
_KINDS: Mapping[str, Callable[[Mapping[str, Any]], Schedule]] = {
    "manual": lambda saved: Manual(zone=_zone(saved)),
    "every": _every,
    "at": _at,
    "cron": lambda saved: Cron(saved["text"], zone=_zone(saved)),
}
