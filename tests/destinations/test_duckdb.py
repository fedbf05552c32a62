"""The DuckDB file: comments, JSON, the record of loads, and access to other files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import DestinationBusy, RunError
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived, raises

_SCHEMA = pa.schema(
    [pa.field("id", pa.string()), pa.field("metadata", pa.string(), metadata={b"counterfoil": b"json"})]
)
_ROWS = [{"id": "ch_1", "metadata": '{"order": "7"}'}]


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace"} | changes)


def _query_file(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """The result of a query on the file without Counterfoil."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("method", ["replace", "append"])
def test_comments_are_stored_on_columns_and_tables(
    duckdb_destination: Destination, archived: Archived, tmp_path: Path, method: str
) -> None:
    parts = archived(_SCHEMA, _ROWS)
    duckdb_destination.load(_load(comments={"id": "Stripe's id"}, comment="Charges"), _SCHEMA, parts)
    again = _load("run-2", method=method, comments={"id": "the id", "metadata": "keys"}, comment="All charges")
    duckdb_destination.load(again, _SCHEMA, parts)
    path = tmp_path / "stripe.duckdb"
    assert _query_file(
        path, "SELECT comment FROM duckdb_columns() WHERE table_name = 'charges' ORDER BY column_index"
    ) == [
        ("the id",),
        ("keys",),
    ]
    assert _query_file(path, "SELECT comment FROM duckdb_tables() WHERE table_name = 'charges'") == [("All charges",)]


def test_json_columns_accept_parts_with_text(
    duckdb_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    plain = pa.schema([pa.field("id", pa.string()), pa.field("metadata", pa.string())])
    duckdb_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    duckdb_destination.load(_load("run-2", method="append"), _SCHEMA, archived(plain, _ROWS))
    assert duckdb_destination.columns("charges") == (("id", "VARCHAR"), ("metadata", "JSON"))
    assert _query_file(tmp_path / "stripe.duckdb", "SELECT metadata.order FROM charges") == [('"7"',)] * 2


def test_each_load_is_recorded_once_with_its_details(
    duckdb_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    load = _load(report="charges", account="acct_1", scope={"limit": 5})
    duckdb_destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS))
    duckdb_destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS))
    sql = "SELECT run, table_name, method, report, account, scope, rows, loaded_at IS NOT NULL FROM _counterfoil_loads"
    recorded = [("run-1", "charges", "replace", "charges", "acct_1", '{"limit":5}', 1, True)]
    assert _query_file(tmp_path / "stripe.duckdb", sql) == recorded


def test_run_can_be_reloaded_after_table_is_dropped(
    duckdb_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    parts = archived(_SCHEMA, _ROWS)
    duckdb_destination.load(_load(), _SCHEMA, parts)
    with duckdb.connect(str(tmp_path / "stripe.duckdb")) as connection:
        connection.execute("DROP TABLE charges")
    assert not duckdb_destination.has_load(_load())
    assert duckdb_destination.load(_load(), _SCHEMA, parts).rows == 1
    assert duckdb_destination.rows("charges") == 1
    assert _query_file(tmp_path / "stripe.duckdb", "SELECT count(*) FROM _counterfoil_loads") == [(1,)]


def test_new_file_has_storage_version_1_4(duckdb_destination: Destination, tmp_path: Path) -> None:
    duckdb_destination.load(_load(), _SCHEMA, ())
    sql = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal"
    assert _query_file(tmp_path / "stripe.duckdb", sql) == [("v1.4.0+",)]


def test_load_leaves_no_temporary_files(duckdb_destination: Destination, archived: Archived, tmp_path: Path) -> None:
    rows = [{"id": f"{n * 7919 % 104_729:0999}", "metadata": None} for n in range(5_000)]
    duckdb_destination.load(_load(order=("id",)), _SCHEMA, archived(_SCHEMA, rows))
    assert {path.name for path in tmp_path.iterdir()} == {"home", "stripe.duckdb"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{folder}/secret.txt')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_parquet('{folder}/home/archive/../../secret.parquet')",
        "SELECT * FROM read_json('http://127.0.0.1:1/x.json')",
    ],
)
def test_query_reads_no_other_files(duckdb_destination: Destination, tmp_path: Path, sql: str) -> None:
    for name in ("secret.txt", "secret.csv", "secret.parquet"):
        (tmp_path / name).write_text("a\n1\n")
    duckdb_destination.load(_load(), _SCHEMA, ())
    with raises(RunError, code="query_not_allowed"):
        duckdb_destination.query(sql.format(folder=tmp_path)).read_all()


def test_symbolic_link_shares_database_handle(
    duckdb_destination: Destination, tmp_path: Path, settings: Settings
) -> None:
    duckdb_destination.load(_load(), _SCHEMA, ())
    (tmp_path / "link.duckdb").symlink_to("stripe.duckdb")
    linked = open_destination("duckdb:///link.duckdb", relative_to=tmp_path, settings=settings)
    reader = duckdb_destination.query("SELECT * FROM range(100000)")
    assert linked.load(_load("run-2"), _SCHEMA, ()).rows == 0
    assert reader.read_all().num_rows == 100_000


def test_load_from_another_archive_raises_destination_busy(
    duckdb_destination: Destination, tmp_path: Path, settings: Settings
) -> None:
    duckdb_destination.load(_load(), _SCHEMA, ())
    elsewhere = Settings(home=settings.home, archive_path=tmp_path / "other", busy_seconds=0)
    other = open_destination("duckdb:///stripe.duckdb", relative_to=tmp_path, settings=elsewhere)
    reader = duckdb_destination.query("SELECT * FROM range(100000)")
    with raises(DestinationBusy, "another archive"):
        other.load(_load("run-2"), _SCHEMA, ())
    del reader
    assert other.load(_load("run-2"), _SCHEMA, ()).rows == 0


def test_check_of_open_file_keeps_its_lock(duckdb_destination: Destination, tmp_path: Path, archived: Archived) -> None:
    duckdb_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    path = duckdb_destination.name.removeprefix("duckdb:///")
    script = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    with duckdb_destination.holding():
        duckdb_destination.check()
        done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False)
    assert "lock" in done.stderr
    subprocess.run([sys.executable, "-c", script, path], check=True)
