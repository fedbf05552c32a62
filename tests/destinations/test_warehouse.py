"""Warehouses by dlt: what holds on Postgres as on DuckDB, and what dlt is kept from."""

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
from counterfoil.destinations.warehouse.tables import take_turn
from counterfoil.destinations.warehouse.url import WAREHOUSES
from counterfoil.errors import DestinationRejected, RunError, SchemaConflict, SettingsError
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded, Parents
from tests.destinations import test_conformance as conformance
from tests.destinations import test_kills as kills
from tests.destinations import test_merge as merging
from tests.destinations import test_partition as partition
from tests.destinations import test_replay as replaying
from tests.destinations.conftest import Archived, ReadBack, by_hand

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}, {"id": "ch_2", "amount": None}]


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace", "primary_key": ("id",)} | changes)


def _rows(destination: Destination) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = destination.query("SELECT * FROM charges ORDER BY 1").read_all().to_pylist()
    return found


@pytest.fixture(params=["dlt", "dlt_postgres"])
def warehouse(request: pytest.FixtureRequest) -> ReadBack:
    found: ReadBack = request.getfixturevalue(f"{request.param}_destination")
    return found


@pytest.fixture
def postgres_warehouse(dlt_postgres_destination: ReadBack) -> ReadBack:
    assert dlt_postgres_destination.kind.guarantees == {"atomic", "idempotent", "merge"}
    assert dlt_postgres_destination.kind.methods == {"replace", "append", "merge", "partition"}
    return dlt_postgres_destination


# What the others prove of DuckDB in full, Postgres is asked once.


def test_values_of_every_type_come_back_exactly_from_postgres(postgres_warehouse: ReadBack, archived: Archived) -> None:
    conformance.test_values_of_every_type_come_back_exactly(postgres_warehouse, archived, "append")


def test_a_run_loaded_twice_counts_once_in_postgres(postgres_warehouse: ReadBack, archived: Archived) -> None:
    conformance.test_a_run_loaded_twice_counts_once(postgres_warehouse, archived, "append")


def test_another_shape_replaces_the_table_of_postgres(postgres_warehouse: ReadBack, archived: Archived) -> None:
    conformance.test_replace_leaves_nothing_of_the_earlier_table(postgres_warehouse, archived)


@pytest.mark.thorough
def test_a_merge_into_postgres_does_what_a_merge_does(postgres_warehouse: ReadBack, archived: Archived) -> None:
    merging.test_of_rows_with_one_key_the_one_read_last_wins(postgres_warehouse, archived, True)
    postgres_warehouse.drop("charges")
    merging.test_a_notice_of_deletion_never_takes_the_place_of_values(postgres_warehouse, archived)
    postgres_warehouse.drop("charges")
    merging.test_new_columns_are_added_and_those_that_are_gone_stay_as_null(postgres_warehouse, archived)


def test_rows_of_parents_that_are_gone_are_marked_in_postgres(postgres_warehouse: ReadBack, archived: Archived) -> None:
    rows = [merging._row("a", 1), merging._row("b", 1), merging._row("c", 2)]
    postgres_warehouse.load(merging._load(), merging._SCHEMA, archived(merging._SCHEMA, rows))
    load = merging._load("run-2", parents=Parents("metadata", ("{}", "nul\0")), as_of=5)
    with pytest.raises(RunError):
        # JSON is no id, and Postgres compares the two with nobody.
        postgres_warehouse.load(load, merging._SCHEMA, archived(merging._SCHEMA, [rows[0]]))
    load = merging._load("run-2", parents=Parents("_run", ("run-1", "nul\0")), as_of=5)
    done = postgres_warehouse.load(load, merging._SCHEMA, archived(merging._SCHEMA, [rows[0]]))
    assert done == Loaded(rows=1, deleted=2)


def test_ranges_are_replaced_in_postgres(postgres_warehouse: ReadBack, archived: Archived) -> None:
    partition.test_the_rows_of_the_ranges_are_replaced_and_no_others(postgres_warehouse, archived)


def test_a_replay_rebuilds_the_table_of_postgres(postgres_warehouse: ReadBack, archived: Archived) -> None:
    loads = replaying._loads(postgres_warehouse, archived)
    assert postgres_warehouse.replay(loads, replaying._SCHEMA, run="back") == Loaded(rows=4, added=4)
    assert [row["id"] for row in _rows(postgres_warehouse)] == ["a", "c", "d", "e"]
    assert postgres_warehouse.scopes("charges") == ({"since": 7},)


@pytest.mark.thorough
def test_a_load_into_postgres_that_is_killed_leaves_the_table_whole(
    postgres_warehouse: ReadBack, settings: Settings, archived: Archived, tmp_path: Path
) -> None:
    with kills._loading(postgres_warehouse, settings, archived, "replace") as loader:
        kills._kill_and_look(postgres_warehouse, loader, tmp_path, rounds=2, longest=1.0)
    patient = ReadBack(postgres_warehouse.name, tmp_path, settings.model_copy(update={"busy_seconds": 30}))
    assert patient.load(Load(run="last", table="charges", method="replace"), kills._SCHEMA, ()).rows == 0
    _check_clean(patient)


def _waits(warehouse: ReadBack) -> bool:
    return by_hand(warehouse, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") != [(0,)]


def test_two_programs_that_replace_a_table_at_once_do_it_one_after_the_other(
    postgres_warehouse: ReadBack, archived: Archived, tmp_path: Path, settings: Settings
) -> None:
    postgres_warehouse.load(_load("run-0"), _SCHEMA, archived(_SCHEMA, _ROWS))
    # By another name, no lock of this process is between them.
    other = ReadBack(f"{postgres_warehouse.name}&connect_timeout=9", tmp_path, settings)
    parts, both = archived(_SCHEMA, _ROWS[:1]), archived(_SCHEMA, _ROWS)
    with ThreadPoolExecutor(1) as threads:
        second: list[Future[Loaded]] = []

        def begin_the_other() -> None:
            second.append(threads.submit(other.load, _load("run-2"), _SCHEMA, both))
            while not second[0].done() and not _waits(other):
                pass

        assert postgres_warehouse.load(_load("run-1"), _SCHEMA, parts, guard=begin_the_other).rows == 1
        assert second[0].result(60) == Loaded(rows=2, added=2, deleted=1)
    assert _rows(other) == _ROWS


def test_a_transaction_on_a_table_waits_for_the_one_before(postgres_warehouse: ReadBack, archived: Archived) -> None:
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


# What belongs to dlt.


def _staged(warehouse: ReadBack) -> list[str]:
    schema = warehouse._place.dataset
    sql = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}' ORDER BY 1"
    return [name for (name,) in by_hand(warehouse, sql)]


def _check_clean(warehouse: ReadBack) -> None:
    assert _staged(warehouse) == ["_counterfoil_loads", "_dlt_loads", "_dlt_version", "charges"]
    for notes in ("_dlt_loads", "_dlt_version"):
        assert by_hand(warehouse, f"SELECT count(*) FROM {notes}") == [(0,)]


def test_nothing_but_the_table_and_its_record_stays(warehouse: ReadBack, archived: Archived) -> None:
    warehouse.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    with pytest.raises(RunError, match="not now"):
        warehouse.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _ROWS), guard=_refuse)
    _check_clean(warehouse)


def _refuse() -> None:
    raise RunError("not now")


@pytest.mark.thorough
def test_what_a_killed_load_left_goes_with_the_next_one_of_the_table(warehouse: ReadBack, archived: Archived) -> None:
    batches = [pa.RecordBatch.from_pylist(_ROWS, schema=_SCHEMA)]
    warehouse.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    marks = []
    for table in ("charges", "refunds"):
        marks.append(f"counterfoil_{hashlib.sha256(table.encode()).hexdigest()[:12]}_000000000000")
        with warehouse._session() as session:
            session.stage(marks[-1], {f"_{marks[-1]}_rows": (_SCHEMA, batches)}, Halt())
    warehouse.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert f"_{marks[0]}_rows" not in _staged(warehouse)
    assert f"_{marks[1]}_rows" in _staged(warehouse), "what belongs to another table is left alone"


def test_dlt_tells_nobody_keeps_no_folder_and_leaves_no_thread(
    dlt_destination: Destination,
    archived: Archived,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    settings: Settings,
) -> None:
    asked: list[object] = []

    def refuse(*address: object, **_: object) -> Any:
        asked.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "true")
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    before = set(threading.enumerate())
    dlt_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert asked == []
    assert set(threading.enumerate()) == before
    assert {path.name for path in tmp_path.iterdir()} == {"home", "stripe.duckdb"}
    assert [path.name for path in settings.archive.glob("*/*") if path.is_dir()] == []


def test_settings_in_the_working_folder_are_not_read(
    dlt_postgres_destination: ReadBack, archived: Archived, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text('[destination.postgres.credentials]\npassword = "any"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DESTINATION__POSTGRES__CREDENTIALS__PASSWORD")
    with pytest.raises(SettingsError, match="dlt does not find password") as caught:
        dlt_postgres_destination.check()
    assert "DESTINATION__POSTGRES__CREDENTIALS__PASSWORD" in str(caught.value.hint)


def test_settings_that_would_change_the_rows_or_their_names_do_not_count(
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


# Warehouses that can't do all at once, tried where everything can be looked at.


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["replace", "append", "merge"])
def test_where_tables_are_no_part_of_a_transaction_they_are_made_before_it(
    dlt_destination: ReadBack, archived: Archived, method: str
) -> None:
    place = dlt_destination._place
    dlt_destination._place = replace(place, kind=WAREHOUSES["snowflake"])
    wide = _SCHEMA.append(pa.field("new", pa.string()))
    dlt_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    with pytest.raises(RunError, match="not now"):
        dlt_destination.load(_load("run-2", method=method), wide, archived(wide, []), guard=_refuse)
    assert _rows(dlt_destination) == [row | {"new": None} for row in _ROWS], "the column came, and no row went"
    row = {"id": "ch_1", "amount": 7, "new": "x"}
    dlt_destination.load(_load("run-3", method=method), wide, archived(wide, [row]))
    assert row in _rows(dlt_destination)
    assert dlt_destination.rows("charges") == {"replace": 1, "append": 3, "merge": 2}[method]
    other = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.float64())])
    with pytest.raises(SchemaConflict, match="amount of charges is BIGINT in the table and DOUBLE in the data"):
        dlt_destination.load(_load("run-4", method=method), other, ())


@pytest.mark.thorough
def test_where_there_are_no_transactions_a_replace_is_one_statement(
    dlt_destination: ReadBack, archived: Archived
) -> None:
    dlt_destination._place = replace(dlt_destination._place, kind=WAREHOUSES["databricks"])
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
    with pytest.raises(DestinationRejected, match="cannot append"):
        dlt_destination.load(_load("run-4", method="append"), other, ())
