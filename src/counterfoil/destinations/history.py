"""What a history is, wherever it is kept: a table beside the table with every version of every row.

A version holds from `_valid_from` until before `_valid_to`, which is null while it is current; those of one key never
overlap. A row that is marked as deleted has no current version, like one that is not there.
"""

from __future__ import annotations

import pyarrow as pa

from counterfoil.destinations.keys import NOT_COMPARED
from counterfoil.errors import DestinationRejected

FIELDS = [pa.field(name, pa.timestamp("us", tz="UTC")) for name in ("_valid_from", "_valid_to")]
COMMENTS = {
    "_valid_from": "When this version was first seen, in UTC",
    "_valid_to": "When it was first seen to be replaced or gone, in UTC; null while it is current",
}
#: Beside the times, which are no values, the marks of rows that are deleted: a version is of a row that is not.
NOT_A_VALUE = frozenset({*COMMENTS, "_deleted", "_deleted_at", *NOT_COMPARED})


def history_of(table: str) -> str:
    """The name of the table with the versions."""
    return f"{table}__history"


def as_of(table: str) -> str:
    """The name of what gives the table as it was at an instant."""
    return f"{table}__as_of"


def history_name_taken(name: str, place: str, table: str) -> DestinationRejected:
    """The refusal to keep a history where something is that is not ours."""
    return DestinationRejected(
        f"{name} in {place} was not made by Counterfoil, which would keep the history of {table} there",
        hint="Rename it, choose another table, or switch the history off.",
    )
