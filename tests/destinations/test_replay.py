"""A table is rebuilt from archived loads, atomically and exactly once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination
from counterfoil.errors import RunError, SchemaConflict
from counterfoil.values import Load, Loaded, Method, Part, Window
from tests.destinations.conftest import Archived, create_unmanaged_table, raises, rejects_unmanaged, type_name

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("created", pa.timestamp("us", tz="UTC")),
        pa.field("json", pa.string(), metadata={b"counterfoil": b"json"}),
        pa.field("_deleted", pa.bool_()),
        pa.field("_deleted_at", pa.timestamp("us", tz="UTC")),
    ]
)
_START = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
_DAY = 86_400


def _row(name: str, day: int, json: str | None = "{}") -> dict[str, Any]:
    created = _START + dt.timedelta(days=day)
    return {"id": name, "created": created, "json": json, "_deleted": False, "_deleted_at": None}


def _load(run: str, method: Method, **changes: Any) -> Load:
    start = {"run": run, "table": "charges", "method": method, "primary_key": ("id",), "created": "created"}
    return Load(**start | {"order": ("id",), "as_of": int(_START.timestamp())} | changes)


def _rows(destination: Destination) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = destination.query("SELECT * FROM charges ORDER BY id, json").read_all().to_pylist()
    # Domo has no booleans and stores them as text.
    return [row | {"_deleted": row["_deleted"] in (True, "true")} if "_deleted" in row else row for row in found]


def _days(first: int, end: int) -> Window:
    start = int(_START.timestamp())
    return Window(start + first * _DAY, start + end * _DAY)


Loads = list[tuple[Load, tuple[Part, ...]]]


def _loads(destination: Destination, archived: Archived) -> Loads:
    """A full refresh and later loads, with the methods that the destination supports."""
    parts = archived(_SCHEMA, [_row("a", 0), _row("b", 1), _row("c", 2)])
    loads: Loads = [
        (_load("run-1", "replace", scope={"since": 7}), parts),
        (_load("run-2", "append"), archived(_SCHEMA, [_row("d", 3)])),
    ]
    if "partition" in destination.kind.methods:
        again = archived(_SCHEMA, [_row("c", 2, '{"x": 1}')])
        loads.append((_load("run-3", "partition", covers=(_days(1, 3),)), again))
    loads.append((_load("run-4", "append"), ()))
    if "merge" in destination.kind.methods:
        later = archived(_SCHEMA, [_row("a", 0, None), _row("e", 4)])
        loads += [
            (_load("run-5", "merge", covers=(Window(),)), later),
            (_load("run-6", "merge"), archived(_SCHEMA, [_row("c", 2)])),
        ]
    return loads


def test_replay_restores_table_after_each_load(destination: Destination, archived: Archived) -> None:
    loads = _loads(destination, archived)
    states = []
    for load, parts in loads:
        destination.load(load, _SCHEMA, parts)
        states.append((_rows(destination), destination.columns("charges")))
    for number in range(len(loads), 0, -1):
        before = destination.rows("charges")
        done = destination.replay(loads[:number], _SCHEMA, run=f"back-{number}")
        assert (_rows(destination), destination.columns("charges")) == states[number - 1]
        rows = len(_rows(destination))
        assert done == Loaded(rows=rows, added=rows, deleted=before or 0)
        assert destination.rows("charges") == rows


def test_replay_counts_once_and_later_loads_continue_from_it(destination: Destination, archived: Archived) -> None:
    loads = _loads(destination, archived)
    for load, parts in loads:
        destination.load(load, _SCHEMA, parts)
    once = destination.replay(loads[:1], _SCHEMA, run="back")
    destination.load(_load("run-9", "append"), _SCHEMA, archived(_SCHEMA, [_row("z", 9)]))
    assert destination.replay(loads[:1], _SCHEMA, run="back") == once
    assert [row["id"] for row in _rows(destination)] == ["a", "b", "c", "z"]
    assert destination.scopes("charges") == ({}, {"since": 7}), "the table has no loads from before the replay"
    assert destination.has_load(_load("back", "replace"))
    assert destination.has_load(loads[-1][0]), "a late attempt does not load a run that was rolled back"


def test_replay_creates_missing_table(destination: Destination, archived: Archived) -> None:
    loads = _loads(destination, archived)[1:]
    assert destination.replay(loads[:1], _SCHEMA, run="back") == Loaded(rows=1, added=1)
    assert _rows(destination) == [_row("d", 3)]


def test_replay_has_columns_of_parts_and_of_report(destination: Destination, archived: Archived) -> None:
    old = _SCHEMA.append(pa.field("old", pa.int64()))
    new = _SCHEMA.append(pa.field("new", pa.int64()))
    loads = [(_load("run-1", "replace"), archived(old, [_row("a", 0) | {"old": 5}]))]
    destination.replay(loads, new, run="back")
    assert _rows(destination) == [_row("a", 0) | {"old": 5, "new": None}]
    other = _SCHEMA.append(pa.field("old", pa.string()))
    bigint, text = type_name(destination, "BIGINT"), type_name(destination, "VARCHAR")
    with raises(SchemaConflict, "old", "charges", bigint, text, code="column_type_conflict"):
        destination.replay(loads, other, run="again")
    assert _rows(destination) == [_row("a", 0) | {"old": 5, "new": None}]


def test_failed_replay_leaves_table_unchanged(destination: Destination, archived: Archived) -> None:
    loads = _loads(destination, archived)
    destination.load(_load("run-0", "replace"), _SCHEMA, archived(_SCHEMA, [_row("y", 0)]))
    (part,) = archived(_SCHEMA, [_row("x", 5)])
    if "partition" in destination.kind.methods:
        stray, code = (_load("run-x", "partition", covers=(_days(0, 1),)), (part,)), "rows_outside_ranges"
    else:
        stray = (_load("run-x", "append"), (Part(part.path, 2, part.bytes, part.checksum),))
        code = "row_count_mismatch"
    with raises(RunError, code=code):
        destination.replay([*loads, stray], _SCHEMA, run="back")
    assert _rows(destination) == [_row("y", 0)]
    assert not destination.has_load(_load("back", "replace"))


@pytest.mark.parametrize("tables", [(), ("charges", "refunds")])
def test_replay_requires_loads_of_one_table(destination: Destination, tables: tuple[str, ...]) -> None:
    with raises(RunError, code="invalid_replay"):
        destination.replay([(_load("run", "replace", table=table), ()) for table in tables], _SCHEMA, run="back")


def test_unmanaged_table_is_not_rebuilt(destination: Destination) -> None:
    create_unmanaged_table(destination, "SELECT 'mine' AS id")
    with rejects_unmanaged():
        destination.replay([(_load("run-1", "replace"), ())], _SCHEMA, run="back")
    assert destination.rows("charges") == 1


def test_replay_leaves_only_table(parquet_destination: Destination, archived: Archived, tmp_path: Any) -> None:
    parquet_destination.replay(_loads(parquet_destination, archived), _SCHEMA, run="back")
    assert len(list(tmp_path.glob("stripe/.counterfoil/charges/*"))) == 1
