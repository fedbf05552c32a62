"""Values of tables as cells: what each shows, how, and whether there is more of it than is shown."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from markupsafe import Markup

from counterfoil.app.datasets.columns import DatasetColumn
from counterfoil.web import formatting

Kind = Literal["null", "number", "instant", "json", "flag", "text"]
#: Characters of a text or of JSON that a cell shows.
SHOWN = 90


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as it is shown. `more`: the whole of it is longer."""

    kind: Kind
    text: str | Markup
    title: str | None = None
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Where a column's currency is, and whether its amounts are in major units."""

    currency: str
    major: bool


def cell(value: Any, *, is_json: bool = False, money: Money | None = None, currency: str | None = None) -> Cell:
    """The cell of a value; `currency` is that of its row. Minor units stay, and tell the amount on hover."""
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
    """All of a value, as text that can be copied; JSON over several lines."""
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
    """Rows as cells; amounts have their currency where it is among the columns."""
    places = {name: index for index, name in enumerate(columns)}
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
    """Whether Arrow's name of a type is one of numbers."""
    return kind.startswith(("int", "uint", "float", "double", "decimal", "halffloat"))


def _number(value: float | Decimal, money: Money | None, currency: str | None) -> Cell:
    if money is None or isinstance(value, float):
        return Cell("number", _decimal(value) if isinstance(value, Decimal) else formatting.number(value))
    told = formatting.money(value, currency)
    return Cell("number", told) if money.major else Cell("number", formatting.number(value), told)


def _decimal(value: Decimal) -> str:
    """Exact and never with an exponent; of the zeros at its end, those that make two digits stay."""
    text = formatting.number(value) if not value.is_finite() else f"{value:,f}".replace("-", "−")
    whole_part, point, digits = text.partition(".")
    return whole_part + point + digits.rstrip("0").ljust(min(2, len(digits)), "0")


def _shortened(kind: Kind, text: str) -> Cell:
    line = " ".join(text[: 4 * SHOWN].split()) if kind == "text" else text
    if not text:
        return Cell("null", '""', "An empty text")
    more = len(text) > SHOWN or line != text
    return Cell(kind, line[:SHOWN] + "…" if len(line) > SHOWN else line, None, more)
