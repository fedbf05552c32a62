"""Rejects rows with missing or duplicate keys before they reach a table.

Rows are compared by 64-bit hashes of their keys: 8 bytes per row, and 16 more while they are sorted. Keys with equal
hashes are then compared themselves, so a collision does not count as a duplicate.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from counterfoil.errors import RunError
from counterfoil.values import Part

#: The codes of the errors.
DUPLICATE_KEYS, MISSING_KEYS = "duplicate_keys", "missing_keys"
_BATCH_ROWS = 8_192
#: Maximum number of duplicate keys that are counted, to limit memory.
_MOST_COUNTED = 100_000
_HINT = "Run the report again to read everything again, and report the error if it repeats; no table was changed."

Batches = Callable[[], Iterable[pa.RecordBatch]]


def check_part_keys(parts: Sequence[Part], key: Sequence[str], *, report: str, unique: bool = True) -> None:
    """Raises RunError if a row of the parts has no key or, for `unique` keys, if two rows have the same key."""
    check_keys(lambda: _key_batches(parts, key), key, report=report, unique=unique)


def check_keys(batches: Batches, key: Sequence[str], *, report: str, unique: bool = True) -> None:
    """The same for batches with the key's columns. They are read a second time if a duplicate is suspected."""
    hashes, missing = array("q"), 0
    for batch in batches():
        missing += _missing(batch, key)
        if unique:
            hashes.extend(map(hash, _keys(batch, key)))
    if missing:
        raise RunError(
            f"{report}: Stripe returned {_counted(missing, 'row')} without {' and '.join(key)}",
            hint=_HINT,
            code=MISSING_KEYS,
        )
    repeated = repeated_hashes(hashes)
    if len(repeated):
        _refuse(batches, key, set(repeated[:_MOST_COUNTED].to_pylist()), report)


def checked_keys(
    batches: Iterable[pa.RecordBatch], key: Sequence[str], *, report: str
) -> Generator[pa.RecordBatch, None, None]:
    """Yields the batches; after the last one, raises RunError for a missing or duplicate key. Keeps keys in memory."""
    kept = []
    for batch in batches:
        kept.append(batch.select(list(key)))
        yield batch
    check_keys(lambda: kept, key, report=report)


def repeated_hashes(hashes: array[int]) -> pa.Array:
    """The hashes that appear more than once, ascending."""
    if not len(hashes):
        return pa.array([], pa.int64())
    values = pa.Array.from_buffers(pa.int64(), len(hashes), [None, pa.py_buffer(hashes)])
    ordered = values.take(pc.sort_indices(values))
    return pc.unique(ordered[1:].filter(pc.equal(ordered[1:], ordered[:-1])))


def _refuse(batches: Batches, key: Sequence[str], suspected: set[int], report: str) -> None:
    """Raises RunError if keys with the suspected hashes are duplicates, not just collisions."""
    counts: Counter[Any] = Counter()
    for batch in batches():
        counts.update(one for one in _keys(batch, key) if hash(one) in suspected)
    doubled = {one: count for one, count in counts.items() if count > 1}
    if not doubled:
        return
    first, count = next(iter(doubled.items()))
    others = f", as have {_counted(len(doubled) - 1, 'other key')}" if len(doubled) > 1 else ""
    raise RunError(
        f"{report}: {count:,} rows have the {' and '.join(key)} {_shown(first)}{others}",
        hint=_HINT,
        code=DUPLICATE_KEYS,
    )


def _key_batches(parts: Sequence[Part], key: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for part in parts:
        with pq.ParquetFile(part.path) as file:
            yield from file.iter_batches(_BATCH_ROWS, columns=list(key), use_threads=False)


def _keys(batch: pa.RecordBatch, key: Sequence[str]) -> Iterable[Any]:
    """The key of each row: a value, or a tuple for a key of several columns."""
    columns = [batch.column(name).to_pylist() for name in key]
    return columns[0] if len(columns) == 1 else zip(*columns, strict=True)


def _missing(batch: pa.RecordBatch, key: Sequence[str]) -> int:
    """Number of rows with a null in the key."""
    if not any(batch.column(name).null_count for name in key):
        return 0
    return sum(None in one for one in zip(*(batch.column(name).to_pylist() for name in key), strict=True))


def _shown(key: Any) -> str:
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s'[: count != 1]}"
