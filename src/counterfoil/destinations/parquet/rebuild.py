"""Rebuilds a table from archived loads, as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from counterfoil.destinations.kind import DestinationKind
from counterfoil.destinations.parquet.methods import apply
from counterfoil.destinations.parquet.reused_files import files_below, link, reused_in
from counterfoil.destinations.protocol import Stop, check_load, files_of
from counterfoil.destinations.sql.query import described, schema_of
from counterfoil.values import Load, Part


def rebuild(
    cursor: duckdb.DuckDBPyConnection,
    loads: Sequence[tuple[Load, Sequence[Part]]],
    whole: Load,
    schema: pa.Schema,
    archive: Path,
    kind: DestinationKind,
    steps: Path,
    into: Path,
    *,
    monthly: bool = False,
    stop: Stop | None = None,
) -> list[tuple[str, str]]:
    """Applies the loads in order, each in a folder below `steps`, and writes the result into the folder `into`.

    Returns the columns: those of the parts, then those that only the schema has.
    """
    step = steps / "0"
    columns: list[tuple[str, str]] = []
    # A final append without rows adds the columns that only the schema has.
    for number, (load, parts) in enumerate([*loads, (replace(whole, method="append"), ())], start=1):
        last = number > len(loads)
        files = files_of(parts, archive)
        own = schema_of(files[0]) if files and not last else schema
        if not last:
            check_load(load, own, kind)
        before, here = reused_in(step, load.created), into if last else steps / str(number)
        here.mkdir(exist_ok=True)
        present = described(cursor, files_below(step)) if before else ()
        applied = apply(cursor, load, own, parts, archive, before, present, here, monthly=monthly, stop=stop)
        link(applied.carried, here)
        step, columns = here, applied.columns
    return columns
