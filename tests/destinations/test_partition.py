"""Replacing ranges of the time of creation, and nothing outside of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from counterfoil.destinations import Destination
from counterfoil.errors import DestinationRejected, RunError, SchemaConflict
from counterfoil.values import Load, Loaded, Window
from tests.destinations.conftest import Archived, make_theirs, spelled

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
    """Each destination that can partition."""
    found: Destination = request.getfixturevalue(f"{request.param}_destination")
    assert "partition" in found.kind.methods
    return found


def _rows(destination: Destination) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = destination.query("SELECT * FROM charges ORDER BY id").read_all().to_pylist()
    return found


#: The last is at the very end of its day, the others at the start.
_ROWS = [_row("a", 0), _row("b", 1), _row("c", 2), _row("d", 3 - 1e-9)]


def test_the_rows_of_the_ranges_are_replaced_and_no_others(destination: Destination, archived: Archived) -> None:
    first = destination.load(_load("run-1", _days(0, 3)), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert first == Loaded(rows=4, added=4)
    later = [_row("b", 1, 7), _row("x", 1.5)]
    done = destination.load(_load("run-2", _days(1, 2)), _SCHEMA, archived(_SCHEMA, later))
    assert done == Loaded(rows=2, added=2, deleted=1)
    assert _rows(destination) == [_ROWS[0], later[0], _ROWS[2], _ROWS[3], later[1]]
    assert destination.rows("charges") == 5


def test_a_range_that_holds_nothing_any_more_is_emptied(destination: Destination, archived: Archived) -> None:
    destination.load(_load("run-1", _days(0, 3)), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert destination.load(_load("run-2", _days(0, 1), _days(2, 3)), _SCHEMA, ()) == Loaded(deleted=3)
    assert _rows(destination) == [_ROWS[1]]
    assert destination.load(_load("run-3", Window()), _SCHEMA, ()) == Loaded(deleted=1)
    assert (destination.rows("charges"), _rows(destination)) == (0, [])
    assert destination.load(_load("run-4", Window()), _SCHEMA, archived(_SCHEMA, _ROWS[:1])).rows == 1


def test_a_partition_given_twice_counts_once(destination: Destination, archived: Archived) -> None:
    load = _load("run-1", _days(0, 3))
    parts = archived(_SCHEMA, _ROWS)
    assert [destination.load(load, _SCHEMA, parts) for _ in range(2)] == [Loaded(rows=4, added=4)] * 2
    done = destination.load(_load("run-2", _days(0, 3)), _SCHEMA, parts)
    assert done == Loaded(rows=4, added=4, deleted=4)
    assert _rows(destination) == _ROWS


@pytest.mark.parametrize("created", [_row("x", 2)["created"], None], ids=["outside", "never created"])
def test_rows_outside_of_the_ranges_are_refused(
    destination: Destination, archived: Archived, created: dt.datetime | None
) -> None:
    destination.load(_load("run-1", _days(0, 3)), _SCHEMA, archived(_SCHEMA, _ROWS))
    strays = archived(_SCHEMA, [_row("b", 1), {"id": "x", "created": created, "amount": 1}])
    with pytest.raises(RunError, match="1 of the rows are not in the ranges"):
        destination.load(_load("run-2", _days(1, 2)), _SCHEMA, strays)
    assert _rows(destination) == _ROWS


@pytest.mark.parametrize("created", [None, "amount", "nowhere"])
def test_without_a_time_of_creation_it_is_refused(destination: Destination, created: str | None) -> None:
    with pytest.raises(RunError, match="charges has no time of creation to partition by"):
        destination.load(_load("run-1", Window(), created=created), _SCHEMA, ())
    with pytest.raises(RunError, match="which ranges"):
        destination.load(_load("run-1"), _SCHEMA, ())
    assert destination.columns("charges") is None


def test_a_table_without_the_column_is_refused(destination: Destination, archived: Archived) -> None:
    bare = _SCHEMA.remove(1)
    rows = [{"id": "a", "amount": 1}]
    destination.load(_load("run-1", method="replace", order=()), bare, archived(bare, rows))
    with pytest.raises(SchemaConflict, match="charges has no column created"):
        destination.load(_load("run-2", _days(0, 3)), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert _rows(destination) == rows


def test_new_columns_are_added_and_another_type_is_refused(destination: Destination, archived: Archived) -> None:
    destination.load(_load("run-1", _days(0, 3)), _SCHEMA, archived(_SCHEMA, _ROWS))
    wider = _SCHEMA.append(pa.field("new", pa.string()))
    later = [_row("b", 1) | {"new": "x"}]
    destination.load(_load("run-2", _days(1, 2)), wider, archived(wider, later))
    whole = [row | {"new": "x" if row["id"] == "b" else None} for row in _ROWS]
    assert _rows(destination) == whole
    other = _SCHEMA.set(2, pa.field("amount", pa.string()))
    bigint, text = spelled(destination, "BIGINT"), spelled(destination, "VARCHAR")
    with pytest.raises(SchemaConflict, match=f"amount of charges is {bigint} in the table and {text} in the data"):
        destination.load(_load("run-3", _days(1, 2)), other, ())
    assert _rows(destination) == whole


def test_a_table_that_is_not_ours_is_refused(destination: Destination) -> None:
    make_theirs(destination, "SELECT 'mine' AS id, now() AS created, 1::BIGINT AS amount")
    with pytest.raises(DestinationRejected, match="not made by Counterfoil"):
        destination.load(_load("run-1", Window()), _SCHEMA, ())
    assert destination.rows("charges") == 1
    assert destination.load(_load("run-1", Window(), overwrite=True), _SCHEMA, ()).deleted == 1


def test_files_of_other_ranges_are_not_written_anew(
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
