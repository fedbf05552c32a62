"""The schema of a report's rows, available without a key and without API requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Description", "describe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A report of the catalogue, with the schema of the rows from `Connection.read`."""

    key: str
    title: str
    description: str
    #: Columns that identify a row.
    primary_key: tuple[str, ...]
    #: The column that `since` and `until` apply to; None if the report has none.
    created: str | None
    #: Whether rows never change after their creation.
    immutable: bool
    schema: pa.Schema
    #: Text columns that contain JSON.
    json_columns: tuple[str, ...]
    #: Description of each column.
    comments: Mapping[str, str]


def describe(report: str) -> Description:
    """The description of a report; SettingsError suggests the closest key if there is none."""
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
