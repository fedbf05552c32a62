"""Conversions between instants and the local times of a time zone, and the changes of its offset."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from counterfoil.errors import SettingsError

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


class Stretch(NamedTuple):
    """Half-open `[start, end)` in UTC during which the zone's offset does not change."""

    start: datetime
    end: datetime
    offset: timedelta


@lru_cache(maxsize=1024)
def zone_info(name: str) -> ZoneInfo:
    """The zone of an IANA name; SettingsError suggests others if it does not exist."""
    # Compared with the list of names first, because some file systems ignore the case of letters and others do not.
    if name not in _zone_names():
        raise SettingsError(f"time zone {name!r} not found", hint=_suggestion(name))
    return ZoneInfo(name)


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def _suggestion(name: str) -> str:
    """A hint with zones that have a similar name or city."""
    wanted = name.strip().lower().replace(" ", "_")
    known: dict[str, str] = {}
    for zone in sorted(_zone_names()):
        known.setdefault(zone.rsplit("/", 1)[-1].lower(), zone)
        known[zone.lower()] = zone
    close = [known[match] for match in get_close_matches(wanted, known, n=6, cutoff=0.75)]
    if not close:
        return "Use a name of the IANA time zone database, such as Europe/Berlin or UTC."
    return f"Did you mean {' or '.join(list(dict.fromkeys(close))[:3])}?"


@lru_cache(maxsize=1024)
def _changes(zone: ZoneInfo, year: int) -> tuple[datetime, ...]:
    """The changes of the zone's offset in a UTC year, excluding its first instant and including its end."""
    found = []
    day, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    offset = _offset(day, zone)
    while day < end:
        tomorrow = day + DAY
        following = _offset(tomorrow, zone)
        if following != offset:
            found.append(_change(zone, day, tomorrow))
        day, offset = tomorrow, following
    return tuple(found)


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    offset = _offset(before, zone)
    while after - before > SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        before, after = (middle, after) if _offset(middle, zone) == offset else (before, middle)
    return after


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def stretches(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Stretch]:
    """The stretches of `[start, end)`, in order and without gaps."""
    for year in range(start.year, end.year + 1):
        for change in _changes(zone, year):
            if start < change < end:
                yield Stretch(start, change, _offset(start, zone))
                start = change
    if start < end:
        yield Stretch(start, end, _offset(start, zone))


def wall_clock(instant: datetime, zone: ZoneInfo) -> datetime:
    """The local time in the zone, without a zone."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC) at which the zone's clocks first show or pass this time.

    For a time that exists twice, the first instant; for a time that a change skips, the instant of the change. A later
    time is therefore never an earlier instant.
    """
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if wall_clock(instant, zone) == local:
        return instant
    # In a gap, fold 0 is after the change and fold 1 before it (PEP 495).
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    changes = (change for year in {before.year, instant.year} for change in _changes(zone, year))
    return next(change for change in changes if before < change <= instant)
