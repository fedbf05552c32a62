"""Formats the figures and differences of checks as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from counterfoil.columns.money import DIGITS
from counterfoil.proof.check import Check, counted

#: Figures that are instants, in Unix seconds.
_INSTANTS = frozenset({"as_of", "at", "before", "from", "since", "until", "window_until"})
#: Not shown: stored for later checks, or shown elsewhere.
_UNTOLD = frozenset({"snapshot", "warnings"})


def figure_words(check: Check) -> list[tuple[str, str]]:
    """A check's figures as pairs of name and text; amounts are in major units."""
    shown = ((name, value) for name, value in check.figures.items() if name not in _UNTOLD)
    figures = {name: value for name, value in shown if value not in (None, [], {})}
    if check.family == "balance" and "currencies" in figures:
        return list(_balance(figures))
    if check.family == "payouts" and "payouts" in figures:
        return [(str(one["payout"]), _payout(one)) for one in figures["payouts"]]
    return [(name.replace("_", " "), _value(name, value)) for name, value in figures.items()]


def difference_words(difference: Mapping[str, Any]) -> str:
    """One difference as text: `fault different, id ch_1: amount 100, expected 101`."""
    fields = difference.get("fields", ())
    values = ", ".join(
        f"{_name(name)} {_amount(difference, name, value)}" for name, value in difference.items() if name != "fields"
    )
    changes = "; ".join(f"{one['column']} {_plain(one['table'])}, expected {_plain(one['expected'])}" for one in fields)
    return f"{values}: {changes}" if changes else values


def major(amount: int, currency: str) -> str:
    """`1,234.50 usd`; in minor units if the currency's number of digits is unknown."""
    digits = DIGITS.get(currency.lower())
    if digits is None:
        return f"{amount:,} (minor units) {currency}"
    return f"{Decimal(amount).scaleb(-digits):,.{digits}f} {currency}"


def units(currency: str) -> int:
    """Minor units per major unit: 100 for usd, 1 for jpy; also 1 if the currency's number of digits is unknown."""
    return int(10 ** DIGITS.get(currency.lower(), 0))


def _balance(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for code, sums in figures["currencies"].items():
        yield code, f"{major(sums['table'], code)} in the table, {major(sums['stripe'], code)} at Stripe"
    yield "before", _instant(figures["before"])
    if "since" in figures:
        yield "since", _instant(figures["since"])
    for place, amounts in figures.get("told", {}).items():
        yield f"Stripe's {place}", ", ".join(major(amount, code) for code, amount in amounts.items())
    for kind, amounts in figures.get("not_added", {}).items():
        yield f"{kind} in the table", ", ".join(major(amount, code) for code, amount in amounts.items())


def _payout(one: Mapping[str, Any]) -> str:
    movements = major(one["movements_minor"], one["currency"])
    return f"{major(one['amount_minor'], one['currency'])}, {counted(one['movements'], 'movement')} of {movements}"


def _amount(difference: Mapping[str, Any], name: str, value: Any) -> str:
    currency = difference.get("currency")
    if name.endswith("_minor") and isinstance(currency, str) and isinstance(value, int):
        return major(value, currency)
    return _value(name, value)


def _name(name: str) -> str:
    return name.removesuffix("_minor").replace("_", " ")


def _key(name: str) -> str:
    """The name as text; API paths are unchanged."""
    return name if "/" in name else _name(name)


def _value(name: str, value: Any) -> str:
    match value:
        case None if name in _INSTANTS:
            return "unbounded"
        case bool() | None:
            return _plain(value)
        case int() if name in _INSTANTS:
            return _instant(value)
        case int() if name != "seed":
            return f"{value:,}"
        case Mapping():
            return ", ".join(f"{_key(str(key))} {_nested(str(key), each)}" for key, each in value.items())
        case str():
            return value
        case Sequence():
            return ", ".join(_range(each) if isinstance(each, list) else _value(name, each) for each in value)
        case _:
            return _plain(value)


def _nested(key: str, value: Any) -> str:
    text = _value(key, value)
    return f"({text})" if isinstance(value, Mapping) else text


def _range(bounds: Sequence[Any]) -> str:
    since, until = ("" if bound is None else _instant(bound) for bound in bounds)
    return f"[{since} to {until})"


def _plain(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _instant(seconds: int | None) -> str:
    if seconds is None:
        return "unbounded"
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ").replace("+00:00", "Z")
