"""A URL names one dataset of a warehouse; errors say what to do, and hold no secret."""

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
from tests.destinations.conftest import Archived, ReadBack

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}, {"id": "ch_2", "amount": None}]


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace", "primary_key": ("id",)} | changes)


def test_only_what_was_tried_is_guaranteed(tmp_path: Path, settings: Settings) -> None:
    for warehouse, kind in WAREHOUSES.items():
        destination = open_destination(kind.example, relative_to=tmp_path, settings=settings)
        assert bool(destination.kind.guarantees) == (warehouse in ("duckdb", "postgres"))
        assert ("merge" in destination.kind.methods) == (warehouse not in ("databricks", "clickhouse"))
        assert open_destination(destination.name, relative_to=Path("/x"), settings=settings).name == destination.name


def test_a_warehouse_answers_no_questions(dlt_destination: Destination) -> None:
    assert "query" not in dlt_destination.kind.guarantees
    with pytest.raises(DestinationRejected, match="answers no questions"):
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
def test_a_url_names_one_dataset(url: str, name: str, tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path.resolve()
    destination = open_destination(url, relative_to=folder, settings=settings)
    assert destination.name == name.format(folder=folder)
    assert open_destination(destination.name, relative_to=Path("/x"), settings=settings).name == destination.name


@pytest.mark.parametrize(
    ("url", "words", "hint"),
    [
        (
            "dlt+snowflak://me@h/d",
            "no destination called dlt.snowflak",
            "dlt+snowflake://user@account/database?warehouse=name",
        ),
        ("dlt+filesystem:///x", "no destination called dlt.filesystem", "A URL begins with one of: duckdb"),
        ("dlt+postgres://me@h", "no database of postgres", "dlt+postgres://user@host/database"),
        ("dlt+postgres:me@h/d", "no place of postgres", "dlt+postgres://user@host/database"),
        ("dlt+duckdb://host/x.duckdb", "no place of duckdb", "dlt+duckdb:///books.duckdb"),
        ("dlt+duckdb:///stripe.duckdb", "can't be called stripe", "?dataset=name"),
        ("dlt+duckdb:///x.duckdb?dataset=My Books", "can't be a dataset", "my_books"),
        ("dlt+postgres://me:hunter2@h/d", "holds a password", "?password=env:NAME"),
        ("dlt+databricks://h/p?access_token=hunter2", "holds a access token", "?access_token=env:NAME"),
        ("dlt+motherduck:///d?motherduck_token=hunter2", "holds a motherduck token", "?motherduck_token=env:NAME"),
        ("dlt+snowflake://me@h/d?Private_Key=hunter2", "holds a Private Key", "?Private_Key=env:NAME"),
        ("dlt+postgres://me@h:port/d?password=hunter2", "can't be read", "dlt+postgres://"),
    ],
)
def test_a_url_that_names_none_is_refused_and_no_secret_repeated(
    url: str, words: str, hint: str, tmp_path: Path, settings: Settings
) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        open_destination(url, relative_to=tmp_path, settings=settings)
    assert hint in str(caught.value.hint)
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value!r}"


def test_without_dlt_it_says_what_to_install(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dlt", None)
    with pytest.raises(SettingsError, match="not installed") as caught:
        open_destination("dlt+duckdb:///x.duckdb", relative_to=tmp_path, settings=settings)
    assert caught.value.hint == "pip install 'counterfoil[dlt]', and start this again."


def test_without_a_driver_it_says_what_to_install(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "snowflake", None)
    monkeypatch.setenv("PW", "hunter2")
    url = "dlt+snowflake://me@acme/BOOKS?warehouse=LOAD&password=env:PW"
    with pytest.raises(SettingsError, match="driver of snowflake is not installed") as caught:
        open_destination(url, relative_to=tmp_path, settings=settings).check()
    assert caught.value.hint == "pip install 'dlt[snowflake]'"


@pytest.mark.parametrize("call", ["check", "load"])
def test_a_server_that_is_not_there_is_tried_again(
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
    ("changed", "words"), [("owner", "role \\S+ does not exist"), ("/test", "database \\S+ does not exist")]
)
def test_what_trying_again_does_not_mend_is_told_at_once(
    dlt_postgres_destination: ReadBack, settings: Settings, tmp_path: Path, changed: str, words: str
) -> None:
    url = dlt_postgres_destination.name.replace(changed, "/nowhere" if changed[0] == "/" else "nobody")
    with pytest.raises(DestinationRejected, match=words):
        ReadBack(url, tmp_path, settings).check()


def test_a_parameter_that_the_warehouse_does_not_take_is_named(tmp_path: Path, settings: Settings) -> None:
    destination = open_destination("dlt+databricks://h/p?wharehouse=x", relative_to=tmp_path, settings=settings)
    with pytest.raises(SettingsError, match="databricks takes no wharehouse") as caught:
        destination.check()
    assert "http_path" in str(caught.value.hint)


def test_a_reference_to_nothing_is_told(tmp_path: Path, settings: Settings) -> None:
    for reference, words in (("env:NOWHERE_PW", "NOWHERE_PW is not set"), (f"file:{tmp_path}/pw", "can't be read")):
        url = f"dlt+postgres://me@127.0.0.1:1/d?password={reference}"
        with pytest.raises(SettingsError, match=words):
            open_destination(url, relative_to=tmp_path, settings=settings).check()


def test_secrets_never_get_into_an_error() -> None:
    cause = Exception("cannot open postgresql://me:hunter2@h/d?password=hunter2 with token swordfish")
    told = error_of(cause, "dlt+postgres://h/d", "postgres", ["swordfish", "hunter2", ""])
    assert "hunter2" not in f"{told!r} {told.hint}"
    assert "swordfish" not in f"{told!r} {told.hint}"


def test_a_file_that_another_process_has_is_waited_for(dlt_destination: Destination, archived: Archived) -> None:
    dlt_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    path = dlt_destination.name.removeprefix("dlt+duckdb:///").partition("?")[0]
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TransientError, match=f"PID {holder.pid}"):
            dlt_destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _ROWS))
        holder.communicate("")
    assert dlt_destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _ROWS)).rows == 2
