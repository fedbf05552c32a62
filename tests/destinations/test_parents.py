"""Merging all rows of some parents: rows that the parts lack are deleted, and no others."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination
from counterfoil.errors import RunError
from counterfoil.values import Load, Loaded, Parents, Window
from tests.destinations.conftest import Archived, raises

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("customer", pa.string()),
        pa.field("created", pa.timestamp("us", tz="UTC")),
        pa.field("_deleted", pa.bool_()),
        pa.field("_deleted_at", pa.timestamp("us", tz="UTC")),
    ]
)
_START = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


def _row(key: str, customer: str | None, second: int = 0) -> dict[str, Any]:
    created = _START + dt.timedelta(seconds=second)
    return {"id": key, "customer": customer, "created": created, "_deleted": False, "_deleted_at": None}


def _load(run: str, *ids: str, **changes: Any) -> Load:
    start = {"run": run, "table": "discounts", "method": "merge", "primary_key": ("id",), "created": "created"}
    parents = {"parents": Parents("customer", ids)} if ids else {}
    return Load(**start | parents | {"as_of": int(_START.timestamp()) + 60} | changes)


def _deleted(destination: Destination) -> dict[str, bool]:
    rows = destination.query("SELECT id, _deleted, _deleted_at FROM discounts ORDER BY id").read_all().to_pylist()
    assert all(row["_deleted_at"] == (_START + dt.timedelta(seconds=60) if row["_deleted"] else None) for row in rows)
    return {row["id"]: row["_deleted"] for row in rows}


@pytest.fixture
def destination(with_merge: Destination, archived: Archived) -> Destination:
    """Each destination that supports merge, with rows of two customers and a row without a customer."""
    rows = [_row("a1", "a"), _row("a2", "a"), _row("b1", "b", 1), _row("b2", "b", 2), _row("n", None)]
    with_merge.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, rows))
    return with_merge


def test_missing_rows_of_parent_are_marked_deleted(destination: Destination, archived: Archived) -> None:
    load, parts = _load("run-2", "a"), archived(_SCHEMA, [_row("a1", "a"), _row("a3", "a")])
    assert [destination.load(load, _SCHEMA, parts) for _ in range(2)] == [Loaded(rows=2, added=1, deleted=1)] * 2
    assert _deleted(destination) == {"a1": False, "a2": True, "a3": False, "b1": False, "b2": False, "n": False}
    assert destination.load(_load("run-3", "a"), _SCHEMA, parts) == Loaded(rows=2), "marked once"


def test_missing_rows_of_parent_can_be_dropped(destination: Destination, archived: Archived) -> None:
    destination.load(_load("run-2", "a"), _SCHEMA, archived(_SCHEMA, [_row("a1", "a")]))
    load = _load("run-3", "a", "b", deleted="drop")
    assert destination.load(load, _SCHEMA, archived(_SCHEMA, [_row("b2", "b", 2)])) == Loaded(rows=1, deleted=3)
    assert _deleted(destination) == {"b2": False, "n": False}


def test_row_moved_to_another_parent_is_not_deleted(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [_row("a1", "a"), _row("a2", "b")])
    assert destination.load(_load("run-2", "a"), _SCHEMA, parts) == Loaded(rows=2, changed=1)
    assert _deleted(destination) == dict.fromkeys(["a1", "a2", "b1", "b2", "n"], False)


def test_deletions_by_parent_and_by_range_are_combined(destination: Destination) -> None:
    start = int(_START.timestamp())
    done = destination.load(_load("run-2", "a", covers=(Window(start + 1, start + 2),)), _SCHEMA, ())
    assert done == Loaded(deleted=3)
    assert _deleted(destination) == {"a1": True, "a2": True, "b1": True, "b2": False, "n": False}


def test_many_and_hostile_parent_ids_match_exactly(destination: Destination, archived: Archived) -> None:
    hostile = ["'); DROP TABLE discounts; --", 'q"u', "nul\0", "%", "\\", "🦆", ""]
    parts = archived(_SCHEMA, [_row(f"h{number}", name) for number, name in enumerate(hostile)])
    destination.load(_load("run-2"), _SCHEMA, parts)
    load = _load("run-3", *hostile, *(f"cus_{number}" for number in range(100_000)))
    assert destination.load(load, _SCHEMA, ()) == Loaded(deleted=len(hostile))
    assert [key for key, deleted in _deleted(destination).items() if not deleted] == ["a1", "a2", "b1", "b2", "n"]


def test_first_load_by_parent_creates_table(with_merge: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [_row("a1", "a"), _row("a1", "a"), _row("b1", "b")])
    assert with_merge.load(_load("run-1", "a", "c"), _SCHEMA, parts) == Loaded(rows=2, added=2)
    assert _deleted(with_merge) == {"a1": False, "b1": False}


@pytest.mark.parametrize("without", ["customer", "_deleted"])
def test_merge_by_parent_without_required_column_is_rejected(destination: Destination, without: str) -> None:
    schema = _SCHEMA.remove(_SCHEMA.get_field_index(without))
    with raises(RunError, without, code="column_missing"):
        destination.load(_load("run-2", "a"), schema, ())
