"""What a column is: name, type, path into Stripe's object, money or not. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

#: `id` is a string that Stripe may send as the object instead, when expanded.
#: `major` is a money column's amount in major units, DECIMAL(22,3); `decimal` a decimal string, DECIMAL(38,12).
ColumnType = Literal["string", "id", "integer", "double", "boolean", "timestamp", "json", "decimal", "major"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One declared column of a report's table."""

    name: str
    type: ColumnType
    #: Keys from the top of Stripe's object; empty for a system column.
    path: tuple[str, ...] = ()
    #: For money (`integer`) and its `major` twin: the name of the column that holds the currency.
    currency: str | None = None
    #: Repeats what a JSON column of the same report already holds, and is not needed to rebuild the object.
    derived: bool = False
    #: An earlier name of that column: it has the same values, and goes with the next version.
    copy_of: str = ""
    #: One line for the table's reader, in our own words; the generated default tells the path and the unit.
    description: str = ""


def with_earlier_name(column: Column, name: str) -> tuple[Column, Column]:
    """The column, and a copy under the name that it had in the version before."""
    description = f"Deprecated: the earlier name of {column.name}, removed in the next version"
    return column, replace(column, name=name, copy_of=column.name, derived=True, description=description)
