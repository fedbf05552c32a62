"""Figures and differences of checks in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from counterfoil.columns.money import DIGITS
from counterfoil.proof.check import Check, counted

#: Figures that are instants, in Unix seconds.
_INSTANTS = frozenset({"as_of", "at", "before", "from", "since", "until", "window_until"})
#: Kept for later checks, or told by others.
_UNTOLD = frozenset({"snapshot", "warnings"})


def figure_words(check: Check) -> list[tuple[str, str]]:
    """A check's figures by name; amounts in major units."""
    told = ((name, value) for name, value in check.figures.items() if name not in _UNTOLD)
    figures = {name: value for name, value in told if value not in (None, [], {})}
    if check.family == "balance" and "currencies" in figures:
        return list(_balance(figures))
    if check.family == "payouts" and "payouts" in figures:
        return [(str(one["payout"]), _payout(one)) for one in figures["payouts"]]
    return [(name.replace("_", " "), _value(name, value)) for name, value in figures.items()]


def difference_words(difference: Mapping[str, Any]) -> str:
    """One difference: `id ch_1, fault differs: amount 100 in the table, 101 expected`."""
    fields = difference.get("fields", ())
    told = ", ".join(
        f"{_name(name)} {_amount(difference, name, value)}" for name, value in difference.items() if name != "fields"
    )
    changes = "; ".join(f"{one['column']} {_plain(one['table'])}, expected {_plain(one['expected'])}" for one in fields)
    return f"{told}: {changes}" if changes else told


def major(amount: int, currency: str) -> str:
    """`1,234.50 usd`; in minor units where nobody told the currency's digits."""
    digits = DIGITS.get(currency.lower())
    if digits is None:
        return f"{amount:,} (minor units) {currency}"
    return f"{Decimal(amount).scaleb(-digits):,.{digits}f} {currency}"


def units(currency: str) -> int:
    """Minor units of one major unit: 100 of usd, 1 of jpy; 1 too where nobody told the currency's digits."""
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
    """Paths of Stripe's stay as they are."""
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
    told = _value(key, value)
    return f"({told})" if isinstance(value, Mapping) else told


def _range(bounds: Sequence[Any]) -> str:
    since, until = ("" if bound is None else _instant(bound) for bound in bounds)
    return f"[{since} to {until})"


def _plain(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _instant(seconds: int | None) -> str:
    if seconds is None:
        return "unbounded"
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ").replace("+00:00", "Z")
