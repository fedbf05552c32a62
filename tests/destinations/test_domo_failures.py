"""After any failure between a load and Domo, the run counts once and the table is complete."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination
from counterfoil.destinations.domo.destination import DomoDestination
from counterfoil.errors import (
    CounterfoilError,
    DestinationBusy,
    DestinationRejected,
    RunError,
    SchemaConflict,
    TransientError,
)
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded
from tests.destinations.conftest import Archived, raises
from tests.domo_api import DomoServer

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}, {"id": "ch_2", "amount": None}]
_NEXT = [{"id": "ch_3", "amount": 3}]

#: The kinds of requests of one load.
_CREATE, _START, _PART = "POST /v1/streams$", "POST .*/executions$", "PUT .*/part/"
_RECORD, _COMMIT, _STATE = "PUT /v1/datasets/", "PUT .*/commit$", r"GET .*/executions/\d+$"


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace"} | changes)


def _open(server: DomoServer, settings: Settings, **how: Any) -> DomoDestination:
    return DomoDestination(server.url(), settings, wait_seconds=0.01, **how)


@pytest.fixture
def destination(domo_destination: Destination) -> Destination:
    return domo_destination


@pytest.mark.parametrize("how", [500, 429, "cut", "lost"])
@pytest.mark.parametrize(
    "request_pattern", [_PART, _RECORD, _COMMIT, _STATE, "GET /v1/datasets", "GET /v1/streams", "oauth"]
)
def test_failed_request_is_retried(
    domo_server: DomoServer, destination: Destination, archived: Archived, request_pattern: str, how: Any
) -> None:
    domo_server.fail(request_pattern, how, 2)
    load = _load(method="append")
    assert destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS)).rows == 2
    assert destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS)).rows == 2
    assert domo_server.rows("charges") == _ROWS


@pytest.mark.parametrize("how", [500, "cut", "lost"])
@pytest.mark.parametrize("request_pattern", [_CREATE, _START])
def test_non_idempotent_request_is_left_to_next_attempt(
    domo_server: DomoServer, destination: Destination, archived: Archived, request_pattern: str, how: Any
) -> None:
    domo_server.fail(request_pattern, how)
    parts = archived(_SCHEMA, _ROWS)
    with pytest.raises(TransientError):
        destination.load(_load(), _SCHEMA, parts)
    assert destination.columns("charges") is None
    assert destination.scopes("charges") is None
    assert destination.load(_load(), _SCHEMA, parts).rows == 2
    assert [dataset.name for dataset in domo_server.datasets.values()] == ["charges"]
    assert domo_server.rows("charges") == _ROWS


def test_expired_token_is_renewed_and_rejected_token_fails(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    for request in (_PART, _COMMIT, _STATE):
        domo_server.fail(request, domo_server.tokens.clear)
    assert destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS)).rows == 2
    assert domo_server.asked.count("GET /oauth/token") == 4
    domo_server.fail("GET /v1/datasets$", 401, 99)
    with raises(DestinationRejected, hint="scope data") as caught:
        destination.check()
    assert caught.value.status == 401


def test_rejected_request_leaves_table_unchanged_and_has_request_id(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    for request in (_START, _PART, _RECORD, _COMMIT):
        domo_server.fail(request, 400)
        with pytest.raises(DestinationRejected) as caught:
            destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
        assert caught.value.status == 400
        assert ("15 minutes" in str(caught.value.hint)) == (request == _COMMIT)
        assert domo_server.rows("charges") == _ROWS
        assert not destination.has_load(_load("run-2"))
    domo_server.fail(_PART, domo_server.datasets.clear)
    with pytest.raises(CounterfoilError) as missing:
        destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
    assert missing.value.request_id == "TOE-1"


def test_load_waits_for_slow_commit(domo_server: DomoServer, destination: Destination, archived: Archived) -> None:
    domo_server.looks = 3
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert domo_server.rows("charges") == _ROWS


def test_next_attempt_waits_for_unfinished_commit(
    domo_server: DomoServer, settings: Settings, archived: Archived
) -> None:
    impatient = _open(domo_server, settings)
    patient = _open(domo_server, settings.model_copy(update={"busy_seconds": 60}))
    load, parts = _load(method="append"), archived(_SCHEMA, _ROWS)
    domo_server.looks = 6
    domo_server.fail(_STATE, 500, 6)
    with pytest.raises(TransientError):
        impatient.load(load, _SCHEMA, parts)
    assert not impatient.has_load(load)
    with raises(TransientError, code="execution_open"):
        impatient.load(load, _SCHEMA, parts)
    assert patient.load(load, _SCHEMA, parts) == Loaded(rows=2, added=2)
    assert domo_server.rows("charges") == _ROWS
    assert len([request for request in domo_server.asked if "/part/" in request]) == 1
    assert impatient.has_load(load)


def test_rows_rejected_at_commit_fail_load(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    def fail_executions() -> None:
        for stream in domo_server.streams.values():
            stream.executions[max(stream.executions)].state = "FAILED"

    domo_server.fail(_STATE, fail_executions)
    domo_server.looks = 9
    with raises(RunError, code="rows_rejected"):
        destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert destination.columns("charges") is None
    assert not domo_server.datasets
    assert not domo_server.streams


def test_open_execution_is_aborted(domo_server: DomoServer, destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    (stream,) = domo_server.streams.values()
    open_execution = domo_server.post_execution(stream)["id"]
    destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
    assert stream.executions[open_execution].state == "ABORTED"
    assert domo_server.rows("charges") == _NEXT


def test_load_from_another_machine_is_detected_before_commit(
    domo_server: DomoServer, destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    settings = Settings(home=tmp_path / "elsewhere", archive_path=tmp_path / "home/archive")
    elsewhere = _open(domo_server, settings)
    parts = archived(_SCHEMA, _NEXT)

    def load_elsewhere() -> None:
        elsewhere.load(_load("other", method="append"), _SCHEMA, parts)

    domo_server.fail(_PART, load_elsewhere)
    with pytest.raises((DestinationBusy, DestinationRejected)):
        destination.load(_load("run-2", method="append"), _SCHEMA, parts)
    assert domo_server.rows("charges") == _ROWS + _NEXT
    assert destination.has_load(_load("other"))
    assert destination.load(_load("run-2", method="append"), _SCHEMA, parts).rows == 1
    assert domo_server.rows("charges") == _ROWS + _NEXT * 2


def test_description_changed_during_load_is_not_overwritten(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    dataset = domo_server.dataset("charges")
    assert dataset
    record = dataset.description

    def edit_description() -> None:
        dataset.description = f"Mine. {record}"

    domo_server.fail(_PART, edit_description)
    with raises(DestinationBusy, "charges", code="concurrent_load"):
        destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
    assert dataset.description == f"Mine. {record}"
    assert domo_server.rows("charges") == _ROWS
    destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
    assert destination.has_load(_load())


_OTHER = pa.schema([pa.field("amount", pa.string()), pa.field("new", pa.int64())])


@pytest.mark.parametrize("method", ["replace", "append"])
def test_failed_load_restores_columns(
    domo_server: DomoServer, destination: Destination, archived: Archived, method: str
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    other = _OTHER if method == "replace" else _SCHEMA.append(pa.field("new", pa.int64()))
    parts = archived(other, [dict.fromkeys(other.names)])
    failures: list[Callable[[], Any]] = [
        lambda: domo_server.fail(_PART, 400),
        lambda: domo_server.fail(_COMMIT, 400),
        lambda: domo_server.fail(_START, 500),
    ]
    for fail in failures:
        fail()
        with pytest.raises(CounterfoilError):
            destination.load(_load("run-2", method=method), other, parts)
        assert destination.columns("charges") == (("id", "STRING"), ("amount", "LONG"))
        assert domo_server.rows("charges") == _ROWS
    destination.load(_load("run-2", method=method), other, parts)
    assert len(domo_server.rows("charges")) == (1 if method == "replace" else 3)
    wrong = pa.schema([pa.field("amount", pa.float64())])
    with raises(SchemaConflict, "amount", "charges", code="column_type_conflict"):
        destination.load(_load("run-3", method="append"), wrong, archived(wrong, [{"amount": 1.5}]))


@pytest.mark.parametrize("exists", [False, True])
def test_load_is_canceled_while_domo_does_not_respond(
    domo_server: DomoServer, destination: Destination, archived: Archived, exists: bool
) -> None:
    if exists:
        destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    other = pa.schema([pa.field("other", pa.string())])
    finished, requested = threading.Event(), threading.Event()

    def wait() -> None:
        requested.set()
        assert finished.wait(60)

    started = time.monotonic()
    domo_server.fail(_PART, wait)
    # This response takes longer than the loader waits before it interrupts again.
    domo_server.fail("PUT .*/abort$", lambda: finished.wait(0.3))
    try:
        with raises(RunError, code="load_canceled"):
            destination.load(_load("run-2"), other, archived(other, [{"other": "x"}]), stop=requested.is_set)
    finally:
        finished.set()
    assert time.monotonic() - started < 20
    if exists:
        assert domo_server.seen("charges") == ([("id", "STRING"), ("amount", "LONG")], _ROWS)
        (stream,) = domo_server.streams.values()
        assert [each.state for each in stream.executions.values()] == ["SUCCESS", "ABORTED"]
    else:
        assert not domo_server.datasets
        assert not domo_server.streams


#: For each line, loads once in a child process, which the server kills at a chosen request.
_LOADER = """
import os, sys
from pathlib import Path
import pyarrow as pa, duckdb
from counterfoil.destinations.domo import destination as domo
from counterfoil.settings import Settings
from counterfoil.values import Load, Part

url, home, path = sys.argv[1:]
schema = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64()), pa.field("new", pa.int64())])
for line in sys.stdin:
    method, run = line.split()
    child = os.fork()
    if not child:
        sys.stdout.write(f"{os.getpid()}\\n")
        sys.stdout.flush()
        destination = domo.DomoDestination(url, Settings(home=Path(home), busy_seconds=0))
        destination.load(Load(run=run, table="charges", method=method), schema, [Part(Path(path), 1, 0, "")])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status), flush=True)
"""


@pytest.mark.thorough
def test_load_killed_at_any_request_counts_once(
    domo_server: DomoServer, destination: Destination, archived: Archived, settings: Settings
) -> None:
    schema = _SCHEMA.append(pa.field("new", pa.int64()))
    (part,) = archived(schema, [{"id": "ch_9", "amount": 9, "new": 1}])
    before = archived(_SCHEMA, _ROWS)
    pids: list[int] = []
    arguments = [domo_server.url(), str(settings.home), str(part.path)]
    command = [sys.executable, "-c", _LOADER, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as loader:
        assert loader.stdin
        assert loader.stdout
        loaded = []
        for method in ("append", "replace"):
            number = 0
            while True:
                number += 1
                run = f"{method}-{number}"
                domo_server.datasets.clear()
                domo_server.streams.clear()
                domo_server.troubles.clear()
                destination.load(_load(), _SCHEMA, before)
                # The server answers the requests before this one, then kills the child.
                domo_server.fail(" ", lambda: None, number - 1)
                domo_server.fail(" ", lambda: os.kill(pids[-1], signal.SIGKILL))
                print(method, run, file=loader.stdin, flush=True)
                pids.append(int(loader.stdout.readline()))
                killed = int(loader.stdout.readline()) == signal.SIGKILL
                domo_server.settle()
                domo_server.troubles.clear()
                load = _load(run, method=method)
                new = [{"id": "ch_9", "amount": 9, "new": 1}]
                old = [row | {"new": None} for row in _ROWS] if method == "append" else []
                rows = [row | {"new": row.get("new")} for row in domo_server.rows("charges")]
                assert (rows == old + new) == destination.has_load(load), number
                assert rows in (old + new, [row | {"new": None} for row in _ROWS]), number
                loaded.append(destination.has_load(load))
                if number % 2:
                    # Another run loads first, and finds the columns of the existing rows.
                    other = _load("between", method="append")
                    assert destination.load(other, _SCHEMA, archived(_SCHEMA, _NEXT)).rows == 1
                    wide = (("new", "LONG"),) if loaded[-1] else ()
                    assert destination.columns("charges") == (("id", "STRING"), ("amount", "LONG"), *wide)
                    assert destination.drop("charges")
                    destination.load(_load(), _SCHEMA, before)
                assert destination.load(load, schema, (part,)).rows == 1
                assert domo_server.rows("charges") == old + new
                assert not any(each.state == "ACTIVE" for one in domo_server.streams.values()
                               for each in one.executions.values())  # fmt: skip
                if not killed:
                    break
        loader.stdin.close()
    assert any(loaded[:-1])
    assert not all(loaded)
    assert len(loaded) > 20
