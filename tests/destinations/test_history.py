"""Every version of every row beside the table: what makes one, how long it holds, and the table as of an instant."""

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
from counterfoil.errors import DestinationRejected, RunError, SchemaConflict
from counterfoil.values import Load, Parents, Part, Window
from tests.destinations.conftest import Archived, by_hand, spelled

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
#: Before and behind any clock that a test may run by.
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
    """Key, amount, and the seconds between which it held, in order."""
    versions = _ask(destination, f'SELECT * FROM "{table}__history" ORDER BY id NULLS LAST, _valid_from')
    bounds = ("_valid_from", "_valid_to")
    seconds = [[v[name] and (v[name] - _START).total_seconds() for name in bounds] for v in versions]
    return [(v["id"], v["amount"], *found) for v, found in zip(versions, seconds, strict=True)]


def _as_of(destination: Destination, instant: dt.datetime, columns: str = "*") -> list[dict[str, Any]]:
    return _ask(destination, f"SELECT {columns} FROM charges__as_of(TIMESTAMPTZ '{instant}') ORDER BY id")


def _now(destination: Destination, columns: str = "*") -> list[dict[str, Any]]:
    return _ask(destination, f"SELECT {columns} FROM charges WHERE NOT _deleted ORDER BY id")


@pytest.fixture
def destination(keeping: Destination) -> Destination:
    return keeping


def test_a_version_holds_until_the_next_one_was_read(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 2)]))
    destination.load(_load(5), _SCHEMA, archived(_SCHEMA, [_row("a", 2, 6), _row("c", None, 7)]))
    assert _versions(destination) == [("a", 1, 1, 6), ("a", 2, 6, None), ("b", 1, 2, None), ("c", None, 7, None)]
    assert [_as_of(destination, _at(second), "id, amount") for second in (0, 1, 5)] == [
        [],
        [{"id": "a", "amount": 1}],
        [{"id": "a", "amount": 1}, {"id": "b", "amount": 1}],
    ]
    assert _as_of(destination, _at(7)) == _now(destination)


def test_what_is_read_again_as_it_was_makes_no_version(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1)]))
    before = _ask(destination, "SELECT * FROM charges__history ORDER BY id")
    destination.load(_load(2, **_WHOLE), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 2), _row("b", 1, 2)]))
    assert _ask(destination, "SELECT * FROM charges__history ORDER BY id") == before


@pytest.mark.parametrize("deleted", ["keep", "drop"])
def test_a_row_that_is_gone_ends_its_version_and_one_that_comes_back_begins_another(
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
    counted = (f"SELECT count(*) AS rows FROM charges__as_of('{_at(second)}')" for second in range(1, 6))
    assert [row["rows"] for row in _ask(destination, " UNION ALL ".join(counted))] == [2, 0, 0, 1, 0]


def test_a_run_given_twice_counts_once(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1)]))
    for _ in range(2):
        destination.load(_load(2), _SCHEMA, archived(_SCHEMA, [_row("a", 2, 2)]))
    assert _versions(destination) == [("a", 1, 1, 2), ("a", 2, 2, None)]


def test_a_history_begins_with_the_table_as_it_stands(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1), _row("c", 1, 1)])
    destination.load(_load(1, history=False), _SCHEMA, parts)
    destination.load(_load(2, history=False, **_WHOLE), _SCHEMA, archived(_SCHEMA, [_row("a", 1), _row("b", 2, 2)]))
    destination.load(_load(3), _SCHEMA, archived(_SCHEMA, [_row("d", 1, 3)]))
    assert _versions(destination) == [("a", 1, 1, None), ("b", 2, 2, None), ("d", 1, 3, None)]
    assert _as_of(destination, _at(3)) == _now(destination)


def test_a_history_that_was_off_goes_on_as_the_table_is(destination: Destination, archived: Archived) -> None:
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


def test_a_table_that_is_replaced_goes_on_with_its_history(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1), _row("c", 1, 1)]))
    rows = [_row("a", 1, 3), _row("b", 2, 3), _row("d", 1, 3)]
    destination.load(_load(2, method="replace"), _SCHEMA, archived(_SCHEMA, rows))
    expected = [("a", 1, 1, None), ("b", 1, 1, 3), ("b", 2, 3, None), ("c", 1, 1, 2), ("d", 1, 3, None)]
    assert _versions(destination) == expected
    destination.load(_load(5), _SCHEMA, archived(_SCHEMA, [_row("d", 2, 5)]))
    assert _versions(destination) == [*expected[:-1], ("d", 1, 3, 5), ("d", 2, 5, None)]


def test_a_table_that_was_dropped_by_hand_goes_on_with_its_history(
    destination: Destination, archived: Archived
) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1)]))
    by_hand(destination, "DROP TABLE charges")
    rows = [_row("b", 1, 3), _row("a", 2, 2), _row("a", 3, 3)]
    destination.load(_load(3), _SCHEMA, archived(_SCHEMA, rows))
    assert _versions(destination) == [("a", 1, 1, 3), ("a", 3, 3, None), ("b", 1, 1, None)]


def test_a_history_that_was_dropped_by_hand_begins_anew(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1)]))
    by_hand(destination, "DROP TABLE charges__history")
    destination.load(_load(2), _SCHEMA, archived(_SCHEMA, [_row("b", 1, 2)]))
    assert _versions(destination) == [("a", 1, 1, None), ("b", 1, 2, None)]


def test_versions_stay_in_order_when_a_clock_goes_back_or_stands(destination: Destination, archived: Archived) -> None:
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


def test_without_times_in_the_rows_a_version_begins_when_stripe_was_read(
    destination: Destination, archived: Archived
) -> None:
    schema = pa.schema([_SCHEMA.field(name) for name in ("id", "amount")])
    destination.load(_load(1), schema, archived(schema, [{"id": "a", "amount": 1}, {"id": None, "amount": 1}]))
    gone = {"deleted": "drop", **_WHOLE}
    destination.load(_load(2, **gone), schema, archived(schema, [{"id": None, "amount": 2}]))
    assert _versions(destination) == [("a", 1, 1, 2), (None, 1, 1, 2), (None, 2, 2, None)]


def test_of_rows_with_one_key_as_appending_leaves_them_the_one_read_last_is_the_version(
    destination: Destination, archived: Archived
) -> None:
    for second in (2, 1):
        parts = archived(_SCHEMA, [_row("a", second, second)])
        destination.load(_load(second, method="append", history=False), _SCHEMA, parts)
    destination.load(_load(3), _SCHEMA, archived(_SCHEMA, [_row("b", 1, 3)]))
    assert _versions(destination) == [("a", 2, 2, None), ("b", 1, 3, None)]
    destination.load(_load(4), _SCHEMA, archived(_SCHEMA, [_row("a", 2, 4)]))
    assert _versions(destination) == [("a", 2, 2, None), ("b", 1, 3, None)]


def test_new_columns_are_added_to_the_history(destination: Destination, archived: Archived) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1)]))
    other = _SCHEMA.append(pa.field("new", pa.int64()))
    rows = [_row("a", 1, 2) | {"new": 5}, _row("b", 1, 2) | {"new": None}]
    destination.load(_load(2), other, archived(other, rows))
    assert _versions(destination) == [("a", 1, 1, 2), ("a", 1, 2, None), ("b", 1, 1, None)]
    assert _as_of(destination, _at(1), "id, new") == [{"id": "a", "new": None}, {"id": "b", "new": None}]
    assert _as_of(destination, _at(2)) == _now(destination)
    # A table that is replaced can lose columns; its history keeps them.
    destination.load(_load(3, method="replace"), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 3), _row("b", 1, 3)]))
    assert _versions(destination) == [("a", 1, 1, 2), ("a", 1, 2, 3), ("a", 1, 3, None), ("b", 1, 1, None)]


def test_marks_that_a_table_gets_are_no_versions(destination: Destination, archived: Archived) -> None:
    schema = pa.schema([field for field in _SCHEMA if not field.name.startswith("_deleted")])
    rows = [{name: value for name, value in _row("a", 1, 1).items() if name in schema.names}]
    destination.load(_load(1), schema, archived(schema, rows))
    destination.load(_load(2), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 2)]))
    assert _versions(destination) == [("a", 1, 1, None)]


def test_a_column_of_another_type_than_the_historys_changes_nothing(
    destination: Destination, archived: Archived
) -> None:
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 1)]))
    other = _SCHEMA.set(_SCHEMA.get_field_index("amount"), pa.field("amount", pa.string()))
    parts = archived(other, [_row("a", second=2) | {"amount": "1"}])
    bigint, text = spelled(destination, "BIGINT"), spelled(destination, "VARCHAR")
    words = f"amount of charges__history is {bigint} in the table and {text}"
    with pytest.raises(SchemaConflict, match=words) as refused:
        destination.load(_load(2, method="replace"), other, parts)
    assert "begins anew" in str(refused.value.hint)
    assert _now(destination) == _as_of(destination, _at(2)) == [_row("a", 1, 1)]


@pytest.mark.parametrize("name", ["rowid", "_VALID_FROM"])
def test_a_column_that_would_be_taken_for_one_of_the_historys_is_refused(
    destination: Destination, archived: Archived, name: str
) -> None:
    name = "_valid_to" if name == "rowid" and destination.kind.dialect != "duckdb" else name
    schema = _SCHEMA.append(pa.field(name, pa.int64()))
    with pytest.raises(SchemaConflict, match="has no history"):
        destination.load(_load(1, method="replace"), schema, archived(schema, [_row("a") | {name: 1}]))
    assert destination.columns("charges") is None


def test_names_in_a_history_are_only_names(destination: Destination, archived: Archived) -> None:
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


def test_a_history_tells_what_it_is_and_plain_duckdb_reads_it(
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
        assert connection.execute(f"SELECT comment FROM duckdb_tables() {named}").fetchall() == [
            ("Charges: each attempt. Every version of each row.",)
        ]
        recorded = (
            "SELECT run, rows, deleted FROM _counterfoil_loads WHERE table_name = 'charges__history' ORDER BY run"
        )
        assert connection.execute(recorded).fetchall() == [("1", 1, 0), ("2", 1, 1)]
        sql = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal"
        assert connection.execute(sql).fetchall() == [("v1.4.0+",)]
    assert dict(comments)["amount"] == "In minor units"
    assert "null while it is current" in dict(comments)["_valid_to"]


@pytest.mark.parametrize(
    ("there", "taken", "made"),
    [
        (False, "charges__history", "TABLE charges__history AS SELECT 1 AS mine"),
        (True, "charges__history", "VIEW CHARGES__HISTORY AS SELECT 1 AS mine"),
        (True, "charges__as_of", "charges__AS_OF"),
    ],
)
def test_what_stands_where_a_history_would_is_left_alone(
    destination: Destination, archived: Archived, there: bool, taken: str, made: str
) -> None:
    parts = archived(_SCHEMA, [_row("a")])
    if there:
        destination.load(_load(1, history=False), _SCHEMA, parts)
    function = made == "charges__AS_OF"
    if function:
        made = {
            "duckdb": f"MACRO {made}(x) AS TABLE SELECT x AS mine",
            "postgresql": f"FUNCTION {made}(x int) RETURNS TABLE (mine int) LANGUAGE sql STABLE AS 'SELECT x'",
        }[destination.kind.dialect]
    by_hand(destination, f"CREATE {made}")
    with pytest.raises(DestinationRejected, match=f"{taken} in .* was not made by Counterfoil"):
        destination.load(_load(2, overwrite=True), _SCHEMA, archived(_SCHEMA, [_row("b")]))
    with pytest.raises(DestinationRejected, match=taken):
        destination.replay([(_load(2, method="replace"), parts)], _SCHEMA, run="back")
    assert destination.rows("charges") == (1 if there else None)
    assert destination.drop("charges") == there
    called = f"{taken}(1)" if function else taken
    assert by_hand(destination, f"SELECT mine FROM {called}") == [(1,)]


def test_a_history_goes_with_its_table(destination: Destination, archived: Archived) -> None:
    for table in ("charges", "refunds"):
        destination.load(_load(1, table=table), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    assert destination.drop("charges")
    assert not destination.drop("charges")
    named = "FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY 1"
    tables = by_hand(destination, f"SELECT table_name {named}")
    assert tables == [("_counterfoil_loads",), ("refunds",), ("refunds__history",)]
    functions = {
        "duckdb": "SELECT function_name FROM duckdb_functions() WHERE function_type = 'table_macro' AND NOT internal",
        "postgresql": "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace",
    }
    assert by_hand(destination, functions[destination.kind.dialect]) == [("refunds__as_of",)]
    recorded = by_hand(destination, "SELECT DISTINCT table_name FROM _counterfoil_loads ORDER BY 1")
    assert recorded == [("refunds",), ("refunds__history",)]
    destination.load(_load(1), _SCHEMA, archived(_SCHEMA, [_row("b", 1, 1)]))
    assert _versions(destination) == [("b", 1, 1, None)]


def test_a_history_is_not_the_table_of_another_load(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [_row("a")])
    destination.load(_load(1), _SCHEMA, parts)
    # Upper and lower case are the same in DuckDB.
    table = "Charges__History" if destination.kind.dialect == "duckdb" else "charges__history"
    for overwrite in (False, True):
        load = _load(2, table=table, method="replace", history=False, overwrite=overwrite)
        with pytest.raises(DestinationRejected, match="is the history of another table"):
            destination.load(load, _SCHEMA, parts)
    assert len(_versions(destination)) == 1


def test_a_destination_that_keeps_no_history_says_so(
    parquet_destination: Destination, destination: Destination, archived: Archived
) -> None:
    assert "history" not in parquet_destination.kind.guarantees
    with pytest.raises(DestinationRejected, match="keeps no history of charges"):
        parquet_destination.load(_load(1, method="replace"), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    for method in sorted(destination.kind.methods - {"merge", "replace"}):
        with pytest.raises(RunError, match=f"{method} has no history"):
            destination.load(_load(1, method=method), _SCHEMA, archived(_SCHEMA, [_row("a")]))
    with pytest.raises(RunError, match="no columns to merge by"):
        destination.load(_load(1, method="replace", primary_key=()), _SCHEMA, archived(_SCHEMA, [_row("a")]))


Loads = list[tuple[Load, tuple[Part, ...]]]


def _replayed(destination: Destination, archived: Archived, **first: Any) -> Loads:
    """Three loads: `a` and `b` come, `a` changes and `b` goes, `c` comes."""
    loads = [
        (_load(1, method="replace", **first), archived(_SCHEMA, [_row("a", 1, 1), _row("b", 1, 1)])),
        (_load(2, deleted="drop", **_WHOLE), archived(_SCHEMA, [_row("a", 2, 2)])),
        (_load(3), archived(_SCHEMA, [_row("c", 1, 3)])),
    ]
    for load, parts in loads:
        destination.load(load, _SCHEMA, parts)
    return loads


def test_going_back_is_a_change_of_now(destination: Destination, archived: Archived) -> None:
    loads = _replayed(destination, archived)
    states = [_as_of(destination, _at(second)) for second in (1, 2, 3)]
    began = dt.datetime.now(dt.UTC)
    for _ in range(2):
        destination.replay(loads[:1], _SCHEMA, run="back")
    assert _as_of(destination, _LATER) == _now(destination) == [_row("a", 1, 1), _row("b", 1, 1)]
    assert [_as_of(destination, _at(second)) for second in (1, 2, 3)] == states
    assert _as_of(destination, began) == states[-1]
    assert len(_versions(destination)) == 6
    destination.load(_load(4, as_of=int(_LATER.timestamp())), _SCHEMA, archived(_SCHEMA, [_row("a", 1, 4)]))
    assert len(_versions(destination)) == 6, "what going back left is what the next load starts from"


def test_going_back_comes_after_all_that_was_before_it(destination: Destination, archived: Archived) -> None:
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


def test_a_history_that_going_back_left_alone_never_says_that_rows_were_there_before(
    destination: Destination, archived: Archived
) -> None:
    loads = _replayed(destination, archived, history=False)
    states = [_as_of(destination, _at(second)) for second in (2, 3)]
    assert states == [[_row("a", 2, 2)], [_row("a", 2, 2), _row("c", 1, 3)]]
    destination.replay(loads[:1], _SCHEMA, run="back")
    assert _as_of(destination, _LATER) == states[-1]
    destination.load(_load(5), _SCHEMA, archived(_SCHEMA, [_row("d", 1, 6)]))
    assert [_as_of(destination, _at(second)) for second in (2, 3)] == states
    assert _as_of(destination, _at(6)) == _now(destination)
    assert [row["id"] for row in _now(destination)] == ["a", "b", "d"]


def test_what_going_back_brings_into_a_history_without_versions_was_not_there_before(
    destination: Destination, archived: Archived
) -> None:
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
def test_any_loads_make_a_history_that_answers_what_the_table_was_after_each_of_them(
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
        asked = (f"SELECT '{instant}' AS seen, {columns} FROM charges__as_of('{instant}')" for instant in known)
        told = _ask(destination, f"{' UNION ALL '.join(asked)} ORDER BY seen, id")
        assert told == [{"seen": f"{instant}", **row} for instant, rows in known.items() for row in rows]
        assert _ask(destination, _WRONG) == []


#: Versions that are empty, overlap another of their key, or say the same as the one that they follow at once.
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
