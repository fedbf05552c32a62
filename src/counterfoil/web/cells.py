"""Values of tables as cells: text, style, and whether the text is shortened."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from markupsafe import Markup

from counterfoil.app.currencies import CURRENCY_DIGITS
from counterfoil.app.datasets.columns import DatasetColumn
from counterfoil.web import formatting

Kind = Literal["null", "number", "instant", "json", "flag", "text"]
#: Characters of a text or of JSON that a cell shows.
SHOWN = 90


@dataclass(frozen=True, slots=True)
class Cell:
    """A displayed value. `more`: the full value is longer than `text`."""

    kind: Kind
    text: str | Markup
    title: str | None = None
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """The column that holds an amount's currency, and whether the amount is in major units."""

    currency: str
    major: bool | None


#: A number of a query's result that may be an amount in major units.
UNMARKED = Money(currency="currency", major=None)


def cell(value: Any, *, is_json: bool = False, money: Money | None = None, currency: str | None = None) -> Cell:
    """The cell of a value; `currency` is the currency of its row. Minor units show the major amount on hover."""
    match value:
        case None:
            return Cell("null", "null")
        case bool():
            return Cell("flag", "true" if value else "false")
        case int() | Decimal() | float():
            return _number(value, money, currency)
        case datetime():
            return Cell("instant", formatting.instant(value, seconds=True) if value.tzinfo else value.isoformat(" "))
        case date():
            return Cell("instant", value.isoformat())
        case dict() | list() | tuple():
            return _shortened("json", json.dumps(value, default=str, ensure_ascii=False))
        case bytes():
            return _shortened("text", value.hex())
    return _shortened("json" if is_json else "text", str(value))


def whole(value: Any) -> str:
    """The full value as text to copy; JSON is indented."""
    if value is None:
        return "null"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False, indent=2)
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.dumps(json.loads(value), ensure_ascii=False, indent=2)
        except ValueError:
            return value
    return str(value)


def money_of(columns: Iterable[DatasetColumn]) -> dict[str, Money]:
    """The amounts among a dataset's columns."""
    return {one.name: Money(currency=one.currency, major=one.major) for one in columns if one.currency}


def cells_of(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    json_columns: Collection[str] = (),
    money: Mapping[str, Money] | None = None,
) -> list[list[Cell]]:
    """Rows as cells; amounts show their currency if `columns` includes the currency column.

    Without `money`, as for results of queries, decimals have the digits of the column `currency`, if there is one.
    """
    places = {name: index for index, name in enumerate(columns)}
    if money is None and "currency" in places:
        money = dict.fromkeys(columns, UNMARKED)
    amounts = {name: one for name, one in (money or {}).items() if one.currency in places}
    looks = [
        (name in json_columns, amounts.get(name), places[amounts[name].currency] if name in amounts else None)
        for name in columns
    ]
    return [
        [
            cell(value, is_json=is_json, money=of, currency=None if place is None else row[place])
            for value, (is_json, of, place) in zip(row, looks, strict=True)
        ]
        for row in rows
    ]


def is_number(kind: str) -> bool:
    """Whether an Arrow type name is numeric."""
    return kind.startswith(("int", "uint", "float", "double", "decimal", "halffloat"))


def _number(value: float | Decimal, money: Money | None, currency: str | None) -> Cell:
    if money is None or money.major is None or isinstance(value, float):
        digits = 2 if money is None else CURRENCY_DIGITS.get(str(currency).lower(), 2)
        return Cell("number", _decimal(value, digits) if isinstance(value, Decimal) else formatting.number(value))
    text = formatting.money(value, currency)
    return Cell("number", text) if money.major else Cell("number", formatting.number(value), text)


def _decimal(value: Decimal, least: int) -> str:
    """Exact and without an exponent; trailing zeros are cut down to `least` digits after the point."""
    text = formatting.number(value) if not value.is_finite() else f"{value:,f}".replace("-", "−")
    whole_part, point, digits = text.partition(".")
    digits = digits.rstrip("0").ljust(min(least, len(digits)), "0")
    return whole_part + point * bool(digits) + digits


def _shortened(kind: Kind, text: str) -> Cell:
    line = " ".join(text[: 4 * SHOWN].split()) if kind == "text" else text
    if not text:
        return Cell("null", '""', "Empty text")
    more = len(text) > SHOWN or line != text
    return Cell(kind, line[:SHOWN] + "…" if len(line) > SHOWN else line, None, more)
