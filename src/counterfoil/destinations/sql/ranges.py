"""Ranges of the creation time as conditions in DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from counterfoil.destinations.sql.text import parts_source, quoted
from counterfoil.errors import RunError, SchemaConflict
from counterfoil.values import Load, Window


def within(load: Load, alias: str = "") -> str:
    """SQL condition: the row is in a range that the load covers. Never null."""
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
    """Rejects parts with rows outside the ranges that they replace: the next load would not find those rows."""
    if not files:
        return
    sql = f"SELECT count(*) FROM {parts_source(files)} WHERE NOT {within(load)}"  # noqa: S608 - quoted
    ((outside,),) = cursor.execute(sql).fetchall()
    if outside:
        raise RunError(
            f"{load.table}: {outside} of the rows are not in the ranges to replace",
            hint="Run the report again; the table is unchanged.",
            code="rows_outside_ranges",
        )


def no_created(load: Load) -> SchemaConflict:
    """The error for replacing ranges of a table without a creation time."""
    return SchemaConflict(
        f"{load.table} has no column {load.created} to find the rows to replace",
        hint="Replace the whole table, or choose another one.",
        code="column_missing",
    )
