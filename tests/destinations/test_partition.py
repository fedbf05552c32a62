"""Replacing the rows in ranges of creation time, and no others."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from counterfoil.destinations import Destination
from counterfoil.errors import RunError, SchemaConflict
from counterfoil.values import Load, Loaded, Window
from tests.destinations.conftest import Archived, create_unmanaged_table, raises, rejects_unmanaged, type_name

_SCHEMA = pa.schema(
    [pa.field("id", pa.string()), pa.field("created", pa.timestamp("us", tz="UTC")), pa.field("amount", pa.int64())]
)
_DAY = 86_400
_START = int(dt.datetime(2027, 1, 1, tzinfo=dt.UTC).timestamp())


def _row(name: str, day: float, amount: int = 0) -> dict[str, Any]:
    return {"id": name, "created": dt.datetime.fromtimestamp(_START + day * _DAY, dt.UTC), "amount": amount}


def _days(first: int, end: int) -> Window:
    return Window(_START + first * _DAY, _START + end * _DAY)


def _load(run: str, *covers: Window, **changes: Any) -> Load:
    start = {"run": run, "table": "charges", "method": "partition", "created": "created", "covers": covers}
    return Load(**start | {"order": ("-created",)} | changes)


@pytest.fixture(params=["duckdb", "parquet", "monthly", "s3", "postgres", "delta", "dlt"])
def destination(request: pytest.FixtureRequest) -> Destination:
    """Each destination that supports partition."""
    found: Destination = request.getfixturevalue(f"{request.param}_destination")
    assert "partition" in found.kind.methods
    return found


def _rows(destination: Destination) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = destination.query("SELECT * FROM charges ORDER BY id").read_all().to_pylist()
    return found


#: The last row is at the very end of its day, the others at the start of their days.
_ROWS = [_row("a", 0), _row("b", 1), _row("c", 2), _row("d", 3 - 1e-9)]


def test_partition_replaces_only_rows_in_ranges(destination: Destination, archived: Archived) -> None:
    first = destination.load(_load("run-1", _days(0, 3)), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert first == Loaded(rows=4, added=4)
    later = [_row("b", 1, 7), _row("x", 1.5)]
    done = destination.load(_load("run-2", _days(1, 2)), _SCHEMA, archived(_SCHEMA, later))
    assert done == Loaded(rows=2, added=2, deleted=1)
    assert _rows(destination) == [_ROWS[0], later[0], _ROWS[2], _ROWS[3], later[1]]
    assert destination.rows("charges") == 5


def test_empty_range_is_cleared(destination: Destination, archived: Archived) -> None:
    destination.load(_load("run-1", _days(0, 3)), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert destination.load(_load("run-2", _days(0, 1), _days(2, 3)), _SCHEMA, ()) == Loaded(deleted=3)
    assert _rows(destination) == [_ROWS[1]]
    assert destination.load(_load("run-3", Window()), _SCHEMA, ()) == Loaded(deleted=1)
    assert (destination.rows("charges"), _rows(destination)) == (0, [])
    assert destination.load(_load("run-4", Window()), _SCHEMA, archived(_SCHEMA, _ROWS[:1])).rows == 1


def test_partition_loaded_twice_counts_once(destination: Destination, archived: Archived) -> None:
    load = _load("run-1", _days(0, 3))
    parts = archived(_SCHEMA, _ROWS)
    assert [destination.load(load, _SCHEMA, parts) for _ in range(2)] == [Loaded(rows=4, added=4)] * 2
    done = destination.load(_load("run-2", _days(0, 3)), _SCHEMA, parts)
    assert done == Loaded(rows=4, added=4, deleted=4)
    assert _rows(destination) == _ROWS


@pytest.mark.parametrize("created", [_row("x", 2)["created"], None], ids=["outside", "null"])
def test_rows_outside_ranges_are_rejected(
    destination: Destination, archived: Archived, created: dt.datetime | None
) -> None:
    destination.load(_load("run-1", _days(0, 3)), _SCHEMA, archived(_SCHEMA, _ROWS))
    strays = archived(_SCHEMA, [_row("b", 1), {"id": "x", "created": created, "amount": 1}])
    with raises(RunError, "charges", 1, code="rows_outside_ranges"):
        destination.load(_load("run-2", _days(1, 2)), _SCHEMA, strays)
    assert _rows(destination) == _ROWS


@pytest.mark.parametrize("created", [None, "amount", "nowhere"])
def test_partition_without_creation_time_is_rejected(destination: Destination, created: str | None) -> None:
    with raises(RunError, "charges", "partition", code="creation_time_missing"):
        destination.load(_load("run-1", Window(), created=created), _SCHEMA, ())
    with raises(RunError, code="ranges_missing"):
        destination.load(_load("run-1"), _SCHEMA, ())
    assert destination.columns("charges") is None


def test_table_without_creation_column_is_rejected(destination: Destination, archived: Archived) -> None:
    bare = _SCHEMA.remove(1)
    rows = [{"id": "a", "amount": 1}]
    destination.load(_load("run-1", method="replace", order=()), bare, archived(bare, rows))
    with raises(SchemaConflict, "charges", "created", code="column_missing"):
        destination.load(_load("run-2", _days(0, 3)), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert _rows(destination) == rows


def test_new_columns_are_added_and_different_column_type_is_rejected(
    destination: Destination, archived: Archived
) -> None:
    destination.load(_load("run-1", _days(0, 3)), _SCHEMA, archived(_SCHEMA, _ROWS))
    wider = _SCHEMA.append(pa.field("new", pa.string()))
    later = [_row("b", 1) | {"new": "x"}]
    destination.load(_load("run-2", _days(1, 2)), wider, archived(wider, later))
    whole = [row | {"new": "x" if row["id"] == "b" else None} for row in _ROWS]
    assert _rows(destination) == whole
    other = _SCHEMA.set(2, pa.field("amount", pa.string()))
    bigint, text = type_name(destination, "BIGINT"), type_name(destination, "VARCHAR")
    with raises(SchemaConflict, "amount", "charges", bigint, text, code="column_type_conflict"):
        destination.load(_load("run-3", _days(1, 2)), other, ())
    assert _rows(destination) == whole


def test_unmanaged_table_is_rejected(destination: Destination) -> None:
    create_unmanaged_table(destination, "SELECT 'mine' AS id, now() AS created, 1::BIGINT AS amount")
    with rejects_unmanaged():
        destination.load(_load("run-1", Window()), _SCHEMA, ())
    assert destination.rows("charges") == 1
    assert destination.load(_load("run-1", Window(), overwrite=True), _SCHEMA, ()).deleted == 1


def test_files_of_other_ranges_are_not_rewritten(
    parquet_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    for run, day in enumerate((0, 1, 2)):
        rows = [_row(f"{day}", day), _row(f"{day}.5", day + 0.5)]
        parquet_destination.load(_load(f"run-{run}", _days(day, day + 1)), _SCHEMA, archived(_SCHEMA, rows))
    files = {path.name: path.stat().st_ino for path in tmp_path.glob("stripe/charges/*.parquet")}
    half = Window(_START + _DAY + _DAY // 2, _START + 3 * _DAY)
    assert parquet_destination.load(_load("run-3", half), _SCHEMA, ()).deleted == 3
    now = {path.name: path.stat().st_ino for path in tmp_path.glob("stripe/charges/*.parquet")}
    assert now.keys() == {"run-0-00001.parquet", "run-1-00001.parquet"}
    assert [files[name] == inode for name, inode in sorted(now.items())] == [True, False]
    read = pl.read_parquet(tmp_path / "stripe/charges/*.parquet").sort("id").to_dicts()
    assert read == [_row("0", 0), _row("0.5", 0.5), _row("1", 1)]
