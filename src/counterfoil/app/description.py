"""What a report's rows will be: known without a key, before Stripe is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Description", "describe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A report of the catalogue, with the schema that `Connection.read` gives its rows."""

    key: str
    title: str
    description: str
    #: Columns that tell rows apart.
    primary_key: tuple[str, ...]
    #: The column that `since` and `until` bound; None where nothing does.
    created: str | None
    #: Whether rows never change once they are there.
    immutable: bool
    schema: pa.Schema
    #: Text columns that hold JSON.
    json_columns: tuple[str, ...]
    #: A line for the reader of each column.
    comments: Mapping[str, str]


def describe(report: str) -> Description:
    """The report of a key; SettingsError names the nearest where there is none."""
    from counterfoil.columns.schema import arrow_schema, is_json
    from counterfoil.reports.catalogue import columns_of
    from counterfoil.reports.catalogue import report as report_of

    found = report_of(report)
    columns = columns_of(found)
    schema = arrow_schema(columns)
    return Description(
        key=found.key,
        title=found.title,
        description=found.description,
        primary_key=found.primary_key,
        created=found.created,
        immutable=found.changes == "immutable",
        schema=schema,
        json_columns=tuple(field.name for field in schema if is_json(field)),
        comments={column.name: column.description for column in columns},
    )
