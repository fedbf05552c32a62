"""The view `<table>__latest`, the same in every destination: the latest snapshot of an append table.

The record of loads stores, under the view's name, the run whose rows the view shows. So a load changes one row of the
record, an empty snapshot shows no rows, and readers of the view never wait.
"""

from __future__ import annotations

from collections.abc import Iterable

from counterfoil.destinations.protocol import LOADS_TABLE
from counterfoil.destinations.sql.text import literal
from counterfoil.errors import INVALID_TABLE, DestinationRejected
from counterfoil.values import Load

#: Method in the record of loads for the run whose rows the view shows.
LATEST = "latest"


def latest_of(table: str) -> str:
    """The name of the view."""
    return f"{table}__latest"


def has_snapshots(load: Load, columns: Iterable[str]) -> bool:
    """Whether the load appends a snapshot whose rows have a run."""
    return load.method == "append" and "_run" in columns


def selected(table: str, named: str, loads: str) -> str:
    """The view's SELECT; `named` and `loads` are the table and the record of loads, quoted."""
    run = f"SELECT run FROM {loads} WHERE table_name = {literal(latest_of(table))} AND method = {literal(LATEST)}"  # noqa: S608 - quoted
    return f"SELECT * FROM {named} WHERE _run = ({run})"  # noqa: S608 - quoted


def is_ours(definition: str) -> bool:
    """Whether Counterfoil created the view with this definition, as the database stores it."""
    return LOADS_TABLE in definition


def comment_of(table: str) -> str:
    """The comment of the view."""
    return f"The rows that the latest run added to {table}."


def latest_name_taken(table: str, place: str) -> DestinationRejected:
    """The error for a view with the name of something that Counterfoil did not create."""
    return DestinationRejected(
        f"{latest_of(table)} in {place} was not created by Counterfoil, but the latest rows of {table} need this name",
        hint="Rename it, or choose another table.",
        code=INVALID_TABLE,
    )
