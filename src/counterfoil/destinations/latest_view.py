"""What the latest snapshot of an append table is, wherever it is kept: the view `<table>__latest`.

The record of loads names, under the view's name, the run whose rows the view shows. So a load changes one row of the
record, an empty snapshot shows no rows, and nobody who reads the view is kept waiting.
"""

from __future__ import annotations

from collections.abc import Iterable

from counterfoil.destinations.protocol import LOADS_TABLE
from counterfoil.destinations.sql.text import literal
from counterfoil.errors import DestinationRejected
from counterfoil.values import Load

#: What the record of loads calls the run whose rows the view shows.
LATEST = "latest"


def latest_of(table: str) -> str:
    """The name of the view."""
    return f"{table}__latest"


def has_snapshots(load: Load, columns: Iterable[str]) -> bool:
    """Whether the load adds a snapshot whose rows can be told from those of others."""
    return load.method == "append" and "_run" in columns


def selected(table: str, named: str, loads: str) -> str:
    """The view's SELECT; `named` and `loads` are the table and the record of loads, quoted."""
    run = f"SELECT run FROM {loads} WHERE table_name = {literal(latest_of(table))} AND method = {literal(LATEST)}"  # noqa: S608 - quoted
    return f"SELECT * FROM {named} WHERE _run = ({run})"  # noqa: S608 - quoted


def is_ours(definition: str) -> bool:
    """Whether a view of that definition, as the database tells it, is one of ours."""
    return LOADS_TABLE in definition


def comment_of(table: str) -> str:
    """One line for who looks at the view."""
    return f"The rows that the latest run added to {table}."


def latest_name_taken(table: str, place: str) -> DestinationRejected:
    """The refusal to put the view where something is that is not ours."""
    return DestinationRejected(
        f"{latest_of(table)} in {place} was not made by Counterfoil, which shows the latest rows of {table} there",
        hint="Rename it, or choose another table.",
    )
