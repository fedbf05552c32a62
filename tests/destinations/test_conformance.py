"""Tests of the guarantees of every destination, for each destination."""

from __future__ import annotations

import datetime as dt
import json
import re
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from counterfoil.archive import Archive
from counterfoil.destinations import LOADS_TABLE, Destination, open_destination
from counterfoil.errors import INVALID_TABLE, QUERY_FAILED, DestinationRejected, RunError, SchemaConflict
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Part
from tests.destinations.conftest import Archived, column_types, raises, type_name

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}, {"id": "ch_2", "amount": None}]


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace", "order": ("id",)} | changes)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _rows(destination: Destination, table: str = "charges", order: str = "1") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        destination.query(f"SELECT * FROM {_quoted(table)} ORDER BY {order}").read_all().to_pylist()
    )
    return found


def test_replace_creates_table_and_returns_row_count(destination: Destination, archived: Archived) -> None:
    assert destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS)).rows == 2
    assert _rows(destination) == _ROWS
    assert destination.rows("charges") == 2
    assert destination.columns("charges") == column_types(destination, id="VARCHAR", amount="BIGINT")


def test_replace_removes_previous_rows_and_columns(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    other = pa.schema([pa.field("id", pa.int64()), pa.field("name", pa.string())])
    assert destination.load(_load("run-2"), other, archived(other, [{"id": 7, "name": "x"}])).rows == 1
    assert _rows(destination) == [{"id": 7, "name": "x"}]
    assert destination.columns("charges") == column_types(destination, id="BIGINT", name="VARCHAR")


def test_append_adds_rows_to_existing_rows(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, _ROWS)
    assert destination.load(_load(method="append"), _SCHEMA, parts).rows == 2
    assert destination.load(_load("run-2", method="append"), _SCHEMA, parts).rows == 2
    assert _rows(destination) == [_ROWS[0]] * 2 + [_ROWS[1]] * 2
    assert destination.rows("charges") == 4


def test_append_adds_columns_and_fills_missing_ones_with_null(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    other = pa.schema([pa.field("new", pa.string()), pa.field("id", pa.string())])
    destination.load(_load("run-2", method="append"), other, archived(other, [{"new": "x", "id": "ch_3"}]))
    assert destination.columns("charges") == column_types(destination, id="VARCHAR", amount="BIGINT", new="VARCHAR")
    assert _rows(destination) == [
        *({**row, "new": None} for row in _ROWS),
        {"id": "ch_3", "amount": None, "new": "x"},
    ]


def test_append_with_different_column_type_changes_nothing(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    other = pa.schema([pa.field("fresh", pa.string()), pa.field("amount", pa.float64())])
    bigint, double = type_name(destination, "BIGINT"), type_name(destination, "DOUBLE")
    with raises(SchemaConflict, "amount", "charges", bigint, double, code="column_type_conflict"):
        destination.load(
            _load("run-2", method="append", order=()), other, archived(other, [{"fresh": "x", "amount": 1.5}])
        )
    assert _rows(destination) == _ROWS
    assert destination.columns("charges") == column_types(destination, id="VARCHAR", amount="BIGINT")


@pytest.mark.parametrize("method", ["replace", "append"])
def test_run_loaded_twice_counts_once(destination: Destination, archived: Archived, method: str) -> None:
    load = _load(method=method)
    assert not destination.has_load(load)
    parts = archived(_SCHEMA, _ROWS)
    assert [destination.load(load, _SCHEMA, parts) for _ in range(3)] == [Loaded(rows=2, added=2)] * 3
    assert destination.has_load(load)
    assert not destination.has_load(_load("run-2"))
    assert _rows(destination) == _ROWS


def test_one_run_can_load_two_tables(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, _ROWS)
    destination.load(_load(), _SCHEMA, parts)
    destination.load(_load(table="refunds"), _SCHEMA, parts)
    assert _rows(destination, "refunds") == _rows(destination, "charges") == _ROWS


def test_replace_without_parts_creates_empty_typed_table(destination: Destination) -> None:
    assert destination.load(_load(), _SCHEMA, ()).rows == 0
    assert destination.columns("charges") == column_types(destination, id="VARCHAR", amount="BIGINT")
    assert destination.rows("charges") == 0
    assert destination.has_load(_load())


def test_append_without_parts_changes_nothing(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert destination.load(_load("run-2", method="append"), _SCHEMA, ()).rows == 0
    assert _rows(destination) == _ROWS
    assert destination.has_load(_load("run-2"))


def test_inspecting_before_first_load_creates_nothing(destination: Destination, tmp_path: Path) -> None:
    assert destination.columns("charges") is None
    assert destination.rows("charges") is None
    assert destination.scopes("charges") is None
    assert not destination.has_load(_load())
    assert not list(tmp_path.glob("stripe*"))


def test_scopes_are_those_of_loads_in_table(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, _ROWS)
    destination.load(_load(scope={"since": 5, "options": {"status": "all"}}), _SCHEMA, parts)
    assert destination.scopes("charges") == ({"since": 5, "options": {"status": "all"}},)
    destination.load(_load("run-2", method="append", scope={"since": 9}), _SCHEMA, parts)
    assert destination.scopes("charges") == ({"since": 9}, {"since": 5, "options": {"status": "all"}})
    destination.load(_load("run-3"), _SCHEMA, parts)
    assert destination.scopes("charges") == ({},), "a replace removes the scopes of earlier loads"
    assert destination.scopes("refunds") is None


@pytest.mark.parametrize("kind", ["duckdb", "parquet", "s3", "delta"])
def test_rows_are_stored_in_load_order_with_nulls_last(
    request: pytest.FixtureRequest, kind: str, archived: Archived, settings: Settings
) -> None:
    destination: Destination = request.getfixturevalue(f"{kind}_destination")
    numbers = [(n * 7919) % 10_007 for n in range(6_000)]
    rows = [{"id": f"ch_{n % 50:02}", "amount": None if n % 10 == 3 else n} for n in numbers]
    load = _load(order=("-id", "amount"))
    with Archive(settings.archive / "two-parts", _SCHEMA) as archive:
        archive.write(pa.RecordBatch.from_pylist(rows[:3_000], schema=_SCHEMA))
        archive._parts.cut()
        archive.write(pa.RecordBatch.from_pylist(rows[3_000:], schema=_SCHEMA))
    assert len(archive.parts()) == 2
    destination.load(load, _SCHEMA, archive.parts())
    stored = destination.query("SELECT * FROM charges").read_all().to_pylist()
    by_amount = sorted(rows, key=lambda row: (row["amount"] is None, row["amount"] or 0))
    assert stored == sorted(by_amount, key=lambda row: row["id"], reverse=True)


_TYPES = pa.schema(
    [
        pa.field("text", pa.string()),
        pa.field("whole", pa.int64()),
        pa.field("double", pa.float64()),
        pa.field("yes", pa.bool_()),
        pa.field("at", pa.timestamp("us", tz="UTC")),
        pa.field("major", pa.decimal128(22, 3)),
        pa.field("fine", pa.decimal128(38, 12)),
        pa.field("json", pa.string(), metadata={b"counterfoil": b"json"}),
    ]
)
_VALUES: list[dict[str, Any]] = [
    dict.fromkeys(_TYPES.names),
    {
        "text": "",
        "whole": -(2**63),
        "double": -0.1,
        "yes": False,
        "at": dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        "major": Decimal("-9999999999999999999.999"),
        "fine": Decimal("0.000000000001"),
        "json": "null",
    },
    {
        "text": 'naïve "quote" \' ; -- \x00 \U0001f600\r\n\t',
        "whole": 2**63 - 1,
        "double": 1.7976931348623157e308,
        "yes": True,
        "at": dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        "major": Decimal("9999999999999999999.999"),
        "fine": Decimal("99999999999999999999999999.999999999999"),
        "json": json.dumps({"a": [1, {"b": "é'\""}], "big": 2**53 + 1}),
    },
]


@pytest.mark.parametrize("method", ["replace", "append"])
def test_values_of_every_type_are_stored_exactly(destination: Destination, archived: Archived, method: str) -> None:
    load = _load(method=method, order=())
    destination.load(load, _TYPES, archived(_TYPES, _VALUES))
    reader = destination.query("SELECT * FROM charges")
    if not destination.name.startswith("domo:"):  # which does not report the precision of decimals
        assert [str(f.type) for f in reader.schema][4:7] == [
            "timestamp[us, tz=UTC]",
            "decimal128(22, 3)",
            "decimal128(38, 12)",
        ]
    stored = reader.read_all().to_pylist()
    assert [row | {"json": _decoded_json(row["json"])} for row in stored] == [
        _expected(destination, row) for row in _VALUES
    ]
    types = [kind for _, kind in destination.columns("charges") or ()]
    assert types[:7] == [type_name(destination, kind) for kind in (
        "VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP WITH TIME ZONE", "DECIMAL(22,3)", "DECIMAL(38,12)",
    )]  # fmt: skip
    path = {"duckdb": "json ->> '$.a[1].b'", "postgresql": "json #>> '{a,1,b}'"}[destination.kind.dialect]
    inside = destination.query(f"SELECT {path} AS b FROM charges WHERE text LIKE 'na%'").read_all()
    assert inside.to_pylist() == [{"b": "é'\""}]


def _decoded_json(json_text: str | None) -> Any:
    return None if json_text is None else (json.loads(json_text), len(json_text) > 0)


def _expected(destination: Destination, row: dict[str, Any]) -> dict[str, Any]:
    """The row as it is read back: JSON may be reformatted, NUL may be replaced, and Domo has no booleans."""
    text, yes = row["text"], row["yes"]
    in_domo = destination.name.startswith("domo:")
    if text is not None and (in_domo or destination.kind.dialect == "postgresql"):
        text = text.replace("\0", "\ufffd")
    if yes is not None and in_domo:
        yes = str(yes).lower()
    return row | {"text": text, "yes": yes, "json": _decoded_json(row["json"])}


#: Maximum length of a name.
_LONGEST = {"duckdb": 120, "postgresql": 63}


@pytest.mark.parametrize(
    "name",
    ["order", "a.b", 'q"uo"te', "it's", "new\nline",
     "😀", "1st", " ", "..", ".", "../up", "a/b", "%2E", "*?[x]", "rowid",
     "sqlite_master", "; DROP TABLE x; --", "$1", "x" * 120],
)  # fmt: skip
def test_hostile_table_and_column_names_are_supported(
    destination: Destination, archived: Archived, tmp_path: Path, name: str
) -> None:
    column = name[: _LONGEST[destination.kind.dialect]]
    # Leave room for the suffix of the view of an append table.
    name = column[: _LONGEST[destination.kind.dialect] - len("__latest")]
    schema = pa.schema([pa.field(column, pa.string()), pa.field("plain", pa.int64())])
    rows = [{column: "a", "plain": 1}, {column: None, "plain": 2}]
    parts = archived(schema, rows)
    before = sorted(tmp_path.iterdir())
    if destination.name.startswith("dlt+") and not re.fullmatch("[a-z_]+", name):
        # dlt would change the name.
        with raises(DestinationRejected, repr(name), code=INVALID_TABLE):
            destination.load(_load(table=name), _SCHEMA, ())
        with raises(SchemaConflict, repr(column), code="invalid_column"):
            destination.load(_load(order=()), schema, parts)
        assert destination.columns("charges") is None
        return
    loads = [_load(run, table=name, method=method, order=("plain",), comments={column: f"{name}'s"}, comment=name)
             for run, method in (("r/1'", "replace"), ("..", "append"))]  # fmt: skip
    for load in loads:
        assert destination.load(load, schema, parts).rows == 2
    assert _rows(destination, name, "plain") == [rows[0], rows[0], rows[1], rows[1]]
    assert destination.rows(name) == 4
    assert destination.columns(name) == column_types(destination, **{column: "VARCHAR", "plain": "BIGINT"})
    assert destination.has_load(loads[0])
    if column != name:
        assert destination.load(_load("longest", table=column, order=("plain",)), schema, parts).rows == 2
        assert _rows(destination, column, "plain") == rows
    assert {path.name for path in set(tmp_path.iterdir()) - set(before)} <= {"stripe", "stripe.duckdb"}


@pytest.mark.parametrize("table", ["", "a\0b", LOADS_TABLE, LOADS_TABLE.upper(), "_counterfoil_known"])
def test_invalid_table_name_is_rejected(destination: Destination, table: str) -> None:
    with raises(DestinationRejected, code=INVALID_TABLE):
        destination.load(_load(table=table), _SCHEMA, ())


@pytest.mark.parametrize("names", [("id", "ID"), ("id", ""), ("id", "a\0b")])
def test_invalid_column_names_are_rejected(destination: Destination, names: tuple[str, str]) -> None:
    with raises(SchemaConflict, code="invalid_column"):
        destination.load(_load(), pa.schema([pa.field(name, pa.string()) for name in names]), ())


def test_undeclared_method_is_rejected(destination: Destination) -> None:
    assert {"replace", "append"} <= destination.kind.methods
    assert ("merge" in destination.kind.methods) == ("merge" in destination.kind.guarantees)
    for method in {"merge", "partition"} - destination.kind.methods:
        with raises(DestinationRejected, method, code="unsupported_method", hint="replace"):
            destination.load(_load(method=method), _SCHEMA, ())
    assert destination.columns("charges") is None


def test_order_by_missing_column_is_rejected(destination: Destination) -> None:
    with raises(RunError, "created", code="column_missing"):
        destination.load(_load(order=("-created",)), _SCHEMA, ())


def test_five_hundred_columns_are_loaded(destination: Destination, archived: Archived) -> None:
    schema = pa.schema([pa.field(f"column_{n}", pa.string() if n % 2 else pa.int64()) for n in range(500)])
    rows = [{f"column_{n}": f"{row}" if n % 2 else row for n in range(500)} for row in range(3)]
    load = _load(order=("-column_0",), comments={f"column_{n}": f"number {n}" for n in range(500)})
    assert destination.load(load, schema, archived(schema, rows)).rows == 3
    assert _rows(destination, order="column_0") == rows


def test_wide_text_is_stored_unchanged(destination: Destination, archived: Archived) -> None:
    rows = [{"id": f"{n}" * 3_000_000, "amount": n} for n in range(8)]
    destination.load(_load(order=("-amount",)), _SCHEMA, archived(_SCHEMA, rows))
    assert _rows(destination, order="amount") == rows


@pytest.mark.parametrize("method", ["replace", "append"])
def test_parts_with_missing_rows_change_nothing(destination: Destination, archived: Archived, method: str) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    (part,) = archived(_SCHEMA, [{"id": "ch_9", "amount": 9}])
    with raises(RunError, "run-2", 5, 1, code="row_count_mismatch"):
        destination.load(_load("run-2", method=method), _SCHEMA, (Part(part.path, 5, part.bytes, part.checksum),))
    assert _rows(destination) == _ROWS
    assert not destination.has_load(_load("run-2"))


def test_parts_with_different_column_type_change_nothing(destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    doubles = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.float64())])
    with raises(SchemaConflict, "amount", "DOUBLE", "BIGINT", code="parts_mismatch"):
        destination.load(_load("run-2"), _SCHEMA, archived(doubles, [{"id": "ch_9", "amount": 1.5}]))
    assert _rows(destination) == _ROWS


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_damaged_part_changes_nothing(destination: Destination, archived: Archived, damage: str) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    whole, damaged = archived(_SCHEMA, _ROWS) + archived(_SCHEMA, _ROWS)
    if damage == "truncated":
        damaged.path.write_bytes(damaged.path.read_bytes()[:50])
    else:
        damaged.path.unlink()
    with pytest.raises(RunError):
        destination.load(_load("run-2"), _SCHEMA, (whole, damaged))
    assert _rows(destination) == _ROWS


def test_part_outside_archive_is_rejected(destination: Destination, archived: Archived, tmp_path: Path) -> None:
    (part,) = archived(_SCHEMA, _ROWS)
    elsewhere = part.path.rename(tmp_path / "part.parquet")
    with raises(RunError, elsewhere, code="part_outside_archive"):
        destination.load(_load(), _SCHEMA, (Part(elsewhere, part.rows, part.bytes, part.checksum),))


def test_threads_load_concurrently_and_shared_run_counts_once(
    destination: Destination, archived: Archived, tmp_path: Path, settings: Settings
) -> None:
    parts = archived(_SCHEMA, _ROWS)
    waiting = settings.model_copy(update={"busy_seconds": 60})
    patient = open_destination(destination.name, relative_to=tmp_path, settings=waiting)

    def load(run: str) -> int:
        return patient.load(_load(run, method="append"), _SCHEMA, parts).rows

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(load, ["shared", "a", "shared", "b", "shared", "c", "shared", "d"])) == [2] * 8
    assert patient.rows("charges") == 2 * 5


@pytest.mark.parametrize(
    "sql",
    ["DROP TABLE charges", "SELECT 1; SELECT 2", "", "COPY charges TO 'x.csv'", "SET threads = 1", "INSTALL httpfs"],
)
def test_query_other_than_one_select_is_rejected(queryable: Destination, archived: Archived, sql: str) -> None:
    queryable.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    with pytest.raises(RunError):
        queryable.query(sql)
    assert _rows(queryable) == _ROWS


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT * FROM nowhere"])
def test_invalid_query_raises_query_failed(queryable: Destination, archived: Archived, sql: str) -> None:
    queryable.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    with raises(RunError, code=QUERY_FAILED):
        queryable.query(sql)


def test_query_error_during_reading_raises_query_failed(queryable: Destination, archived: Archived) -> None:
    queryable.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    late = "CASE WHEN n = 90000 THEN CAST(CAST('boom' || n AS INTEGER) AS VARCHAR) ELSE repeat('x', 40) END"
    reader = queryable.query(f"SELECT {late} AS x FROM generate_series(1, 100000) AS t(n)")
    with raises(RunError, code=QUERY_FAILED):
        reader.read_all()


def test_load_continues_while_query_is_read(queryable: Destination, archived: Archived) -> None:
    queryable.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    reader = queryable.query("SELECT amount FROM charges, generate_series(1, 50000)")
    first = reader.read_next_batch()
    queryable.load(_load("run-2"), _SCHEMA, ())
    assert first.num_rows + sum(batch.num_rows for batch in reader) == 100_000
    assert queryable.rows("charges") == 0
