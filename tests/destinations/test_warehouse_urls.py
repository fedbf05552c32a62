"""A URL identifies one dataset of a warehouse; errors have a hint, and contain no secret."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.warehouse.destination import WarehouseDestination
from counterfoil.destinations.warehouse.errors import error_of
from counterfoil.destinations.warehouse.url import WAREHOUSES
from counterfoil.errors import DestinationRejected, SettingsError, TransientError
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived, QueryableWarehouse, raises

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}, {"id": "ch_2", "amount": None}]


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace", "primary_key": ("id",)} | changes)


def test_only_tested_warehouses_declare_guarantees(tmp_path: Path, settings: Settings) -> None:
    for warehouse, kind in WAREHOUSES.items():
        destination = open_destination(kind.example, relative_to=tmp_path, settings=settings)
        assert bool(destination.kind.guarantees) == (warehouse in ("duckdb", "postgres"))
        assert ("merge" in destination.kind.methods) == (warehouse not in ("databricks", "clickhouse"))
        assert open_destination(destination.name, relative_to=Path("/x"), settings=settings).name == destination.name


def test_queries_are_not_supported(dlt_destination: Destination) -> None:
    assert "query" not in dlt_destination.kind.guarantees
    with raises(DestinationRejected, code="unsupported_queries"):
        WarehouseDestination.query(dlt_destination, "SELECT 1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("dlt+duckdb:///x.duckdb", "dlt+duckdb:///{folder}/x.duckdb?dataset=stripe"),
        ("DLT+DuckDB:////abs/x.duckdb?dataset=books", "dlt+duckdb:////abs/x.duckdb?dataset=books"),
        (
            "dlt+snowflake://me@acme-x1/BOOKS?warehouse=LOAD&role=R&password=env:PW&dataset=s",
            "dlt+snowflake://me@acme-x1/BOOKS?dataset=s&password=env:PW&role=R&warehouse=LOAD",
        ),
        ("dlt+bigquery://acme?location=EU", "dlt+bigquery://acme?dataset=stripe&location=EU"),
        ("dlt+bigquery://", "dlt+bigquery://?dataset=stripe"),
        ("dlt+md:///my_db", "dlt+motherduck:///my_db?dataset=stripe"),
        (
            "dlt+databricks://adb.net/sql/1.0/warehouses/a1?catalog=main",
            "dlt+databricks://adb.net/sql/1.0/warehouses/a1?catalog=main&dataset=stripe",
        ),
        (
            "dlt+redshift://me@h:5439/d?staging=filesystem",
            "dlt+redshift://me@h:5439/d?dataset=stripe&staging=filesystem",
        ),
    ],
)
def test_url_is_normalized(url: str, name: str, tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path.resolve()
    destination = open_destination(url, relative_to=folder, settings=settings)
    assert destination.name == name.format(folder=folder)
    assert open_destination(destination.name, relative_to=Path("/x"), settings=settings).name == destination.name


@pytest.mark.parametrize(
    ("url", "value", "hint"),
    [
        (
            "dlt+snowflak://me@h/d",
            "dlt+snowflak",
            "dlt+snowflake://user@account/database?warehouse=name",
        ),
        ("dlt+filesystem:///x", "dlt+filesystem", "duckdb, "),
        ("dlt+postgres://me@h", "no database", "dlt+postgres://user@host/database"),
        ("dlt+postgres:me@h/d", "invalid address", "dlt+postgres://user@host/database"),
        ("dlt+duckdb://host/x.duckdb", "invalid address", "dlt+duckdb:///books.duckdb"),
        ("dlt+duckdb:///stripe.duckdb", "dataset stripe", "?dataset=name"),
        ("dlt+duckdb:///x.duckdb?dataset=My Books", "'My Books'", "my_books"),
        ("dlt+postgres://me:hunter2@h/d", "(password)", "?password=env:NAME"),
        ("dlt+databricks://h/p?access_token=hunter2", "(access_token)", "?access_token=env:NAME"),
        ("dlt+motherduck:///d?motherduck_token=hunter2", "(motherduck_token)", "?motherduck_token=env:NAME"),
        ("dlt+snowflake://me@h/d?Private_Key=hunter2", "(Private_Key)", "?Private_Key=env:NAME"),
        ("dlt+postgres://me@h:port/d?password=hunter2", "invalid postgres", "dlt+postgres://"),
    ],
)
def test_invalid_url_is_rejected_without_secret(
    url: str, value: str, hint: str, tmp_path: Path, settings: Settings
) -> None:
    with raises(SettingsError, value, hint=hint) as caught:
        open_destination(url, relative_to=tmp_path, settings=settings)
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value!r}"


def test_missing_dlt_error_names_install_command(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dlt", None)
    with raises(SettingsError, "package dlt", hint="pip install 'counterfoil[dlt]'"):
        open_destination("dlt+duckdb:///x.duckdb", relative_to=tmp_path, settings=settings)


def test_missing_driver_error_names_install_command(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "snowflake", None)
    monkeypatch.setenv("PW", "hunter2")
    url = "dlt+snowflake://me@acme/BOOKS?warehouse=LOAD&password=env:PW"
    with raises(SettingsError, "snowflake", hint="pip install 'dlt[snowflake]'"):
        open_destination(url, relative_to=tmp_path, settings=settings).check()


@pytest.mark.parametrize("call", ["check", "load"])
def test_unreachable_server_raises_transient_error(
    tmp_path: Path, settings: Settings, archived: Archived, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setenv("PW", "hunter2")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"dlt+postgres://me@127.0.0.1:{closed.getsockname()[1]}/d?password=env:PW"
        destination = open_destination(url, relative_to=tmp_path, settings=settings)
        with pytest.raises(TransientError, match="refused") as caught:
            destination.check() if call == "check" else destination.load(_load(), _SCHEMA, ())
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("old", "new", "value"), [("owner@", "nobody@", 'role "nobody"'), ("/test", "/nowhere", 'database "nowhere"')]
)
def test_missing_role_or_database_is_rejected(
    dlt_postgres_destination: QueryableWarehouse, settings: Settings, tmp_path: Path, old: str, new: str, value: str
) -> None:
    url = dlt_postgres_destination.name.replace(old, new)
    with raises(DestinationRejected, value):
        QueryableWarehouse(url, tmp_path, settings).check()


def test_unsupported_parameter_is_named(tmp_path: Path, settings: Settings) -> None:
    destination = open_destination("dlt+databricks://h/p?wharehouse=x", relative_to=tmp_path, settings=settings)
    with raises(SettingsError, "databricks", "wharehouse", hint="http_path"):
        destination.check()


def test_missing_secret_reference_is_named(tmp_path: Path, settings: Settings) -> None:
    for reference, value in (("env:NOWHERE_PW", "NOWHERE_PW"), (f"file:{tmp_path}/pw", f"{tmp_path}/pw")):
        url = f"dlt+postgres://me@127.0.0.1:1/d?password={reference}"
        with raises(SettingsError, value):
            open_destination(url, relative_to=tmp_path, settings=settings).check()


def test_errors_never_contain_secrets() -> None:
    cause = Exception("cannot open postgresql://me:hunter2@h/d?password=hunter2 with token swordfish")
    error = error_of(cause, "dlt+postgres://h/d", "postgres", ["swordfish", "hunter2", ""])
    assert "hunter2" not in f"{error!r} {error.hint}"
    assert "swordfish" not in f"{error!r} {error.hint}"


def test_locked_file_error_names_holder(dlt_destination: Destination, archived: Archived) -> None:
    dlt_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    path = dlt_destination.name.removeprefix("dlt+duckdb:///").partition("?")[0]
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with raises(TransientError, f"PID {holder.pid}"):
            dlt_destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _ROWS))
        holder.communicate("")
    assert dlt_destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _ROWS)).rows == 2
