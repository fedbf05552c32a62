"""Everything that can go wrong between a load and Domo: a run counts once, and the table is whole."""

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
from tests.destinations.conftest import Archived
from tests.domo_api import DomoServer

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}, {"id": "ch_2", "amount": None}]
_NEXT = [{"id": "ch_3", "amount": 3}]

#: The kinds of requests of one load.
_MAKE, _BEGIN, _PART = "POST /v1/streams$", "POST .*/executions$", "PUT .*/part/"
_NOTE, _COMMIT, _STATE = "PUT /v1/datasets/", "PUT .*/commit$", r"GET .*/executions/\d+$"


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace"} | changes)


def _open(server: DomoServer, settings: Settings, **how: Any) -> DomoDestination:
    return DomoDestination(server.url(), settings, wait_seconds=0.01, **how)


@pytest.fixture
def destination(domo_destination: Destination) -> Destination:
    return domo_destination


@pytest.mark.parametrize("how", [500, 429, "cut", "lost"])
@pytest.mark.parametrize("what", [_PART, _NOTE, _COMMIT, _STATE, "GET /v1/datasets", "GET /v1/streams", "oauth"])
def test_what_fails_twice_is_tried_again(
    domo_server: DomoServer, destination: Destination, archived: Archived, what: str, how: Any
) -> None:
    domo_server.fail(what, how, 2)
    load = _load(method="append")
    assert destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS)).rows == 2
    assert destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS)).rows == 2
    assert domo_server.rows("charges") == _ROWS


@pytest.mark.parametrize("how", [500, "cut", "lost"])
@pytest.mark.parametrize("what", [_MAKE, _BEGIN])
def test_what_would_be_made_twice_is_left_to_the_next_attempt(
    domo_server: DomoServer, destination: Destination, archived: Archived, what: str, how: Any
) -> None:
    domo_server.fail(what, how)
    parts = archived(_SCHEMA, _ROWS)
    with pytest.raises(TransientError):
        destination.load(_load(), _SCHEMA, parts)
    assert destination.columns("charges") is None
    assert destination.scopes("charges") is None
    assert destination.load(_load(), _SCHEMA, parts).rows == 2
    assert [dataset.name for dataset in domo_server.datasets.values()] == ["charges"]
    assert domo_server.rows("charges") == _ROWS


def test_a_token_that_ends_in_the_middle_is_renewed_and_one_that_is_never_taken_is_told(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    for what in (_PART, _COMMIT, _STATE):
        domo_server.fail(what, domo_server.tokens.clear)
    assert destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS)).rows == 2
    assert domo_server.asked.count("GET /oauth/token") == 4
    domo_server.fail("GET /v1/datasets$", 401, 99)
    with pytest.raises(DestinationRejected, match=r"refuses \(401\)") as refused:
        destination.check()
    assert "scope data" in str(refused.value.hint)


def test_a_refusal_says_domos_words_and_its_id_and_leaves_the_table_as_it_was(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    for what in (_BEGIN, _PART, _NOTE, _COMMIT):
        domo_server.fail(what, 400)
        with pytest.raises(DestinationRejected, match=r"refuses \(400\)") as refused:
            destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
        assert ("every 15 minutes" in str(refused.value.hint)) == (what == _COMMIT)
        assert domo_server.rows("charges") == _ROWS
        assert not destination.has_load(_load("run-2"))
    domo_server.fail(_PART, domo_server.datasets.clear)
    with pytest.raises(CounterfoilError) as gone:
        destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
    assert gone.value.request_id == "TOE-1"


def test_a_commit_takes_its_time(domo_server: DomoServer, destination: Destination, archived: Archived) -> None:
    domo_server.looks = 3
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert domo_server.rows("charges") == _ROWS


def test_a_commit_that_nobody_saw_the_end_of_is_waited_for_by_the_next_attempt(
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
    with pytest.raises(TransientError, match="does not end"):
        impatient.load(load, _SCHEMA, parts)
    assert patient.load(load, _SCHEMA, parts) == Loaded(rows=2, added=2)
    assert domo_server.rows("charges") == _ROWS
    assert len([asked for asked in domo_server.asked if "/part/" in asked]) == 1
    assert impatient.has_load(load)


def test_rows_that_domo_does_not_take_in_the_end_are_told(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    def spoil() -> None:
        for stream in domo_server.streams.values():
            stream.executions[max(stream.executions)].state = "FAILED"

    domo_server.fail(_STATE, spoil)
    domo_server.looks = 9
    with pytest.raises(RunError, match="Domo did not take the rows"):
        destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert destination.columns("charges") is None
    assert not domo_server.datasets
    assert not domo_server.streams


def test_an_execution_that_somebody_left_open_is_aborted(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    (stream,) = domo_server.streams.values()
    left = domo_server.post_execution(stream)["id"]
    destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
    assert stream.executions[left].state == "ABORTED"
    assert domo_server.rows("charges") == _NEXT


def test_a_load_from_another_machine_is_noticed_before_the_commit(
    domo_server: DomoServer, destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    settings = Settings(home=tmp_path / "elsewhere", archive_path=tmp_path / "home/archive")
    elsewhere = _open(domo_server, settings)
    parts = archived(_SCHEMA, _NEXT)

    def other() -> None:
        elsewhere.load(_load("other", method="append"), _SCHEMA, parts)

    domo_server.fail(_PART, other)
    with pytest.raises((DestinationBusy, DestinationRejected)):
        destination.load(_load("run-2", method="append"), _SCHEMA, parts)
    assert domo_server.rows("charges") == _ROWS + _NEXT
    assert destination.has_load(_load("other"))
    assert destination.load(_load("run-2", method="append"), _SCHEMA, parts).rows == 1
    assert domo_server.rows("charges") == _ROWS + _NEXT * 2


def test_a_description_that_somebody_writes_meanwhile_is_not_written_over(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    dataset = domo_server.dataset("charges")
    assert dataset

    def write() -> None:
        dataset.description = f"Mine. {dataset.description}"

    domo_server.fail(_PART, write)
    with pytest.raises(DestinationBusy, match="somebody else changed charges"):
        destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
    assert dataset.description.startswith("Mine. Kept by")
    assert domo_server.rows("charges") == _ROWS
    destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
    assert destination.has_load(_load())


_OTHER = pa.schema([pa.field("amount", pa.string()), pa.field("new", pa.int64())])


@pytest.mark.parametrize("method", ["replace", "append"])
def test_columns_come_back_when_a_load_that_changes_them_fails(
    domo_server: DomoServer, destination: Destination, archived: Archived, method: str
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    other = _OTHER if method == "replace" else _SCHEMA.append(pa.field("new", pa.int64()))
    parts = archived(other, [dict.fromkeys(other.names)])
    failures: list[Callable[[], Any]] = [
        lambda: domo_server.fail(_PART, 400),
        lambda: domo_server.fail(_COMMIT, 400),
        lambda: domo_server.fail(_BEGIN, 500),
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
    with pytest.raises(SchemaConflict, match="amount of charges is"):
        destination.load(_load("run-3", method="append"), wrong, archived(wrong, [{"amount": 1.5}]))


@pytest.mark.parametrize("there", [False, True])
def test_a_load_is_stopped_while_domo_says_nothing_and_leaves_nothing(
    domo_server: DomoServer, destination: Destination, archived: Archived, there: bool
) -> None:
    if there:
        destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    other = pa.schema([pa.field("other", pa.string())])
    silent, asked = threading.Event(), threading.Event()

    def say_nothing() -> None:
        asked.set()
        assert silent.wait(60)

    began = time.monotonic()
    domo_server.fail(_PART, say_nothing)
    # An answer that takes longer than the loader waits before it interrupts again.
    domo_server.fail("PUT .*/abort$", lambda: silent.wait(0.3))
    try:
        with pytest.raises(RunError, match="was stopped"):
            destination.load(_load("run-2"), other, archived(other, [{"other": "x"}]), stop=asked.is_set)
    finally:
        silent.set()
    assert time.monotonic() - began < 20
    if there:
        assert domo_server.seen("charges") == ([("id", "STRING"), ("amount", "LONG")], _ROWS)
        (stream,) = domo_server.streams.values()
        assert [each.state for each in stream.executions.values()] == ["SUCCESS", "ABORTED"]
    else:
        assert not domo_server.datasets
        assert not domo_server.streams


#: Loads once, in a child that the server kills when it asks for what the line says.
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
def test_a_load_that_is_killed_at_any_request_counts_once(
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
        in_at = []
        for method in ("append", "replace"):
            number = 0
            while True:
                number += 1
                run = f"{method}-{number}"
                domo_server.datasets.clear()
                domo_server.streams.clear()
                domo_server.troubles.clear()
                destination.load(_load(), _SCHEMA, before)
                # Its requests up to this one are answered; then it is gone.
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
                in_at.append(destination.has_load(load))
                if number % 2:
                    # Another run comes first, and finds the columns of the rows that are there.
                    other = _load("between", method="append")
                    assert destination.load(other, _SCHEMA, archived(_SCHEMA, _NEXT)).rows == 1
                    wide = (("new", "LONG"),) if in_at[-1] else ()
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
    assert any(in_at[:-1])
    assert not all(in_at)
    assert len(in_at) > 20
