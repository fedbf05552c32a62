"""The columns of Stripe's resources, from `stripe_columns.json`, which tools/columns.py generates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from counterfoil.columns.column import Column

#: Postgres cuts longer names.
NAME_BYTES = 63


@cache
def _generated() -> dict[str, Any]:
    generated: dict[str, Any] = json.loads(files(__package__).joinpath("stripe_columns.json").read_bytes())
    return generated


def api_version() -> str:
    """The version of Stripe's API whose objects the columns describe."""
    return str(_generated()["version"])


def declared(
    resource: str, *, money: Mapping[str, str] | None = None, also: tuple[Column, ...] = ()
) -> tuple[Column, ...]:
    """A resource's columns and then `also`, in order; each money column is followed by its `<name>_major`.

    `money` maps the name of an integer column to the name of the column that holds its currency; ValueError when one of
    them is not there.
    """
    rows = _generated()["resources"][resource]
    columns = [
        Column(name=name, type=kind, path=tuple(path.split(".")), derived=bool(flags))
        for name, kind, path, *flags in rows
    ]
    return with_money(resource, (*columns, *also), money or {})


def with_money(source: str, columns: tuple[Column, ...], money: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns with their descriptions, each money column followed by its `<name>_major`."""
    types = {column.name: column.type for column in columns}
    for name, currency in money.items():
        if types.get(name) != "integer" or types.get(currency) != "string":
            raise ValueError(f"{source}: {name} in {currency} is not an integer column beside a currency column")
    result = [each for column in columns for each in _twins(source, column, money.get(column.name))]
    names = [column.name for column in result]
    wrong = [name for name in names if names.count(name) > 1 or len(name.encode()) > NAME_BYTES]
    if wrong:
        raise ValueError(f"{source}: columns named twice or by too long a name: {', '.join(sorted(set(wrong)))}")
    return tuple(result)


def united(first: tuple[Column, ...], second: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns of two kinds of objects in one table: the first's, then what only the second has.

    ValueError when a name means two types.
    """
    theirs = {column.name: column for column in second}
    ours = [column.name for column in first]
    both = []
    for column in first:
        twin = theirs.get(column.name, column)
        if (twin.type, twin.path, twin.currency) != (column.type, column.path, column.currency):
            raise ValueError(f"{column.name} is {column.type} here and {twin.type} there")
        description = column.description if twin is column else f"{column.description}; {twin.description}"
        both.append(replace(column, description=description))
    return (*both, *(column for column in second if column.name not in ours))


def _twins(source: str, column: Column, currency: str | None) -> Iterator[Column]:
    path = ".".join((source, *column.path))
    if currency is None:
        yield column if column.description else replace(column, description=path + _unit(column))
        return
    yield replace(column, currency=currency, description=f"{path}, in minor units of {currency}")
    yield Column(
        name=f"{column.name}_major",
        type="major",
        path=column.path,
        currency=currency,
        derived=True,
        description=f"{path}, in major units of {currency}, exact",
    )


def _unit(column: Column) -> str:
    match column.type:
        case "timestamp":
            return ", in UTC"
        case "json":
            return ", as JSON"
        case "id":
            return ", the id"
        case "decimal" if column.name.endswith("amount_decimal"):
            return ", in minor units, with decimals"
        case _:
            return ""
