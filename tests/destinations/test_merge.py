"""Merging by key: rows that are added, changed, unchanged, deleted and restored."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from counterfoil.destinations import Destination
from counterfoil.errors import RunError, SchemaConflict
from counterfoil.values import Load, Loaded, Window
from tests.destinations.conftest import (
    Archived,
    create_unmanaged_table,
    execute_sql,
    raises,
    rejects_unmanaged,
    type_name,
)

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("created", pa.timestamp("us", tz="UTC")),
        pa.field("amount", pa.int64()),
        pa.field("metadata", pa.string(), metadata={b"counterfoil": b"json"}),
        pa.field("object", pa.string()),
        pa.field("_run", pa.string()),
        pa.field("_synced_at", pa.timestamp("us", tz="UTC")),
        pa.field("_deleted", pa.bool_()),
        pa.field("_deleted_at", pa.timestamp("us", tz="UTC")),
    ]
)
_WHOLE = {"covers": (Window(),)}


def _at(seconds: int) -> dt.datetime:
    return dt.datetime(2027, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)


def _row(
    key: str | None, amount: int | None = 1, *, synced: int = 0, run: str = "run-1", **more: Any
) -> dict[str, Any]:
    row = {"id": key, "created": _at(0), "amount": amount, "metadata": "{}", "object": "charge"}
    row |= {"_run": run, "_synced_at": _at(synced)}
    return {**row, "_deleted": False, "_deleted_at": None} | more


def _load(run: str = "run-1", **changes: Any) -> Load:
    start = {"run": run, "table": "charges", "method": "merge", "primary_key": ("id",), "order": ("id",)}
    return Load(**start | {"created": "created"} | changes)


def _rows(destination: Destination, columns: str = "*") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        destination.query(f"SELECT {columns} FROM charges ORDER BY id NULLS LAST, amount").read_all().to_pylist()
    )
    return found


@pytest.fixture
def destination(with_merge: Destination) -> Destination:
    return with_merge


def test_first_merge_creates_table_in_order(destination: Destination, archived: Archived) -> None:
    rows = [_row("ch_2"), _row("ch_1"), _row("ch_3")]
    assert destination.load(_load(), _SCHEMA, archived(_SCHEMA, rows)) == Loaded(rows=3, added=3)
    stored = destination.query("SELECT * FROM charges").read_all().to_pylist()
    # Only in a DuckDB file does Counterfoil determine the order of rows.
    assert (stored if destination.name.startswith("duckdb:") else _rows(destination)) == [rows[1], rows[0], rows[2]]


def test_merge_adds_and_changes_rows_and_keeps_unchanged_ones(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("ch_1"), _row("ch_2"), _row("ch_3", None)]))
    later = [_row("ch_3", 3, synced=9, run="b"), _row("ch_1", synced=9, run="b"), _row("ch_4", synced=9, run="b")]
    done = destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, later))
    assert (done, done.unchanged) == (Loaded(rows=3, added=1, changed=1), 1)
    assert _rows(destination) == [_row("ch_1"), _row("ch_2"), later[0], later[2]]


def test_merge_loaded_twice_counts_once(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("ch_1"), _row("ch_2")]))
    parts = archived(_SCHEMA, [_row("ch_1", 2), _row("ch_3")])
    load = _load("run-2", **_WHOLE)
    assert [destination.load(load, _SCHEMA, parts) for _ in range(2)] == [
        Loaded(rows=2, added=1, changed=1, deleted=1)
    ] * 2
    same = destination.load(_load("run-3", **_WHOLE), _SCHEMA, parts)
    assert same == Loaded(rows=2), "the same rows of another run change nothing"


@pytest.mark.parametrize("first", [True, False], ids=["new table", "existing table"])
def test_last_read_row_of_key_wins(destination: Destination, archived: Archived, first: bool) -> None:
    if not first:
        destination.load(_load("run-0"), _SCHEMA, archived(_SCHEMA, [_row("ch_1", 0)]))
    one = [_row("ch_1", 5, synced=5), _row("ch_2", 1), _row("ch_2", 2), _row("ch_3", 1)]
    two = [_row("ch_1", 4, synced=4), _row("ch_3", 2), _row(None, 1), _row(None, 2)]
    done = destination.load(_load(), _SCHEMA, archived(_SCHEMA, one) + archived(_SCHEMA, two))
    assert done == (Loaded(rows=4, added=4) if first else Loaded(rows=4, added=3, changed=1))
    assert _rows(destination, "id, amount") == [
        {"id": "ch_1", "amount": 5},
        {"id": "ch_2", "amount": 2},
        {"id": "ch_3", "amount": 2},
        {"id": None, "amount": 2},
    ]


def test_swapped_values_are_a_change(destination: Destination, archived: Archived) -> None:
    schema = pa.schema([pa.field(name, pa.int64()) for name in ("id", "one", "two")])
    values = [(1, 2), (2, 1), (None, 1), (1, None), (0, None), (None, None)]
    for number, (one, two) in enumerate(values):
        parts = archived(schema, [{"id": 1, "one": one, "two": two}])
        assert destination.load(_load(f"{number}"), schema, parts).unchanged == 0
        assert _rows(destination, "one, two, 1 AS amount")[0] == {"one": one, "two": two, "amount": 1}


def test_composite_key_identifies_rows(destination: Destination, archived: Archived) -> None:
    load = {"primary_key": ("id", "amount")}
    destination.load(_load(**load), _SCHEMA, archived(_SCHEMA, [_row("a", 1), _row("a", None), _row("b", 1)]))
    later = [_row("a", None, metadata='{"x": 1}'), _row("b", 2)]
    assert destination.load(_load("run-2", **load), _SCHEMA, archived(_SCHEMA, later)) == Loaded(
        rows=2, added=1, changed=1
    )
    assert [row["metadata"] for row in _rows(destination)] == ["{}", '{"x": 1}', "{}", "{}"]


def test_full_refresh_marks_missing_rows_and_keeps_values(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("ch_1", 7), _row("ch_2")]))
    parts = archived(_SCHEMA, [_row("ch_2", synced=60)])
    assert destination.load(_load("run-2", **_WHOLE), _SCHEMA, parts) == Loaded(rows=1, deleted=1)
    assert _rows(destination) == [_row("ch_1", 7, _deleted=True, _deleted_at=_at(60)), _row("ch_2")]
    assert destination.load(_load("run-3", **_WHOLE), _SCHEMA, parts) == Loaded(rows=1), "marked once"
    assert _rows(destination, "_deleted_at")[0] == {"_deleted_at": _at(60)}


def test_reappearing_row_is_no_longer_deleted(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [_row("ch_1")])
    destination.load(_load(), _SCHEMA, parts)
    assert destination.load(_load("run-2", **_WHOLE, as_of=int(_at(5).timestamp())), _SCHEMA, ()).deleted == 1
    assert _rows(destination, "_deleted_at") == [{"_deleted_at": _at(5)}]
    assert destination.load(_load("run-3"), _SCHEMA, parts) == Loaded(rows=1, changed=1)
    assert _rows(destination) == [_row("ch_1")]


def test_missing_rows_can_be_dropped(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("ch_1"), _row("ch_2"), _row("ch_3")]))
    destination.load(_load("run-2", **_WHOLE), _SCHEMA, archived(_SCHEMA, [_row("ch_2"), _row("ch_3")]))
    dropping = _load("run-3", **_WHOLE, deleted="drop")
    assert destination.load(dropping, _SCHEMA, archived(_SCHEMA, [_row("ch_3")])) == Loaded(rows=1, deleted=2)
    assert _rows(destination) == [_row("ch_3")]


def test_only_rows_in_read_ranges_are_deleted(destination: Destination, archived: Archived) -> None:
    rows = [_row(f"ch_{n}", created=_at(n)) for n in range(6)] + [_row("ch_x", created=None)]
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, rows))
    start = int(_at(0).timestamp())
    ranges = (Window(start + 1, start + 3), Window(start + 4, None))
    done = destination.load(_load("run-2", covers=ranges), _SCHEMA, archived(_SCHEMA, [rows[5]]))
    assert done == Loaded(rows=1, deleted=3)
    assert [row["id"] for row in _rows(destination) if row["_deleted"]] == ["ch_1", "ch_2", "ch_4"]


def test_deletion_notice_never_replaces_values(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("ch_1", 7), _row("ch_2")]))
    gone = {"created": None, "metadata": None, "object": None, "_deleted": True, "_deleted_at": _at(60), "synced": 60}
    notices = archived(_SCHEMA, [_row("ch_1", None, **gone), _row("ch_9", None, **gone)])
    assert destination.load(_load("run-2"), _SCHEMA, notices) == Loaded(rows=1, deleted=1)
    assert [(row["id"], row["amount"], row["_deleted_at"]) for row in _rows(destination)] == [
        ("ch_1", 7, _at(60)),
        ("ch_2", 1, None),
    ], "a notice for an unknown key creates no row"
    assert destination.load(_load("run-3", deleted="drop"), _SCHEMA, notices) == Loaded(rows=1, deleted=1)
    assert [row["id"] for row in _rows(destination)] == ["ch_2"]


@pytest.mark.parametrize("first", [True, False], ids=["new table", "existing table"])
def test_object_first_seen_deleted_is_inserted_as_deleted(
    destination: Destination, archived: Archived, first: bool
) -> None:
    if not first:
        destination.load(_load("run-0"), _SCHEMA, archived(_SCHEMA, [_row("ch_0")]))
    gone = {"_deleted": True, "_deleted_at": _at(60), "synced": 60}
    rows = [_row("ch_1", 7, **gone), _row("ch_2")]
    load, parts = _load("run-1", **_WHOLE if first else {}), archived(_SCHEMA, rows)
    assert destination.load(load, _SCHEMA, parts) == Loaded(rows=2, added=2)
    assert [row for row in _rows(destination) if row["id"] != "ch_0"] == rows
    assert destination.load(_load("run-2"), _SCHEMA, parts) == Loaded(rows=2), "the same rows again are no change"
    later = archived(_SCHEMA, [_row("ch_1", 8, **gone), _row("ch_2", 1, **gone)])
    assert destination.load(_load("run-3"), _SCHEMA, later) == Loaded(rows=2, deleted=1)
    assert [row["amount"] for row in _rows(destination) if row["_deleted"]] == [7, 1], "values are kept"
    assert destination.load(_load("run-4"), _SCHEMA, archived(_SCHEMA, [_row("ch_1", 9)])).changed == 1
    assert [row["id"] for row in _rows(destination) if row["_deleted"]] == ["ch_2"]


@pytest.mark.parametrize("first", [True, False], ids=["new table", "existing table"])
def test_object_first_seen_deleted_has_no_row_when_dropping(
    destination: Destination, archived: Archived, first: bool
) -> None:
    if not first:
        destination.load(_load("run-0"), _SCHEMA, archived(_SCHEMA, [_row("ch_2")]))
    rows = [_row("ch_1", 7, _deleted=True, _deleted_at=_at(60)), _row("ch_2")]
    destination.load(_load("run-1", deleted="drop"), _SCHEMA, archived(_SCHEMA, rows))
    assert [row["id"] for row in _rows(destination)] == ["ch_2"]


def test_new_columns_are_added_and_missing_ones_are_null(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("ch_1"), _row("ch_2")]))
    other = _SCHEMA.remove(_SCHEMA.get_field_index("metadata")).append(pa.field("new", pa.int64()))
    rows = [_row("ch_1") | {"new": 5}, _row("ch_3") | {"new": None}]
    done = destination.load(_load("run-2"), other, archived(other, rows))
    assert done == Loaded(rows=2, added=1, changed=1)
    assert _rows(destination, "id, metadata, new") == [
        {"id": "ch_1", "metadata": None, "new": 5},
        {"id": "ch_2", "metadata": "{}", "new": None},
        {"id": "ch_3", "metadata": None, "new": None},
    ]


def test_different_column_type_changes_nothing(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("ch_1")]))
    before = destination.columns("charges")
    index = _SCHEMA.get_field_index("amount")
    other = _SCHEMA.set(index, pa.field("amount", pa.float64())).insert(0, pa.field("fresh", pa.int64()))
    bigint, double = type_name(destination, "BIGINT"), type_name(destination, "DOUBLE")
    with raises(SchemaConflict, "amount", "charges", bigint, double, code="column_type_conflict"):
        destination.load(_load("run-2"), other, archived(other, [_row("ch_1", 2) | {"fresh": 1}]))
    assert (_rows(destination), destination.columns("charges")) == ([_row("ch_1")], before)


def test_duplicated_key_becomes_one_row(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [_row("ch_1"), _row("ch_2")])
    for run in ("a", "b"):
        destination.load(_load(run, method="append"), _SCHEMA, parts)
    assert destination.load(_load("c"), _SCHEMA, archived(_SCHEMA, [_row("ch_1")])) == Loaded(rows=1, changed=1)
    assert [row["id"] for row in _rows(destination)] == ["ch_1", "ch_2", "ch_2"]


@pytest.mark.parametrize(
    ("changes", "names", "values", "code"),
    [
        ({"primary_key": ()}, _SCHEMA.names, ["no columns"], "column_missing"),
        ({"primary_key": ("key",)}, _SCHEMA.names, ["key"], "column_missing"),
        (_WHOLE, ["id", "amount"], ["_deleted", "_deleted_at"], "column_missing"),
        ({"covers": (Window(5),), "created": None}, _SCHEMA.names, ["charges", "merge"], "creation_time_missing"),
        ({"covers": (Window(5),), "created": "amount"}, _SCHEMA.names, ["charges", "merge"], "creation_time_missing"),
    ],
)
def test_merge_without_required_column_is_rejected(
    destination: Destination, changes: dict[str, Any], names: list[str], values: list[str], code: str
) -> None:
    schema = pa.schema([_SCHEMA.field(name) for name in names])
    with raises(RunError, *values, code=code):
        destination.load(_load(**changes), schema, ())
    assert destination.columns("charges") is None


@pytest.mark.parametrize("name", ["rowid", "FILE_INDEX", "file_row_number"])
def test_reserved_column_name_is_rejected(duckdb_destination: Destination, archived: Archived, name: str) -> None:
    destination = duckdb_destination
    schema = _SCHEMA.append(pa.field(name, pa.int64()))
    parts = archived(schema, [_row("ch_1") | {name: 0}, _row("ch_2") | {name: 0}])
    destination.load(_load(method="replace"), schema, parts)
    with raises(SchemaConflict, name, code="reserved_column"):
        destination.load(_load("run-2"), schema, parts)


def test_hostile_names_work_in_merge(destination: Destination, archived: Archived, tmp_path: Path) -> None:
    names = ["position", "place", "gone", "same", "known", "compared", "key0", "fingerprint", "present", 'q"u', "it's"]
    if destination.name.startswith("dlt+"):
        names = [name for name in names if name.isidentifier()]
    schema = _SCHEMA
    for name in names:
        schema = schema.append(pa.field(name, pa.string()))
    load = {"table": "incoming", "primary_key": ("id", "key0", names[-2])}
    rows = [_row(f"ch_{n}") | {name: f"{name}{n}" for name in names} for n in range(4)]
    destination.load(_load(**load), schema, archived(schema, rows[:3]))
    later = [*rows[2:], rows[0] | {"gone": "x"}]
    done = destination.load(_load("run-2", **load, **_WHOLE), schema, archived(schema, later))
    assert done == Loaded(rows=3, added=1, changed=1, deleted=1)
    stored = destination.query("SELECT id, gone FROM incoming ORDER BY id").read_all().to_pylist()
    assert [row["gone"] for row in stored] == ["x", "gone1", "gone2", "gone3"]


def test_manually_dropped_table_is_created_again(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [_row("ch_1")])
    destination.load(_load(), _SCHEMA, parts)
    execute_sql(destination, "DROP TABLE charges")
    assert not destination.has_load(_load())
    assert destination.load(_load(), _SCHEMA, parts) == Loaded(rows=1, added=1)
    assert _rows(destination) == [_row("ch_1")]


def test_table_in_another_schema_is_unchanged(with_history: Destination, archived: Archived) -> None:
    destination = with_history
    other = f"other_{uuid.uuid4().hex}"
    execute_sql(destination, f"CREATE SCHEMA {other}", f"CREATE TABLE {other}.charges AS SELECT 'ch_1' AS id")
    assert destination.load(_load(), _SCHEMA, archived(_SCHEMA, [_row("ch_1", 1)])) == Loaded(rows=1, added=1)
    assert destination.load(_load("run-2", **_WHOLE), _SCHEMA, ()) == Loaded(deleted=1)
    assert destination.query(f"SELECT * FROM {other}.charges").read_all().to_pylist() == [{"id": "ch_1"}]


def test_unmanaged_table_is_merged_only_with_overwrite(destination: Destination, archived: Archived) -> None:
    create_unmanaged_table(destination, "SELECT 'mine' AS id, 1::BIGINT AS amount")
    with rejects_unmanaged():
        destination.load(_load(**_WHOLE), _SCHEMA, archived(_SCHEMA, [_row("ch_1")]))
    assert _rows(destination) == [{"id": "mine", "amount": 1}]
    assert destination.load(_load(overwrite=True), _SCHEMA, archived(_SCHEMA, [_row("mine")])).changed == 1


def test_load_record_of_first_release_is_supported(duckdb_destination: Destination, archived: Archived) -> None:
    destination = duckdb_destination
    parts = archived(_SCHEMA, [_row("ch_1")])
    destination.load(_load(method="replace"), _SCHEMA, parts)
    for name in ("added", "changed", "deleted"):
        execute_sql(destination, f"ALTER TABLE _counterfoil_loads DROP COLUMN {name}")
    assert destination.has_load(_load())
    assert destination.scopes("charges") == ({},)
    assert destination.load(_load(method="replace"), _SCHEMA, parts) == Loaded(rows=1, added=1)
    assert destination.load(_load("run-2"), _SCHEMA, parts) == Loaded(rows=1)


_KEYS = st.sampled_from(["a", "b", "c", "d"])
_STEPS = st.fixed_dictionaries(
    {
        "parts": st.lists(
            st.lists(st.tuples(_KEYS, st.none() | st.integers(0, 2), st.integers(0, 1)), max_size=4), max_size=2
        ),
        "whole": st.booleans(),
        "deleted": st.sampled_from(["keep", "drop"]),
    }
)


@pytest.mark.parametrize("fresh", ["duckdb", "postgres", "delta"], indirect=True)
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=8)
@given(steps=st.lists(_STEPS, min_size=1, max_size=4))
def test_random_merges_match_a_dictionary(
    fresh: Callable[[], Destination], archived: Archived, steps: list[dict[str, Any]]
) -> None:
    destination = fresh()
    table: dict[str, tuple[int | None, bool]] = {}
    for run, step in enumerate(steps):
        read: dict[str, tuple[int, int | None]] = {}
        for key, amount, synced in (row for part in step["parts"] for row in part):
            if synced >= read.get(key, (0, None))[0]:
                read[key] = synced, amount
        now = {key: (amount, False) for key, (_, amount) in read.items()}
        missing = [key for key in table if step["whole"] and key not in now]
        gone = [key for key in missing if step["deleted"] == "drop" or not table[key][1]]
        expected = Loaded(
            rows=len(now),
            added=len(now.keys() - table.keys()),
            changed=sum(key in table and table[key] != value for key, value in now.items()),
            deleted=len(gone),
        )
        table |= now
        for key in gone:
            table[key] = table[key][0], True
            if step["deleted"] == "drop":
                del table[key]
        parts = [
            part
            for rows in step["parts"]
            for part in archived(_SCHEMA, [_row(key, amount, synced=synced) for key, amount, synced in rows])
        ]
        load = _load(f"{run}", covers=(Window(),) if step["whole"] else (), deleted=step["deleted"])
        assert [destination.load(load, _SCHEMA, parts) for _ in range(2)] == [expected] * 2
        assert {row["id"]: (row["amount"], row["_deleted"]) for row in _rows(destination)} == table
        assert destination.rows("charges") == len(table)


@pytest.mark.thorough
@pytest.mark.parametrize("fresh", ["dlt"], indirect=True)
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=2)
@given(steps=st.lists(_STEPS, min_size=2, max_size=4))
def test_random_merges_into_warehouse_match_a_dictionary(
    fresh: Callable[[], Destination], archived: Archived, steps: list[dict[str, Any]]
) -> None:
    test_random_merges_match_a_dictionary.hypothesis.inner_test(fresh, archived, steps)
