"""Histories, the same in every destination: a second table with every version of every row of a table.

A version is valid from `_valid_from` until before `_valid_to`, which is null while it is current. Versions of one key
never overlap. A row that is marked as deleted has no current version, like a row that does not exist.
"""

from __future__ import annotations

import pyarrow as pa

from counterfoil.destinations.keys import NOT_COMPARED
from counterfoil.errors import INVALID_TABLE, DestinationRejected

FIELDS = [pa.field(name, pa.timestamp("us", tz="UTC")) for name in ("_valid_from", "_valid_to")]
COMMENTS = {
    "_valid_from": "When this version was first seen, in UTC",
    "_valid_to": "When this version was first seen to be replaced or deleted, in UTC; null while it is current",
}
#: Columns that are not compared: the times, and the marks of deleted rows, which have no version.
NOT_A_VALUE = frozenset({*COMMENTS, "_deleted", "_deleted_at", *NOT_COMPARED})


def history_of(table: str) -> str:
    """The name of the table with the versions of a table's rows."""
    return f"{table}__history"


def as_of(table: str) -> str:
    """The name of the function that returns a table as of an instant."""
    return f"{table}__as_of"


def history_name_taken(name: str, place: str, table: str) -> DestinationRejected:
    """The error for a history with the name of something that Counterfoil did not create."""
    return DestinationRejected(
        f"{name} in {place} was not created by Counterfoil, but the history of {table} needs this name",
        hint="Rename it, choose another table, or turn the history off.",
        code=INVALID_TABLE,
    )
