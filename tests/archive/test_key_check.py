"""Missing and duplicate keys are detected in any batch; hash collisions are not duplicates."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil.archive import check_part_keys, checked_keys
from counterfoil.archive.key_check import check_keys, repeated_hashes
from counterfoil.archive.parts import PartWriter
from counterfoil.errors import RunError
from counterfoil.values import Part

SCHEMA = pa.schema([("id", pa.string()), ("amount", pa.int64())])


def _batch(*ids: str | None) -> pa.RecordBatch:
    return pa.record_batch([list(ids), [1] * len(ids)], schema=SCHEMA)


def _parts(folder: Path, *batches: pa.RecordBatch, rows: int = 200_000) -> list[Part]:
    writer = PartWriter(folder, SCHEMA, part_rows=rows)
    for batch in batches:
        writer.write(batch)
    writer.cut()
    return writer.parts


def _error(*batches: pa.RecordBatch, key: tuple[str, ...] = ("id",), **options: Any) -> RunError:
    with pytest.raises(RunError) as caught:
        check_keys(lambda: batches, key, report="Charges", **options)
    return caught.value


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 60).map(str), max_size=12), max_size=6))
def test_keys_are_rejected_only_if_one_is_duplicate(batches: list[list[str]]) -> None:
    counts = Counter(one for batch in batches for one in batch)
    doubled = {one: count for one, count in counts.items() if count > 1}
    record_batches = [_batch(*batch) for batch in batches]
    if not doubled:
        check_keys(lambda: record_batches, ("id",), report="Charges")
        return
    error = _error(*record_batches)
    assert error.code == "duplicate_keys"
    assert any(re.search(rf"\b{count:,} rows .* id {one}\b", error.message) for one, count in doubled.items())


def test_duplicate_in_two_parts_is_reported_with_report_and_count(tmp_path: Path) -> None:
    parts = _parts(tmp_path, _batch("a", "b"), _batch("c", "a"), _batch("a"), rows=2)
    assert len(parts) > 1
    with pytest.raises(RunError) as caught:
        check_part_keys(parts, ("id",), report="Charges")
    assert caught.value.code == "duplicate_keys"
    assert re.fullmatch(r"Charges: 3 rows .* id a", caught.value.message)
    assert caught.value.hint


def test_key_of_several_columns_is_compared_as_a_whole() -> None:
    rows = pa.record_batch({"id": ["a", "a", "b"], "invoice": ["1", "2", "1"]})
    check_keys(lambda: [rows], ("id", "invoice"), report="Lines")
    twice = pa.record_batch({"id": ["a", "a"], "invoice": ["1", "1"]})
    assert "a 1" in _error(twice, key=("id", "invoice")).message


def test_row_without_a_key_is_rejected_even_if_keys_may_repeat() -> None:
    assert _error(_batch("a", None, None), unique=False).code == "missing_keys"
    assert _error(pa.record_batch({"id": ["a", "b"], "invoice": ["1", None]}), key=("id", "invoice")).code == (
        "missing_keys"
    )


def test_keys_that_may_repeat_are_accepted() -> None:
    check_keys(lambda: [_batch("a", "a")], ("id",), report="Charges", unique=False)


def test_hash_collisions_are_not_duplicates() -> None:
    # Python gives both the same hash.
    numbers = pa.record_batch({"id": pa.array([-1, -2], pa.int64())})
    assert hash(-1) == hash(-2)
    check_keys(lambda: [numbers], ("id",), report="Charges")
    assert "id -2" in _error(numbers, pa.record_batch({"id": pa.array([-2], pa.int64())})).message


def test_each_repeated_hash_is_found_once() -> None:
    assert repeated_hashes(array("q", [5, -3, 5, 5, 7, -3])).to_pylist() == [-3, 5]
    assert repeated_hashes(array("q")).to_pylist() == []


def test_streamed_batches_with_duplicates_are_rejected_at_their_end() -> None:
    passing = checked_keys([_batch("a"), _batch("b", "a")], ("id",), report="Charges")
    assert [next(passing).num_rows, next(passing).num_rows] == [1, 2]
    with pytest.raises(RunError, match=r"\b2 rows .* id a$") as caught:
        next(passing)
    assert caught.value.code == "duplicate_keys"
    assert len(list(checked_keys([_batch("a"), _batch("b")], ("id",), report="Charges"))) == 2
