"""A column: name, type, path in Stripe's object, and currency."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

#: `id` is a string, or the object itself if Stripe expanded it.
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
    #: Whether the values are also in a JSON column of the report, so that they are not needed to rebuild the object.
    derived: bool = False
    #: The name of the column that this one copies under an earlier name. Removed in the next version.
    copy_of: str = ""
    #: One line for users of the table. The generated default is the path and the unit.
    description: str = ""


def with_earlier_name(column: Column, name: str) -> tuple[Column, Column]:
    """The column, and a copy under its name in the previous version."""
    description = f"Deprecated: earlier name of {column.name}, removed in the next version"
    return column, replace(column, name=name, copy_of=column.name, derived=True, description=description)
