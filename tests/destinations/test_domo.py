"""What is Domo's own: the client and its secret, names that are not unique, and everything that can go wrong."""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from counterfoil.archive import Archive
from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.domo import DomoDestination
from counterfoil.destinations.domo_url import domo_place
from counterfoil.errors import (
    CounterfoilError,
    DestinationBusy,
    DestinationRejected,
    RunError,
    SchemaConflict,
    SettingsError,
    TransientError,
)
from counterfoil.settings import Settings
from counterfoil.values import Load, Loaded
from tests.destinations.conftest import Archived
from tests.domo_api import CLIENT, SECRET, DomoServer

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


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("domo://me@api.domo.com", "domo://me@api.domo.com"),
        ("DOMO://me@API.domo.com:443/", "domo://me@api.domo.com:443"),
        ("domo://api.domo.com?secret=env:DOMO_CLIENT_SECRET", "domo://api.domo.com"),
        ("domo://me@api.domo.com?secret=file:/run/x&prefix=S%20", "domo://me@api.domo.com?prefix=S%20&secret=file:/run/x"),
        ("domo://[::1]:80?prefix=a%26b", "domo://[::1]:80?prefix=a%26b"),
    ],
)  # fmt: skip
def test_a_url_has_one_spelling(url: str, name: str, tmp_path: Path) -> None:
    destination = open_destination(url, relative_to=tmp_path, settings=Settings(home=tmp_path))
    assert destination.name == name
    assert open_destination(name, relative_to=tmp_path, settings=Settings(home=tmp_path)).name == name


@pytest.mark.parametrize("url", [
    "domo:", "domo://", "domo://me@", "domo://me@api.domo.com/x", "domo://me@api.domo.com?folder=x", "domo://[x",
    "domo://me@api.domo.com?prefix=%00", "domo://me:hunter2@api.domo.com", "domo://me@api.domo.com?secret=hunter2",
    "domo://me@api.domo.com?secret=", "domo://me@api.domo.com#x", "domo://me@api.domo.com:x",
])  # fmt: skip
def test_a_url_that_names_no_client_or_a_secret_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        domo_place(url)
    assert refused.value.hint
    assert "hunter2" not in f"{refused.value} {refused.value.hint}"


def test_client_and_secret_are_found_where_the_url_says(
    domo_server: DomoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    DomoDestination(domo_server.url(secret=f"file:{tmp_path}/secret"), settings).check()
    without = domo_server.url().replace(f"{CLIENT}@", "")
    with pytest.raises(SettingsError, match="names no client") as missing:
        DomoDestination(without, settings).check()
    assert "DOMO_CLIENT_ID" in str(missing.value.hint)
    monkeypatch.setenv("DOMO_CLIENT_ID", CLIENT)
    DomoDestination(without, settings).check()
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    with pytest.raises(SettingsError, match="there is no variable DOMO_CLIENT_SECRET"):
        DomoDestination(domo_server.url(), settings).check()
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "")
    with pytest.raises(SettingsError, match="is empty"):
        DomoDestination(domo_server.url(), settings).check()
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "another")
    with pytest.raises(DestinationRejected, match="does not take the client id and secret"):
        DomoDestination(domo_server.url(), settings).check()


def test_a_place_that_is_not_there_is_told_and_no_secret_is(
    domo_server: DomoServer, archived: Archived, settings: Settings, destination: Destination
) -> None:
    told = [repr(destination), destination.name, str(vars(destination))]
    for status in (400, 401, 403, 500):
        domo_server.fail("GET /v1/datasets$", status, 99)
        with pytest.raises(CounterfoilError) as error:
            _open(domo_server, settings).load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
        told.append(f"{error.value!r} {error.value} {error.value.hint}")
        domo_server.troubles.clear()
    domo_server.fail("oauth", 500, 99)
    with pytest.raises(TransientError) as error:
        _open(domo_server, settings).check()
    told.append(f"{error.value!r} {error.value} {error.value.hint}")
    assert not [text for text in told if SECRET in text or any(token in text for token in domo_server.tokens)]


def test_nobody_there_is_worth_another_try(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOMO_CLIENT_SECRET", SECRET)
    with pytest.raises(TransientError, match="can't be reached"):
        DomoDestination("domo://me@127.0.0.1:1", settings, wait_seconds=0.01).check()


def test_a_proxy_is_asked_and_its_password_is_told_to_nobody_else(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOMO_CLIENT_SECRET", SECRET)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy, ThreadPoolExecutor(1) as threads:

        def refuse() -> None:
            for _ in range(6):
                with proxy.accept()[0] as asking:
                    heard.append(asking.recv(4096))
                    asking.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

        done = threads.submit(refuse)
        for name in ("https_proxy", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{proxy.getsockname()[1]}")
        with pytest.raises(TransientError, match=r"api\.domo\.com can't be reached") as error:
            DomoDestination("domo://me@api.domo.com", settings, wait_seconds=0.01).check()
        done.result()
    assert heard[0].startswith(b"CONNECT api.domo.com:443 ")
    assert b"Proxy-Authorization: Basic bWU6aHVudGVyMg==" in heard[0]
    assert SECRET.encode() not in b"".join(heard)
    assert "hunter2" not in f"{error.value!r} {error.value} {error.value.hint}"


def test_it_answers_no_questions(settings: Settings) -> None:
    with pytest.raises(DestinationRejected, match="answers no questions"):
        DomoDestination("domo://me@api.domo.com", settings).query("SELECT 1")


def test_a_prefix_stands_before_the_names_of_datasets(
    domo_server: DomoServer, settings: Settings, archived: Archived
) -> None:
    destination = DomoDestination(domo_server.url(prefix="Stripe%20"), settings)
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert domo_server.rows("Stripe charges") == _ROWS
    assert destination.rows("charges") == 2
    assert destination.rows("Stripe charges") is None


def test_a_table_is_found_among_many_whose_names_hold_its_own(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    for number in range(60):
        domo_server.make(f"{number} Charges of mine", [{"id": "x"}])
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    domo_server.make("charges", [{"id": "somebody's, of the same name"}])
    assert destination.rows("charges") == 2
    assert destination.load(_load("run-2", method="append"), _SCHEMA, archived(_SCHEMA, _NEXT)).rows == 1
    assert destination.rows("charges") == 3


def test_a_dataset_that_is_not_ours_is_left_alone_unless_its_stream_may_be_used(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    mine = domo_server.make("charges", [{"id": "mine"}])
    parts = archived(_SCHEMA, _ROWS)
    for load in (_load(), _load(method="append")):
        with pytest.raises(DestinationRejected, match="not made by Counterfoil"):
            destination.load(load, _SCHEMA, parts)
    with pytest.raises(DestinationRejected, match="not made by Counterfoil"):
        destination.drop("charges")
    with pytest.raises(DestinationRejected, match="takes no loads"):
        destination.load(_load(overwrite=True), _SCHEMA, parts)
    assert domo_server.rows("charges") == [{"id": "mine"}]
    assert destination.scopes("charges") is None
    assert destination.columns("charges") == (("id", "STRING"),)
    del domo_server.datasets[mine.id]
    domo_server.make("charges", [{"id": "mine"}], by_stream=True)
    with pytest.raises(ZeroDivisionError):
        destination.load(_load(overwrite=True), _SCHEMA, parts, guard=lambda: 1 / 0)
    assert domo_server.rows("charges") == [{"id": "mine"}]
    assert destination.scopes("charges") is None
    assert destination.load(_load(overwrite=True), _SCHEMA, parts) == Loaded(rows=2, added=2, deleted=1)
    assert domo_server.rows("charges") == _ROWS


def test_two_tables_of_ours_with_one_name_are_told(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    first = domo_server.dataset("charges")
    assert first
    other = domo_server.make("charges", [{"id": "a copy"}])
    other.description = first.description
    with pytest.raises(DestinationRejected, match="2 DataSets of Counterfoil's are called charges") as refused:
        destination.rows("charges")
    assert first.id in str(refused.value.hint)


def test_the_description_is_the_comment_and_a_record_that_may_not_be_damaged(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    load = _load(comment="Charges\nof the shop", report="charges", account="acct_1", scope={"since": 7})
    destination.load(load, _SCHEMA, archived(_SCHEMA, _ROWS))
    dataset = domo_server.dataset("charges")
    assert dataset
    assert dataset.description.startswith("Charges\nof the shop\n\nKept by Counterfoil")
    assert destination.scopes("charges") == ({"since": 7},)
    dataset.description += " and a word of mine"
    with pytest.raises(DestinationRejected, match="description of the DataSet charges is damaged"):
        destination.has_load(load)


def test_policies_on_rows_stay_on(domo_server: DomoServer, destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    dataset = domo_server.dataset("charges")
    assert dataset
    assert not dataset.policies
    dataset.policies = True
    other = pa.schema([pa.field("other", pa.string())])
    destination.load(_load("run-2"), other, archived(other, [{"other": "x"}]))
    assert dataset.policies


def test_the_record_knows_the_last_loads_and_the_scopes_of_all(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    parts = archived(_SCHEMA, _NEXT)
    for number in range(45):
        scope = {"since": number // 22}
        destination.load(_load(f"run-{number}", method="append", scope=scope), _SCHEMA, parts)
    assert destination.rows("charges") == 45
    assert destination.scopes("charges") == ({"since": 2}, *[{"since": 1}] * 19, {"since": 1}, {"since": 0})
    assert all(destination.has_load(_load(f"run-{number}")) for number in range(25, 45))
    dataset = domo_server.dataset("charges")
    assert dataset
    assert len(dataset.description) < 2_500
    destination.load(_load("whole"), _SCHEMA, parts)
    assert destination.scopes("charges") == ({},)


def test_values_are_written_as_domos_pages_say(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    schema = pa.schema(
        [
            pa.field("major", pa.decimal128(22, 3)),
            pa.field("fine", pa.decimal128(38, 12)),
            pa.field("at", pa.timestamp("us", tz="UTC")),
            pa.field("day", pa.date32()),
            pa.field("yes", pa.bool_()),
            pa.field("rate", pa.float64()),
        ]
    )
    at = dt.datetime(2027, 1, 31, 9, 30, tzinfo=dt.UTC)
    rows = [
        {"major": Decimal("0.000"), "fine": Decimal("0E-12"), "at": at, "day": at.date(), "yes": True, "rate": 1e-9},
        {"major": Decimal("-0.001"), "fine": Decimal("-1E-12"), "at": None, "day": None, "yes": None, "rate": 0.1},
    ]
    destination.load(_load(), schema, archived(schema, rows))
    assert domo_server.last_part.splitlines() == [
        '"0.000","0.000000000000","2027-01-31T09:30:00","2027-01-31","true","1e-9"',
        '"-0.001","-0.000000000001",,,,"0.1"',
    ]
    assert domo_server.rows("charges") == [row | {"yes": "true" if row["yes"] else None} for row in rows]


def _large(settings: Settings, rows: int) -> Any:
    """Rows that gzip makes nothing of."""
    chance = random.Random(7)
    with Archive(settings.archive / "large", _SCHEMA) as archive:
        texts = [f"{number:06}{chance.randbytes(60).hex()}" for number in range(rows)]
        archive.write(pa.RecordBatch.from_pydict({"id": texts, "amount": range(rows)}, schema=_SCHEMA))
    return archive.parts()


def test_rows_go_up_in_parts_side_by_side_and_come_together_in_order(
    domo_server: DomoServer, settings: Settings
) -> None:
    destination = _open(domo_server, settings, part_bytes=100_000)
    domo_server.fail(f"{_PART}3$", 500)
    domo_server.fail(f"{_PART}4$", "cut")
    domo_server.fail(f"{_PART}5$", "lost")
    told: list[str] = []
    assert destination.load(_load(), _SCHEMA, _large(settings, 60_000), progress=told.append).rows == 60_000
    assert [row["amount"] for row in domo_server.rows("charges")] == list(range(60_000))
    assert len({asked for asked in domo_server.asked if "/part/" in asked}) >= 7
    assert any("parts sent" in text for text in told)
    assert not list((settings.home / "domo").glob("*/domo-*"))


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


def test_no_rows_replace_the_rows_that_are_there(
    domo_server: DomoServer, destination: Destination, archived: Archived
) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert destination.load(_load("run-2"), _SCHEMA, ()) == Loaded(deleted=2)
    assert domo_server.rows("charges") == []
    commits = len([asked for asked in domo_server.asked if asked.endswith("/commit")])
    destination.load(_load("run-3"), _SCHEMA, ())
    destination.load(_load("run-4", method="append"), _SCHEMA, ())
    assert commits == len([asked for asked in domo_server.asked if asked.endswith("/commit")])
    assert destination.has_load(_load("run-4"))


def test_a_stream_that_is_gone_is_told(domo_server: DomoServer, destination: Destination, archived: Archived) -> None:
    destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    domo_server.streams.clear()
    with pytest.raises(DestinationRejected, match="its Stream is gone"):
        destination.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, _NEXT))
    assert destination.drop("charges")
    assert not domo_server.datasets


#: Loads once, in a child that the server kills when it asks for what the line says.
_LOADER = """
import os, sys
from pathlib import Path
import pyarrow as pa, duckdb
from counterfoil.destinations import domo
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
