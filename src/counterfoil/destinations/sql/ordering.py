"""Sorts rows into a load's order within bounded memory.

Rows that fit are sorted at once. Otherwise one pass over the parts distributes the rows to files by ranges of the first
key; then each file is sorted separately.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from counterfoil.destinations.cancellation import check_stop
from counterfoil.destinations.protocol import Stop
from counterfoil.destinations.sql.text import parts_source, quoted
from counterfoil.values import Load

#: Bytes per sort, some of which DuckDB spills. With 50% more, it could not sort long texts in its minimum of 160 MB.
_SLICE_BYTES = 64 << 20
#: Overhead of a value and of a row in a sort, in addition to their bytes in the file.
_VALUE_BYTES, _ROW_BYTES = 16, 64
_SAMPLE_ROWS = 20_000
#: Rows to distribute at a time.
_DEALT_ROWS = 8_192
_WRITTEN: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "use_dictionary": False}


def sorted_slices(
    load: Load, files: Sequence[Path], *, slice_bytes: int = _SLICE_BYTES, stop: Stop | None = None
) -> Iterator[str]:
    """FROM clauses for the rows in order, slice by slice. RunError if a stop is requested."""
    for source, order in ordered_slices(load, files, slice_bytes=slice_bytes, stop=stop):
        yield source + order


def ordered_slices(
    load: Load, files: Sequence[Path], *, slice_bytes: int = _SLICE_BYTES, stop: Stop | None = None
) -> Iterator[tuple[str, str]]:
    """The same, each split in two parts so that a WHERE clause can go between them."""
    if not load.order:
        yield parts_source(files), ""
        return
    order = " ORDER BY " + ", ".join(
        f"{quoted(name.removeprefix('-'))} {'DESC' if name[0] == '-' else 'ASC'} NULLS LAST" for name in load.order
    )
    needed = _sort_bytes(files)
    if needed <= slice_bytes:
        yield parts_source(files), order
        return
    with TemporaryDirectory(prefix="sorting-", dir=files[0].parent) as folder:
        count = -(-needed // slice_bytes)
        for dealt in _deal_out(load.order[0], files, count, Path(folder), stop):
            yield parts_source(dealt), order


def _sort_bytes(files: Sequence[Path]) -> int:
    total = 0
    for file in files:
        metadata = pq.read_metadata(file)
        total += metadata.num_rows * (metadata.num_columns * _VALUE_BYTES + _ROW_BYTES)
        total += sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return total


def _deal_out(first: str, files: Sequence[Path], count: int, folder: Path, stop: Stop | None) -> list[list[Path]]:
    """Writes the rows to about `count` groups of files, in order by group; nulls are in the last group."""
    key, descending = first.removeprefix("-"), first[0] == "-"
    bounds = _bounds(key, files, count, descending=descending)
    groups: list[list[Path]] = [[] for _ in range(len(bounds) + 1)]
    for turn, batch in enumerate(_batches(files)):
        check_stop(stop)
        numbers = _places(batch[key], bounds, descending=descending)
        dealt, start = batch.take(pc.sort_indices(numbers)), 0
        for number, rows in sorted((c["values"], c["counts"]) for c in pc.value_counts(numbers).to_pylist()):
            path = folder / f"{number:05}-{turn:05}.parquet"
            pq.write_table(pa.Table.from_batches([dealt.slice(start, rows)]), path, **_WRITTEN)
            groups[number].append(path)
            start += rows
    # The rows are on disk now; leave the memory to the database.
    pa.default_memory_pool().release_unused()
    return [group for group in groups if group]


def _batches(files: Sequence[Path], columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    for file in files:
        with pq.ParquetFile(file, pre_buffer=False) as source:
            yield from source.iter_batches(_DEALT_ROWS, columns=columns, use_threads=False)


def _places(keys: pa.Array, bounds: Sequence[Any], *, descending: bool) -> pa.Array:
    """For each key, the number of bounds at or before it, which is the number of its group."""
    places = pc.multiply(pc.cast(pc.is_null(keys), pa.int32()), len(bounds))
    for bound in bounds:
        behind = pc.less(keys, bound) if descending else pc.greater_equal(keys, bound)
        places = pc.add(places, pc.fill_null(pc.cast(behind, pa.int32()), 0))
    return places


def _bounds(key: str, files: Sequence[Path], count: int, *, descending: bool) -> list[Any]:
    column = pa.chunked_array([batch[key] for batch in _batches(files, [key])])
    sample = column.take(pa.array(range(0, len(column), -(-len(column) // _SAMPLE_ROWS)))).drop_null()
    ordered = sample.take(pc.sort_indices(sample, sort_keys=[("", "descending" if descending else "ascending")]))
    places = [number * len(ordered) // count for number in range(1, count)] if len(ordered) else []
    return list(dict.fromkeys(ordered[place] for place in places))
