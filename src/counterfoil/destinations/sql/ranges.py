"""Ranges of the time of creation as conditions in DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from counterfoil.destinations.sql.text import parts_source, quoted
from counterfoil.errors import RunError, SchemaConflict
from counterfoil.values import Load, Window


def within(load: Load, alias: str = "") -> str:
    """Whether a row is in a range that the load covers; never null."""
    if Window() in load.covers:
        return "true"
    column = alias + quoted(load.created or "")
    return f"(({' OR '.join(_condition(column, window) for window in load.covers) or 'false'}) IS TRUE)"


def _condition(column: str, window: Window) -> str:
    bounds = []
    if window.since is not None:
        bounds.append(f"{column} >= to_timestamp({window.since})")
    if window.until is not None:
        bounds.append(f"{column} < to_timestamp({window.until})")
    return f"({' AND '.join(bounds)})"


def check_within(cursor: duckdb.DuckDBPyConnection, load: Load, files: Sequence[Path]) -> None:
    """Refuses parts with rows outside of the ranges that they replace: the next load would not find them there."""
    if not files:
        return
    sql = f"SELECT count(*) FROM {parts_source(files)} WHERE NOT {within(load)}"  # noqa: S608 - quoted
    ((outside,),) = cursor.execute(sql).fetchall()
    if outside:
        raise RunError(
            f"{load.table}: {outside} of the rows are not in the ranges that are replaced",
            hint="The table is as it was. Run the report again.",
        )


def no_created(load: Load) -> SchemaConflict:
    """The refusal to replace ranges of a table whose rows do not say when they were created."""
    return SchemaConflict(
        f"{load.table} has no column {load.created} to find the rows by that are replaced",
        hint="Replace the whole table, or choose another one.",
    )
