"""Formats values for the page: numbers, money, instants, durations, sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from markupsafe import Markup, escape

from counterfoil.app.currencies import CURRENCY_DIGITS

#: Shown for a missing value.
NONE = "–"
_DURATIONS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_AGES = (("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3_600), ("minute", 60))
_SIZES = ("B", "kB", "MB", "GB", "TB")
#: A word of prose; options, file names, URLs and names of columns contain other characters.
_WORD = re.compile(r"[a-z][a-z'’-]*(?=[,;:.]?(?:\s|$))")


def number(value: float | Decimal | None, digits: int | None = None) -> str:
    """`1,234,567`, with `digits` digits after the point and a typographic minus sign."""
    if value is None:
        return NONE
    text = f"{value:,}" if digits is None else f"{value:,.{digits}f}"
    return text.replace("-", "−")


def money(amount: int | Decimal | None, currency: str | None, *, digits: Mapping[str, int] = CURRENCY_DIGITS) -> str:
    """`1,234.50 USD`, from an int in minor units or a Decimal in major units.

    Without a currency only the number; for an unknown currency the number with "minor units".
    """
    if amount is None:
        return NONE
    if currency is None:
        return number(amount)
    places = digits.get(currency.lower())
    if isinstance(amount, int):
        if places is None:
            return f"{number(amount)} minor units {currency.upper()}"
        amount = Decimal(amount).scaleb(-places)
    return f"{number(amount, places)} {currency.upper()}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number(count)} {noun if count == 1 else plural or noun + 's'}"


def sentence_case(text: str | None) -> str:
    """The text with a capital first letter; unchanged if it starts with an option, a quote, a digit or a name."""
    text = text or ""
    return text[:1].upper() + text[1:] if _WORD.match(text) else text


def breakable(name: str) -> Markup:
    """The name of a column or a path, with line breaks allowed after dots and underscores."""
    return Markup(re.sub(r"(?<=[._])(?=[^._])", "<wbr>", str(escape(name))))  # noqa: S704 - escaped before


def instant(at: datetime | None, seconds: bool = False) -> Markup | str:
    """A `<time>` in UTC; a script converts it to the browser's zone and keeps UTC in the title."""
    if at is None:
        return NONE
    shown = _utc(at, seconds)
    kind = "second" if seconds else "minute"
    return Markup('<time datetime="{}" title="{}" data-local="{}">{}</time>').format(_iso(at), shown, kind, shown)


def ago(at: datetime | None, now: datetime | None = None) -> Markup | str:
    """`3 minutes ago`, `in 2 hours`, as a `<time>` that a script updates."""
    if at is None:
        return NONE
    text = _distance((at - (now or datetime.now(UTC))).total_seconds())
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(_iso(at), _utc(at, seconds=True), text)


def duration(value: float | timedelta | None) -> str:
    """A duration in seconds as `820 ms`, `45 s`, `1 min 12 s`, `2 h 3 min` or `3 d 4 h`."""
    if value is None:
        return NONE
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for name, unit in _DURATIONS:
        count, left = divmod(left, unit)
        if count or parts:
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count)


def size(value: int | None) -> str:
    """A number of bytes in units of 1000: `820 B`, `3.4 MB`."""
    if value is None:
        return NONE
    amount, unit = float(value), 0
    while round(amount, 1) >= 1000 and unit < len(_SIZES) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{value} B" if unit == 0 else f"{amount:,.1f} {_SIZES[unit]}"


def _distance(seconds: float) -> str:
    """Whole units, in the largest unit that fits; `static/app.js` formats the same way."""
    away = abs(seconds)
    for name, unit in _AGES:
        if away >= unit:
            text = counted(int(away // unit), name)
            return f"{text} ago" if seconds < 0 else f"in {text}"
    return "just now" if seconds <= 0 else "in less than a minute"


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _utc(at: datetime, seconds: bool) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M{':%S' if seconds else ''}} UTC"
