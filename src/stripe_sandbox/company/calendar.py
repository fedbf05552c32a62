"""Billing periods in UTC."""

from __future__ import annotations

from calendar import monthrange, timegm
from time import gmtime

DAY = 86400


def months_later(instant: int, months: int) -> int:
    """The same day and time N months later, or the last day of a shorter month."""
    at = gmtime(instant)
    month = at.tm_mon - 1 + months
    year, month = at.tm_year + month // 12, month % 12 + 1
    day = at.tm_mday if at.tm_mday <= 28 else min(at.tm_mday, monthrange(year, month)[1])
    return timegm((year, month, day, at.tm_hour, at.tm_min, at.tm_sec))


def growing(n: int, count: int, chance: float, since: int, span: int, power: float) -> int:
    """The time of the n-th of `count` occurrences, in order of n; with `power` below 1 their frequency grows."""
    return since + int(span * ((n + chance) / count) ** power)
