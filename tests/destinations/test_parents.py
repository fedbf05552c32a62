"""Merging all rows of some parents: what the parts lack of them is deleted, and nothing else is."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination
from counterfoil.errors import RunError
from counterfoil.values import Load, Loaded, Parents, Window
from tests.destinations.conftest import Archived

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
def destination(merging: Destination, archived: Archived) -> Destination:
    """Each destination that can merge, with rows of two customers and of nobody."""
    rows = [_row("a1", "a"), _row("a2", "a"), _row("b1", "b", 1), _row("b2", "b", 2), _row("n", None)]
    merging.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, rows))
    return merging


def test_rows_of_a_parent_that_the_parts_lack_are_marked(destination: Destination, archived: Archived) -> None:
    load, parts = _load("run-2", "a"), archived(_SCHEMA, [_row("a1", "a"), _row("a3", "a")])
    assert [destination.load(load, _SCHEMA, parts) for _ in range(2)] == [Loaded(rows=2, added=1, deleted=1)] * 2
    assert _deleted(destination) == {"a1": False, "a2": True, "a3": False, "b1": False, "b2": False, "n": False}
    assert destination.load(_load("run-3", "a"), _SCHEMA, parts) == Loaded(rows=2), "marked once"


def test_rows_of_a_parent_that_the_parts_lack_can_be_dropped(destination: Destination, archived: Archived) -> None:
    destination.load(_load("run-2", "a"), _SCHEMA, archived(_SCHEMA, [_row("a1", "a")]))
    load = _load("run-3", "a", "b", deleted="drop")
    assert destination.load(load, _SCHEMA, archived(_SCHEMA, [_row("b2", "b", 2)])) == Loaded(rows=1, deleted=3)
    assert _deleted(destination) == {"b2": False, "n": False}


def test_a_row_that_went_to_another_parent_is_not_deleted(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [_row("a1", "a"), _row("a2", "b")])
    assert destination.load(_load("run-2", "a"), _SCHEMA, parts) == Loaded(rows=2, changed=1)
    assert _deleted(destination) == dict.fromkeys(["a1", "a2", "b1", "b2", "n"], False)


def test_rows_of_parents_and_rows_in_ranges_are_judged_together(destination: Destination) -> None:
    start = int(_START.timestamp())
    done = destination.load(_load("run-2", "a", covers=(Window(start + 1, start + 2),)), _SCHEMA, ())
    assert done == Loaded(deleted=3)
    assert _deleted(destination) == {"a1": True, "a2": True, "b1": True, "b2": False, "n": False}


def test_ids_are_only_ids_however_many_and_whatever_is_in_them(destination: Destination, archived: Archived) -> None:
    hostile = ["'); DROP TABLE discounts; --", 'q"u', "nul\0", "%", "\\", "🦆", ""]
    parts = archived(_SCHEMA, [_row(f"h{number}", name) for number, name in enumerate(hostile)])
    destination.load(_load("run-2"), _SCHEMA, parts)
    load = _load("run-3", *hostile, *(f"cus_{number}" for number in range(100_000)))
    assert destination.load(load, _SCHEMA, ()) == Loaded(deleted=len(hostile))
    assert [key for key, deleted in _deleted(destination).items() if not deleted] == ["a1", "a2", "b1", "b2", "n"]


def test_a_first_load_of_the_rows_of_parents_makes_the_table(merging: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [_row("a1", "a"), _row("a1", "a"), _row("b1", "b")])
    assert merging.load(_load("run-1", "a", "c"), _SCHEMA, parts) == Loaded(rows=2, added=2)
    assert _deleted(merging) == {"a1": False, "b1": False}


@pytest.mark.parametrize(("without", "words"), [("customer", "rows of a parent by"), ("_deleted", "needs the columns")])
def test_a_merge_of_parents_that_lacks_a_column_is_refused(destination: Destination, without: str, words: str) -> None:
    schema = _SCHEMA.remove(_SCHEMA.get_field_index(without))
    with pytest.raises(RunError, match=words):
        destination.load(_load("run-2", "a"), schema, ())
