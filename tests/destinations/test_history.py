"""The history of a table: when versions are created, how long they are valid, and the table as of a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from counterfoil.destinations import Destination
from counterfoil.errors import INVALID_TABLE, DestinationRejected, RunError, SchemaConflict
from counterfoil.values import Load, Parents, Part, Window
from tests.destinations.conftest import Archived, execute_sql, raises, type_name

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("customer", pa.string()),
        pa.field("amount", pa.int64()),
        pa.field("metadata", pa.string(), metadata={b"counterfoil": b"json"}),
        pa.field("_run", pa.string()),
        pa.field("_synced_at", pa.timestamp("us", tz="UTC")),
        pa.field("_deleted", pa.bool_()),
        pa.field("_deleted_at", pa.timestamp("us", tz="UTC")),
    ]
)
#: Times before and after the clock of any test.
_START, _LATER = dt.datetime(2001, 1, 1, tzinfo=dt.UTC), dt.datetime(2201, 1, 1, tzinfo=dt.UTC)
_WHOLE = {"covers": (Window(),)}
Version = tuple[Any, ...]


def _at(seconds: int, start: dt.datetime = _START) -> dt.datetime:
    return start + dt.timedelta(seconds=seconds)


def _row(key: str, amount: int | None = 1, second: int = 0, **more: Any) -> dict[str, Any]:
    row = {"id": key, "customer": "cus", "amount": amount, "metadata": "{}", "_run": f"{second}"}
    return row | {"_synced_at": _at(second), "_deleted": False, "_deleted_at": None} | more


def _load(second: int, **changes: Any) -> Load:
    start = {"run": f"{second}", "table": "charges", "method": "merge", "primary_key": ("id",), "history": True}
    return Load(**start | {"as_of": int(_at(second).timestamp())} | changes)


def _ask(destination: Destination, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = destination.query(sql).read_all().to_pylist()
    return found


def _versions(destination: Destination, table: str = "charges") -> list[Version]:
    """The key, the amount, and the first and last second of each version, in order."""
    versions = _ask(destination, f'SELECT * FROM "{table}__history" ORDER BY id NULLS LAST, _valid_from')
    bounds = ("_valid_from", "_valid_to")
    seconds = [[v[name] and (v[name] - _START).total_seconds() for name in bounds] for v in versions]
    return [(v["id"], v["amount"], *found) for v, found in zip(versions, seconds, strict=True)]


def _as_of(destination: Destination, instant: dt.datetime, columns: str = "*") -> list[dict[str, Any]]:
    return _ask(destination, f"SELECT {columns} FROM charges__as_of(TIMESTAMPTZ '{instant}') ORDER BY id")


def _now(destination: Destination, columns: str = "*") -> list[dict[str, Any]]:
    return _ask(destination, f"SELECT {columns} FROM charges WHERE NOT _deleted ORDER BY id")


@pytest.fixture
def destination(with_history: Destination) -> Destination:
    return with_history


def test_version_is_valid_until_next_version(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 2)]))
    destination.load(_load(5), _SCHEMA, archived(_SCHEMA, [_row("a", 2, 6), _row("c", None, 7)]))
    assert _versions(destination) == [("a", 1, 1, 6), ("a", 2, 6, None), ("b", 1, 2, None), ("c", None, 7, None)]
    assert [_as_of(destination, _at(second), "id, amount") for second in (0, 1, 5)] == [
        [],
        [{"id": "a", "amount": 1}],
        [{"id": "a", "amount": 1}, {"id": "b", "amount": 1}],
    ]
    assert _as_of(destination, _at(7)) == _now(destination)


def test_unchanged_row_creates_no_version(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1)]))
    before = _ask(destination, "SELECT * FROM charges__history ORDER BY id")
    destination.load(_load(2, **_WHOLE), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 2), _row("b", 1, 2)]))
    assert _ask(destination, "SELECT * FROM charges__history ORDER BY id") == before


@pytest.mark.parametrize("deleted", ["keep", "drop"])
def test_deletion_ends_version_and_reappearance_begins_another(
    destination: Destination, archived: Archived, deleted: Any
) -> None:
    both = archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1)])
    destination.load(_load(1, deleted=deleted), _SCHEMA, both)
    destination.load(_load(2, deleted=deleted, parents=Parents("customer", ("cus",))), _SCHEMA, ())
    notice = [_row("a", None, 3, _deleted=True, _deleted_at=_at(3))]
    destination.load(_load(3, deleted=deleted), _SCHEMA, archived(_SCHEMA, notice))
    assert _versions(destination) == [("a", 1, 1, 2), ("b", 1, 1, 2)]
    destination.load(_load(4, deleted=deleted), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 4)]))
    assert _versions(destination) == [("a", 1, 1, 2), ("a", 1, 4, None), ("b", 1, 1, 2)]
    destination.load(_load(5, deleted=deleted), _SCHEMA, archived(_SCHEMA, [_row("a", None, 6, _deleted=True)]))
    assert _versions(destination) == [("a", 1, 1, 2), ("a", 1, 4, 5), ("b", 1, 1, 2)]
    queries = (f"SELECT count(*) AS rows FROM charges__as_of('{_at(second)}')" for second in range(1, 6))
    assert [row["rows"] for row in _ask(destination, " UNION ALL ".join(queries))] == [2, 0, 0, 1, 0]


def test_run_loaded_twice_counts_once(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1)]))
    for _ in range(2):
        destination.load(_load(2), _SCHEMA, archived(_SCHEMA, [_row("a", 2, 2)]))
    assert _versions(destination) == [("a", 1, 1, 2), ("a", 2, 2, None)]


def test_history_begins_with_current_rows(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1), _row("c", 1, 1)])
    destination.load(_load(1, history=False), _SCHEMA, parts)
    destination.load(_load(2, history=False, **_WHOLE), _SCHEMA, archived(_SCHEMA, [_row("a", 1), _row("b", 2, 2)]))
    destination.load(_load(3), _SCHEMA, archived(_SCHEMA, [_row("d", 1, 3)]))
    assert _versions(destination) == [("a", 1, 1, None), ("b", 2, 2, None), ("d", 1, 3, None)]
    assert _as_of(destination, _at(3)) == _now(destination)


def test_reenabled_history_continues_with_current_rows(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row(key, 1, 1) for key in "abcd"]))
    dropped = {"history": False, "deleted": "drop", **_WHOLE}
    destination.load(_load(2, **dropped), _SCHEMA, archived(_SCHEMA, [_row("a"), _row("b", 2, 2), _row("d")]))
    destination.load(_load(3, history=False, **_WHOLE), _SCHEMA, archived(_SCHEMA, [_row("a"), _row("b", 2)]))
    assert len(_versions(destination)) == 4
    destination.load(_load(5), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 5)]))
    assert _versions(destination) == [
        ("a", 1, 1, None),
        ("b", 1, 1, 2),
        ("b", 2, 2, None),
        ("c", 1, 1, 5),
        ("d", 1, 1, 3),
    ]


def test_replaced_table_continues_its_history(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1), _row("c", 1, 1)]))
    rows = [_row("a", 1, 3), _row("b", 2, 3), _row("d", 1, 3)]
    destination.load(_load(2, method="replace"), _SCHEMA, archived(_SCHEMA, rows))
    expected = [("a", 1, 1, None), ("b", 1, 1, 3), ("b", 2, 3, None), ("c", 1, 1, 2), ("d", 1, 3, None)]
    assert _versions(destination) == expected
    destination.load(_load(5), _SCHEMA, archived(_SCHEMA, [_row("d", 2, 5)]))
    assert _versions(destination) == [*expected[:-1], ("d", 1, 3, 5), ("d", 2, 5, None)]


def test_manually_dropped_table_continues_its_history(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1)]))
    execute_sql(destination, "DROP TABLE charges")
    rows = [_row("b", 1, 3), _row("a", 2, 2), _row("a", 3, 3)]
    destination.load(_load(3), _SCHEMA, archived(_SCHEMA, rows))
    assert _versions(destination) == [("a", 1, 1, 3), ("a", 3, 3, None), ("b", 1, 1, None)]


def test_manually_dropped_history_starts_again(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1)]))
    execute_sql(destination, "DROP TABLE charges__history")
    destination.load(_load(2), _SCHEMA, archived(_SCHEMA, [_row("b", 1, 2)]))
    assert _versions(destination) == [("a", 1, 1, None), ("b", 1, 2, None)]


def test_versions_stay_in_order_when_clock_goes_back_or_stops(destination: Destination, archived: Archived) -> None:
    destination.load(_load(9), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 9), _row("b", 1, 9)]))
    for run, amount in enumerate([2, 3]):
        parts = archived(_SCHEMA, [_row("a", amount, 5)])
        destination.load(_load(4, run=f"back-{run}"), _SCHEMA, parts)
    destination.load(_load(9, run="gone", deleted="drop", **_WHOLE), _SCHEMA, archived(_SCHEMA, [_row("a", 3)]))
    destination.load(_load(3), _SCHEMA, archived(_SCHEMA, [_row("b", 2, 3)]))
    step = 0.000_001
    assert _versions(destination) == [
        ("a", 1, 9, 9 + step),
        ("a", 2, 9 + step, 9 + 2 * step),
        ("a", 3, 9 + 2 * step, None),
        ("b", 1, 9, 9 + step),
        ("b", 2, 9 + step, None),
    ]


def test_version_of_row_without_times_begins_at_load_time(destination: Destination, archived: Archived) -> None:
    schema = pa.schema([_SCHEMA.field(name) for name in ("id", "amount")])
    destination.load(_load(1), schema, archived(schema, [{"id": "a", "amount": 1}, {"id": None, "amount": 1}]))
    gone = {"deleted": "drop", **_WHOLE}
    destination.load(_load(2, **gone), schema, archived(schema, [{"id": None, "amount": 2}]))
    assert _versions(destination) == [("a", 1, 1, 2), (None, 1, 1, 2), (None, 2, 2, None)]


def test_last_read_duplicate_is_the_version(destination: Destination, archived: Archived) -> None:
    for second in (2, 1):
        parts = archived(_SCHEMA, [_row("a", second, second)])
        destination.load(_load(second, method="append", history=False), _SCHEMA, parts)
    destination.load(_load(3), _SCHEMA, archived(_SCHEMA, [_row("b", 1, 3)]))
    assert _versions(destination) == [("a", 2, 2, None), ("b", 1, 3, None)]
    destination.load(_load(4), _SCHEMA, archived(_SCHEMA, [_row("a", 2, 4)]))
    assert _versions(destination) == [("a", 2, 2, None), ("b", 1, 3, None)]


def test_new_columns_are_added_to_history(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1)]))
    other = _SCHEMA.append(pa.field("new", pa.int64()))
    rows = [_row("a", 1, 2) | {"new": 5}, _row("b", 1, 2) | {"new": None}]
    destination.load(_load(2), other, archived(other, rows))
    assert _versions(destination) == [("a", 1, 1, 2), ("a", 1, 2, None), ("b", 1, 1, None)]
    assert _as_of(destination, _at(1), "id, new") == [{"id": "a", "new": None}, {"id": "b", "new": None}]
    assert _as_of(destination, _at(2)) == _now(destination)
    # A table that is replaced can lose columns; its history retains them.
    destination.load(_load(3, method="replace"), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 3), _row("b", 1, 3)]))
    assert _versions(destination) == [("a", 1, 1, 2), ("a", 1, 2, 3), ("a", 1, 3, None), ("b", 1, 1, None)]


def test_added_deletion_columns_create_no_versions(destination: Destination, archived: Archived) -> None:
    schema = pa.schema([field for field in _SCHEMA if not field.name.startswith("_deleted")])
    rows = [{name: value for name, value in _row("a", 1, 1).items() if name in schema.names}]
    destination.load(_load(1), schema, archived(schema, rows))
    destination.load(_load(2), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 2)]))
    assert _versions(destination) == [("a", 1, 1, None)]


def test_different_column_type_than_history_changes_nothing(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1)]))
    other = _SCHEMA.set(_SCHEMA.get_field_index("amount"), pa.field("amount", pa.string()))
    parts = archived(other, [_row("a", second=2) | {"amount": "1"}])
    bigint, text = type_name(destination, "BIGINT"), type_name(destination, "VARCHAR")
    with raises(
        SchemaConflict, "amount", "charges__history", bigint, text, code="column_type_conflict", hint="charges__history"
    ):
        destination.load(_load(2, method="replace"), other, parts)
    assert _now(destination) == _as_of(destination, _at(2)) == [_row("a", 1, 1)]


@pytest.mark.parametrize("name", ["rowid", "_VALID_FROM"])
def test_column_reserved_by_history_is_rejected(destination: Destination, archived: Archived, name: str) -> None:
    name = "_valid_to" if name == "rowid" and destination.kind.dialect != "duckdb" else name
    schema = _SCHEMA.append(pa.field(name, pa.int64()))
    with raises(SchemaConflict, name, code="reserved_column"):
        destination.load(_load(1, method="replace"), schema, archived(schema, [_row("a") | {name: 1}]))
    assert destination.columns("charges") is None


def test_hostile_names_work_in_history(destination: Destination, archived: Archived) -> None:
    names = [
        "instant",
        "place",
        "there",
        "seen_at",
        "since",
        "version",
        "versions",
        "present",
        "changed",
        "key0",
        'q"u',
    ]
    schema = _SCHEMA
    for name in names:
        schema = schema.append(pa.field(name, pa.string()))
    load = {"table": 'it\'s; a "table"', "primary_key": ("id", "key0", 'q"u')}
    rows = [_row(key, 1, 1) | {name: name for name in names} for key in "abc"]
    destination.load(_load(1, **load), schema, archived(schema, rows))
    later = [rows[0] | {"since": "x", "_synced_at": _at(2)}, rows[1]]
    destination.load(_load(2, **load, **_WHOLE), schema, archived(schema, later))
    versions = [("a", 1, 1, 2), ("a", 1, 2, None), ("b", 1, 1, None), ("c", 1, 1, 2)]
    assert _versions(destination, 'it\'s; a ""table""') == versions
    sql = 'SELECT * FROM "it\'s; a ""table""__as_of"(\'{}\') ORDER BY id'
    assert _ask(destination, sql.format(_at(1))) == rows
    assert _ask(destination, sql.format(_at(2))) == later


def test_history_has_comments_and_is_readable_by_plain_duckdb(
    duckdb_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    destination = duckdb_destination
    load = _load(1, comment="Charges: each attempt.", comments={"amount": "In minor units"})
    destination.load(load, _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1)]))
    destination.load(replace(load, run="2"), _SCHEMA, archived(_SCHEMA, [_row("a", 2, 2)]))
    columns = destination.columns("charges")
    assert columns is not None
    times = ("TIMESTAMP WITH TIME ZONE",)
    assert destination.columns("charges__history") == (*columns, ("_valid_from", *times), ("_valid_to", *times))
    with duckdb.connect(str(tmp_path / "stripe.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT amount FROM charges__as_of(DATE '2001-01-02')").fetchall() == [(2,)]
        named = "WHERE table_name = 'charges__history'"
        comments = connection.execute(f"SELECT column_name, comment FROM duckdb_columns() {named}").fetchall()
        ((comment,),) = connection.execute(f"SELECT comment FROM duckdb_tables() {named}").fetchall()
        assert comment.startswith("Charges: each attempt. ")
        recorded = (
            "SELECT run, rows, deleted FROM _counterfoil_loads WHERE table_name = 'charges__history' ORDER BY run"
        )
        assert connection.execute(recorded).fetchall() == [("1", 1, 0), ("2", 1, 1)]
        sql = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal"
        assert connection.execute(sql).fetchall() == [("v1.4.0+",)]
    assert dict(comments)["amount"] == "In minor units"
    assert "null" in dict(comments)["_valid_to"]


@pytest.mark.parametrize(
    ("loaded", "name", "definition"),
    [
        (False, "charges__history", "TABLE charges__history AS SELECT 1 AS mine"),
        (True, "charges__history", "VIEW CHARGES__HISTORY AS SELECT 1 AS mine"),
        (True, "charges__as_of", "charges__AS_OF"),
    ],
)
def test_unmanaged_object_with_history_name_is_unchanged(
    destination: Destination, archived: Archived, loaded: bool, name: str, definition: str
) -> None:
    parts = archived(_SCHEMA, [_row("a")])
    if loaded:
        destination.load(_load(1, history=False), _SCHEMA, parts)
    function = definition == "charges__AS_OF"
    if function:
        definition = {
            "duckdb": f"MACRO {definition}(x) AS TABLE SELECT x AS mine",
            "postgresql": f"FUNCTION {definition}(x int) RETURNS TABLE (mine int) LANGUAGE sql STABLE AS 'SELECT x'",
        }[destination.kind.dialect]
    execute_sql(destination, f"CREATE {definition}")
    with raises(DestinationRejected, name, "charges", code=INVALID_TABLE):
        destination.load(_load(2, overwrite=True), _SCHEMA, archived(_SCHEMA, [_row("b")]))
    with raises(DestinationRejected, name, code=INVALID_TABLE):
        destination.replay([(_load(2, method="replace"), parts)], _SCHEMA, run="back")
    assert destination.rows("charges") == (1 if loaded else None)
    assert destination.drop("charges") == loaded
    source = f"{name}(1)" if function else name
    assert execute_sql(destination, f"SELECT mine FROM {source}") == [(1,)]


def test_drop_removes_history(destination: Destination, archived: Archived) -> None:
    for table in ("charges", "refunds"):
        destination.load(_load(1, table=table), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    assert destination.drop("charges")
    assert not destination.drop("charges")
    named = "FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY 1"
    tables = execute_sql(destination, f"SELECT table_name {named}")
    assert tables == [("_counterfoil_loads",), ("refunds",), ("refunds__history",)]
    functions = {
        "duckdb": "SELECT function_name FROM duckdb_functions() WHERE function_type = 'table_macro' AND NOT internal",
        "postgresql": "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace",
    }
    assert execute_sql(destination, functions[destination.kind.dialect]) == [("refunds__as_of",)]
    recorded = execute_sql(destination, "SELECT DISTINCT table_name FROM _counterfoil_loads ORDER BY 1")
    assert recorded == [("refunds",), ("refunds__history",)]
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("b", 1, 1)]))
    assert _versions(destination) == [("b", 1, 1, None)]


def test_history_table_cannot_be_load_target(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [_row("a")])
    destination.load(_load(1), _SCHEMA, parts)
    # DuckDB ignores the case of names.
    table = "Charges__History" if destination.kind.dialect == "duckdb" else "charges__history"
    for overwrite in (False, True):
        load = _load(2, table=table, method="replace", history=False, overwrite=overwrite)
        with raises(DestinationRejected, table, code=INVALID_TABLE) as caught:
            destination.load(load, _SCHEMA, parts)
        assert "--overwrite" not in str(caught.value.hint)
    assert len(_versions(destination)) == 1


def test_unsupported_history_is_rejected(
    parquet_destination: Destination, destination: Destination, archived: Archived
) -> None:
    assert "history" not in parquet_destination.kind.guarantees
    with raises(DestinationRejected, "charges", code="unsupported_history"):
        parquet_destination.load(_load(1, method="replace"), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    for method in sorted(destination.kind.methods - {"merge", "replace"}):
        with raises(RunError, method, code="unsupported_history"):
            destination.load(_load(1, method=method), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    with raises(RunError, code="column_missing"):
        destination.load(_load(1, method="replace", primary_key=()), _SCHEMA, archived(_SCHEMA, [_row("a")]))


Loads = list[tuple[Load, tuple[Part, ...]]]


def _replayed(destination: Destination, archived: Archived, **first: Any) -> Loads:
    """Three loads: add `a` and `b`; change `a` and delete `b`; add `c`."""
    loads = [
        (_load(1, method="replace", **first), archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1)])),
        (_load(2, deleted="drop", **_WHOLE), archived(_SCHEMA, [_row("a", 2, 2)])),
        (_load(3), archived(_SCHEMA, [_row("c", 1, 3)])),
    ]
    for load, parts in loads:
        destination.load(load, _SCHEMA, parts)
    return loads


def test_rollback_is_recorded_at_current_time(destination: Destination, archived: Archived) -> None:
    loads = _replayed(destination, archived)
    states = [_as_of(destination, _at(second)) for second in (1, 2, 3)]
    started = dt.datetime.now(dt.UTC)
    for _ in range(2):
        destination.replay(loads[:1], _SCHEMA, run="back")
    assert _as_of(destination, _LATER) == _now(destination) == [_row("a", 1, 1), _row("b", 1, 1)]
    assert [_as_of(destination, _at(second)) for second in (1, 2, 3)] == states
    assert _as_of(destination, started) == states[-1]
    assert len(_versions(destination)) == 6
    destination.load(_load(4, as_of=int(_LATER.timestamp())), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 4)]))
    assert len(_versions(destination)) == 6, "the next load starts from the rows of the rollback"


def test_rollback_is_recorded_after_all_versions(destination: Destination, archived: Archived) -> None:
    loads = _replayed(destination, archived)
    rows = [_row("a", 7, _synced_at=_LATER), _row("d", 7, _synced_at=_LATER)]
    destination.load(_load(4, as_of=int(_LATER.timestamp())), _SCHEMA, archived(_SCHEMA, rows))
    destination.replay(loads[:2], _SCHEMA, run="back")
    later = _at(0, _LATER), _LATER + dt.timedelta(microseconds=1)
    assert [[row["id"] for row in _as_of(destination, instant)] for instant in later] == [["a", "c", "d"], ["a"]]
    assert _as_of(destination, later[1]) == _now(destination) == [_row("a", 2, 2)]
    merges = [(replace(load, run=f"{load.run} again"), parts) for load, parts in loads[1:]]
    destination.replay([*loads, *merges], _SCHEMA, run="forth")
    now = _as_of(destination, later[1] + dt.timedelta(microseconds=1))
    assert now == _now(destination) == [_row("a", 2, 2), _row("c", 1, 3)]


def test_rollback_without_history_does_not_change_past_versions(destination: Destination, archived: Archived) -> None:
    loads = _replayed(destination, archived, history=False)
    states = [_as_of(destination, _at(second)) for second in (2, 3)]
    assert states == [[_row("a", 2, 2)], [_row("a", 2, 2), _row("c", 1, 3)]]
    destination.replay(loads[:1], _SCHEMA, run="back")
    assert _as_of(destination, _LATER) == states[-1]
    destination.load(_load(5), _SCHEMA, archived(_SCHEMA, [_row("d", 1, 6)]))
    assert [_as_of(destination, _at(second)) for second in (2, 3)] == states
    assert _as_of(destination, _at(6)) == _now(destination)
    assert [row["id"] for row in _now(destination)] == ["a", "b", "d"]


def test_rollback_into_empty_history_does_not_change_the_past(destination: Destination, archived: Archived) -> None:
    loads = [
        (_load(1, method="replace", history=False), archived(_SCHEMA, [_row("a", 1, 1)])),
        (_load(2, **_WHOLE), archived(_SCHEMA, [])),
    ]
    for load, parts in loads:
        destination.load(load, _SCHEMA, parts)
    destination.replay([(replace(loads[0][0], history=True), loads[0][1])], _SCHEMA, run="back")
    assert _as_of(destination, _at(2)) == []
    assert _as_of(destination, _LATER) == _now(destination) == [_row("a", 1, 1)]


_ROWS = st.dictionaries(st.sampled_from("abcd"), st.none() | st.integers(0, 2), max_size=4)
_STEPS = st.fixed_dictionaries(
    {
        "rows": _ROWS,
        "kind": st.sampled_from(["changes", "parents", "whole", "replace", "off"]),
        "deleted": st.sampled_from(["keep", "drop"]),
        "gone": st.frozensets(st.sampled_from("abcd"), max_size=2),
        "times": st.sampled_from([1, 1, 2]),
    }
)


@pytest.mark.parametrize("fresh", ["duckdb", "postgres"], indirect=True)
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=5)
@given(steps=st.lists(_STEPS, min_size=2, max_size=4), back=st.integers(0, 4))
def test_history_matches_table_after_each_random_load(
    fresh: Callable[[], Destination], archived: Archived, steps: list[dict[str, Any]], back: int
) -> None:
    destination = fresh()
    known: dict[dt.datetime, list[dict[str, Any]]] = {}
    loads: Loads = []
    columns = "id, amount, metadata"
    for second, step in enumerate(steps):
        gone = {key: _row(key, None, second, customer="xy"[key > "b"], _deleted=True) for key in step["gone"]}
        rows = {key: _row(key, amount, second, customer="xy"[key > "b"]) for key, amount in step["rows"].items()}
        how = {"covers": (Window(),)} if step["kind"] == "whole" else {}
        how |= {"parents": Parents("customer", ("x",))} if step["kind"] == "parents" else {}
        load = _load(second, method="replace" if step["kind"] == "replace" else "merge", deleted=step["deleted"], **how)
        loads.append((replace(load, history=step["kind"] != "off"), archived(_SCHEMA, list((gone | rows).values()))))
        for _ in range(step["times"]):
            destination.load(loads[-1][0], _SCHEMA, loads[-1][1])
        if step["kind"] != "off":
            known[_at(second)] = _now(destination, columns)
    if any(load.history for load, _ in loads):
        chain = [(replace(loads[0][0], history=True), loads[0][1]), *loads[1 : back + 1]]
        chain[-1] = (replace(chain[-1][0], history=True), chain[-1][1])
        destination.replay(chain, _SCHEMA, run="back")
        known[_LATER] = _now(destination, columns)
        queries = (f"SELECT '{instant}' AS seen, {columns} FROM charges__as_of('{instant}')" for instant in known)
        found = _ask(destination, f"{' UNION ALL '.join(queries)} ORDER BY seen, id")
        assert found == [{"seen": f"{instant}", **row} for instant, rows in known.items() for row in rows]
        assert _ask(destination, _WRONG) == []


#: Selects versions that are empty, overlap another version of the key, or equal the version directly before.
_WRONG = """
    SELECT one.id, one._valid_from, one._valid_to FROM charges__history AS one
    LEFT JOIN charges__history AS other ON one.id = other.id AND one._valid_from <> other._valid_from
        AND (
            (one._valid_from < coalesce(other._valid_to, 'infinity')
                AND other._valid_from < coalesce(one._valid_to, 'infinity'))
            OR (one._valid_from = other._valid_to AND one.amount IS NOT DISTINCT FROM other.amount)
        )
    WHERE other.id IS NOT NULL OR one._valid_from >= coalesce(one._valid_to, 'infinity')
    UNION ALL
    SELECT id, _valid_from, NULL FROM charges__history GROUP BY id, _valid_from HAVING count(*) > 1
"""
