"""Rows in a load's order within bounded memory: sorted slice by slice where sorting all at once would outgrow it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from counterfoil.destinations.sql import literal, parts_source, quoted
from counterfoil.values import Load

#: Bytes that one sort may take, some of which DuckDB spills: at its 256 MB limit, 400 of them work and 800 do not.
_SLICE_BYTES = 256 << 20
#: What a value and a row take in a sort beside their bytes in the file.
_VALUE_BYTES, _ROW_BYTES = 16, 64
_SAMPLE_ROWS = 20_000


def sorted_slices(
    cursor: duckdb.DuckDBPyConnection, load: Load, files: Sequence[Path], slice_bytes: int = _SLICE_BYTES
) -> list[str]:
    """Ends of a SELECT from the files, to be run one after the other; together they give every row once, in order.

    Every slice but the first scans the files again: the price of a bound on memory, paid only by large tables.
    """
    if not load.order:
        return [""]
    order = " ORDER BY " + ", ".join(
        f"{quoted(name.removeprefix('-'))} {'DESC' if name[0] == '-' else 'ASC'} NULLS LAST" for name in load.order
    )
    count = -(-_sort_bytes(files) // slice_bytes)
    return (
        [f" WHERE {where}{order}" for where in _ranges(cursor, load.order[0], files, count)] if count > 1 else [order]
    )


def _sort_bytes(files: Sequence[Path]) -> int:
    total = 0
    for file in files:
        metadata = pq.read_metadata(file)
        total += metadata.num_rows * (metadata.num_columns * _VALUE_BYTES + _ROW_BYTES)
        total += sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return total


def _ranges(cursor: duckdb.DuckDBPyConnection, key: str, files: Sequence[Path], count: int) -> list[str]:
    """Conditions on the first key that cut the rows into about `count` parts of a size; nulls are in the last."""
    column = quoted(key.removeprefix("-"))
    source = parts_source(files)
    fractions = [number / count for number in range(1, count)]
    sample = f"(SELECT {column} AS key FROM {source}) USING SAMPLE reservoir({_SAMPLE_ROWS} ROWS) REPEATABLE (1)"  # noqa: S608
    ((kind, values),) = cursor.execute(
        f"SELECT typeof(any_value(key)), quantile_disc(key, {fractions})::VARCHAR[] FROM {sample}"  # noqa: S608
    ).fetchall()
    bounds = [f"CAST({literal(value)} AS {kind})" for value in dict.fromkeys(values or ())]
    ranges = [
        " AND ".join([f"{column} >= {low}"] * bool(low) + [f"{column} < {high}"] * bool(high)) or "true"
        for low, high in zip(["", *bounds], [*bounds, ""], strict=True)
    ]
    *others, last = reversed(ranges) if key[0] == "-" else ranges
    return [*others, f"({last} OR {column} IS NULL)"]
