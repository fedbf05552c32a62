"""Warehouses through dlt: the same behavior on Postgres and DuckDB, and the limits on dlt."""

from __future__ import annotations

import hashlib
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination
from counterfoil.destinations.warehouse.dlt_connection import Halt
from counterfoil.destinations.warehouse.kind import KINDS
from counterfoil.destinations.warehouse.tables import take_turn
from counterfoil.destinations.warehouse.url import WAREHOUSES
from counterfoil.errors import DestinationRejected, RunError, SchemaConflict, SettingsError
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Parents
from tests.destinations import test_conformance as conformance
from tests.destinations import test_kills as kills
from tests.destinations import test_merge as merge
from tests.destinations import test_partition as partition
from tests.destinations import test_replay as replay
from tests.destinations.conftest import Archived, QueryableWarehouse, execute_sql, raises

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}, {"id": "ch_2", "amount": None}]


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace", "primary_key": ("id",)} | changes)


def _rows(destination: Destination) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = destination.query("SELECT * FROM charges ORDER BY 1").read_all().to_pylist()
    return found


@pytest.fixture(params=["dlt", "dlt_postgres"])
def warehouse(request: pytest.FixtureRequest) -> QueryableWarehouse:
    found: QueryableWarehouse = request.getfixturevalue(f"{request.param}_destination")
    return found


@pytest.fixture
def postgres_warehouse(dlt_postgres_destination: QueryableWarehouse) -> QueryableWarehouse:
    assert dlt_postgres_destination.kind.guarantees == {"atomic", "idempotent", "merge"}
    assert dlt_postgres_destination.kind.methods == {"replace", "append", "merge", "partition"}
    return dlt_postgres_destination


# Other tests cover DuckDB in full; these tests cover Postgres once.


def test_values_of_every_type_are_stored_exactly_in_postgres(
    postgres_warehouse: QueryableWarehouse, archived: Archived
) -> None:
    conformance.test_values_of_every_type_are_stored_exactly(postgres_warehouse, archived, "append")


def test_run_loaded_twice_counts_once_in_postgres(postgres_warehouse: QueryableWarehouse, archived: Archived) -> None:
    conformance.test_run_loaded_twice_counts_once(postgres_warehouse, archived, "append")


def test_replace_removes_previous_columns_in_postgres(
    postgres_warehouse: QueryableWarehouse, archived: Archived
) -> None:
    conformance.test_replace_removes_previous_rows_and_columns(postgres_warehouse, archived)


@pytest.mark.thorough
def test_merge_works_in_postgres(postgres_warehouse: QueryableWarehouse, archived: Archived) -> None:
    merge.test_last_read_row_of_key_wins(postgres_warehouse, archived, True)
    postgres_warehouse.drop("charges")
    merge.test_deletion_notice_never_replaces_values(postgres_warehouse, archived)
    postgres_warehouse.drop("charges")
    merge.test_new_columns_are_added_and_missing_ones_are_null(postgres_warehouse, archived)


def test_missing_rows_of_parents_are_marked_deleted_in_postgres(
    postgres_warehouse: QueryableWarehouse, archived: Archived
) -> None:
    rows = [merge._row("a", 1), merge._row("b", 1), merge._row("c", 2)]
    postgres_warehouse.load(merge._load(), merge._SCHEMA, archived(merge._SCHEMA, rows))
    load = merge._load("run-2", parents=Parents("metadata", ("{}", "nul\0")), as_of=5)
    with pytest.raises(RunError):
        # JSON cannot be an id, and Postgres cannot compare it with text.
        postgres_warehouse.load(load, merge._SCHEMA, archived(merge._SCHEMA, [rows[0]]))
    load = merge._load("run-2", parents=Parents("_run", ("run-1", "nul\0")), as_of=5)
    done = postgres_warehouse.load(load, merge._SCHEMA, archived(merge._SCHEMA, [rows[0]]))
    assert done == Loaded(rows=1, deleted=2)


def test_partition_replaces_ranges_in_postgres(postgres_warehouse: QueryableWarehouse, archived: Archived) -> None:
    partition.test_partition_replaces_only_rows_in_ranges(postgres_warehouse, archived)


def test_replay_rebuilds_table_in_postgres(postgres_warehouse: QueryableWarehouse, archived: Archived) -> None:
    loads = replay._loads(postgres_warehouse, archived)
    assert postgres_warehouse.replay(loads, replay._SCHEMA, run="back") == Loaded(rows=4, added=4)
    assert [row["id"] for row in _rows(postgres_warehouse)] == ["a", "c", "d", "e"]
    assert postgres_warehouse.scopes("charges") == ({"since": 7},)


@pytest.mark.thorough
def test_killed_load_leaves_consistent_table_in_postgres(
    postgres_warehouse: QueryableWarehouse, settings: Settings, archived: Archived, tmp_path: Path
) -> None:
    with kills._loading(postgres_warehouse, settings, archived, "replace") as loader:
        kills._kill_and_check(postgres_warehouse, loader, tmp_path, rounds=2, longest=1.0)
    patient = QueryableWarehouse(postgres_warehouse.name, tmp_path, settings.model_copy(update={"busy_seconds": 30}))
    assert patient.load(Load(run="last", table="charges", method="replace"), kills._SCHEMA, ()).rows == 0
    _check_clean(patient)


def _waits(warehouse: QueryableWarehouse) -> bool:
    return execute_sql(warehouse, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") != [(0,)]


def test_concurrent_replaces_run_one_after_the_other(
    postgres_warehouse: QueryableWarehouse, archived: Archived, tmp_path: Path, settings: Settings
) -> None:
    postgres_warehouse.load(_load("run-0"), _SCHEMA, archived(_SCHEMA, _ROWS))
    # With another name, the locks of this process do not apply.
    other = QueryableWarehouse(f"{postgres_warehouse.name}&connect_timeout=9", tmp_path, settings)
    parts, both = archived(_SCHEMA, _ROWS[:1]), archived(_SCHEMA, _ROWS)
    with ThreadPoolExecutor(1) as threads:
        second: list[Future[Loaded]] = []

        def start_other_load() -> None:
            second.append(threads.submit(other.load, _load("run-2"), _SCHEMA, both))
            while not second[0].done() and not _waits(other):
                pass

        assert postgres_warehouse.load(_load("run-1"), _SCHEMA, parts, guard=start_other_load).rows == 1
        assert second[0].result(60) == Loaded(rows=2, added=2, deleted=1)
    assert _rows(other) == _ROWS


def test_transaction_waits_for_previous_transaction(postgres_warehouse: QueryableWarehouse, archived: Archived) -> None:
    postgres_warehouse.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))

    def count() -> int:
        with postgres_warehouse._session() as later, later.transaction():
            take_turn(later, "charges")
            return later.count(later.named("charges"))

    with postgres_warehouse._session() as session, ThreadPoolExecutor(1) as threads:
        with session.transaction():
            take_turn(session, "charges")
            counted = threads.submit(count)
            while not counted.done() and not _waits(postgres_warehouse):
                pass
            session.ask(f"DELETE FROM {session.named('charges')}")
        assert counted.result(60) == 0


# Tables, files and settings of dlt.


def _tables(warehouse: QueryableWarehouse) -> list[str]:
    schema = warehouse._place.dataset
    sql = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}' ORDER BY 1"
    return [name for (name,) in execute_sql(warehouse, sql)]


def _check_clean(warehouse: QueryableWarehouse) -> None:
    assert _tables(warehouse) == ["_counterfoil_loads", "_dlt_loads", "_dlt_version", "charges"]
    for table in ("_dlt_loads", "_dlt_version"):
        assert execute_sql(warehouse, f"SELECT count(*) FROM {table}") == [(0,)]


def test_load_leaves_only_table_and_record(warehouse: QueryableWarehouse, archived: Archived) -> None:
    warehouse.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    with pytest.raises(RunError, match="not now"):
        warehouse.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _ROWS), guard=_refuse)
    _check_clean(warehouse)


def _refuse() -> None:
    raise RunError("not now")


@pytest.mark.thorough
def test_next_load_removes_leftovers_of_killed_load(warehouse: QueryableWarehouse, archived: Archived) -> None:
    batches = [pa.RecordBatch.from_pylist(_ROWS, schema=_SCHEMA)]
    warehouse.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    marks = []
    for table in ("charges", "refunds"):
        marks.append(f"counterfoil_{hashlib.sha256(table.encode()).hexdigest()[:12]}_000000000000")
        with warehouse._session() as session:
            session.stage(marks[-1], {f"_{marks[-1]}_rows": (_SCHEMA, batches)}, Halt())
    warehouse.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert f"_{marks[0]}_rows" not in _tables(warehouse)
    assert f"_{marks[1]}_rows" in _tables(warehouse), "staged rows of another table stay"


def test_dlt_sends_no_telemetry_and_leaves_no_folder_or_thread(
    dlt_destination: Destination,
    archived: Archived,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    settings: Settings,
) -> None:
    contacted: list[object] = []

    def refuse(*address: object, **_: object) -> Any:
        contacted.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "true")
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    before = set(threading.enumerate())
    dlt_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert contacted == []
    assert set(threading.enumerate()) == before
    assert {path.name for path in tmp_path.iterdir()} == {"home", "stripe.duckdb"}
    assert [path.name for path in settings.archive.glob("*/*") if path.is_dir()] == []


def test_dlt_settings_in_working_folder_are_ignored(
    dlt_postgres_destination: QueryableWarehouse, archived: Archived, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text('[destination.postgres.credentials]\npassword = "any"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DESTINATION__POSTGRES__CREDENTIALS__PASSWORD")
    with raises(SettingsError, "dlt", "password", hint="DESTINATION__POSTGRES__CREDENTIALS__PASSWORD"):
        dlt_postgres_destination.check()


def test_dlt_settings_that_change_rows_are_ignored(
    dlt_destination: Destination, archived: Archived, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "SCHEMA__NAMING": "direct",
        "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",
        "DEV_MODE": "true",
        "PIPELINES__DEV_MODE": "true",
        "LOAD__WORKERS": "9",
    }.items():
        monkeypatch.setenv(name, value)
    dlt_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert _rows(dlt_destination) == _ROWS


# Warehouses without full transactions, tested on DuckDB, where everything can be inspected.


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["replace", "append", "merge"])
def test_tables_are_created_first_without_transactional_ddl(
    dlt_destination: QueryableWarehouse, archived: Archived, method: str
) -> None:
    place = dlt_destination._place
    dlt_destination._place = replace(place, kind=WAREHOUSES["snowflake"])
    wide = _SCHEMA.append(pa.field("new", pa.string()))
    dlt_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    with pytest.raises(RunError, match="not now"):
        dlt_destination.load(_load("run-2", method=method), wide, archived(wide, []), guard=_refuse)
    assert _rows(dlt_destination) == [row | {"new": None} for row in _ROWS], "only the column was added"
    row = {"id": "ch_1", "amount": 7, "new": "x"}
    dlt_destination.load(_load("run-3", method=method), wide, archived(wide, [row]))
    assert row in _rows(dlt_destination)
    assert dlt_destination.rows("charges") == {"replace": 1, "append": 3, "merge": 2}[method]
    other = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.float64())])
    with raises(SchemaConflict, "amount", "charges", "BIGINT", "DOUBLE", code="column_type_conflict"):
        dlt_destination.load(_load("run-4", method=method), other, ())


@pytest.mark.thorough
def test_replace_is_one_statement_without_transactions(dlt_destination: QueryableWarehouse, archived: Archived) -> None:
    dlt_destination._place = replace(dlt_destination._place, kind=WAREHOUSES["databricks"])
    dlt_destination.kind = replace(dlt_destination.kind, methods=KINDS["databricks"].methods)
    assert dlt_destination.kind.methods == {"replace"}
    load = _load()
    parts = archived(_SCHEMA, _ROWS)
    assert [dlt_destination.load(load, _SCHEMA, parts) for _ in range(2)] == [Loaded(rows=2, added=2)] * 2
    with pytest.raises(RunError, match="not now"):
        dlt_destination.load(_load("run-2"), _SCHEMA, (), guard=_refuse)
    assert _rows(dlt_destination) == _ROWS
    other = pa.schema([pa.field("key", pa.int64())])
    assert dlt_destination.load(_load("run-3"), other, archived(other, [{"key": 1}])) == Loaded(
        rows=1, added=1, deleted=2
    )
    assert _rows(dlt_destination) == [{"key": 1}]
    with raises(DestinationRejected, "append", code="unsupported_method", hint="replace"):
        dlt_destination.load(_load("run-4", method="append"), other, ())
