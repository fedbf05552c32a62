"""A load that is killed at any moment leaves the table and its history unchanged or complete."""

from __future__ import annotations

import datetime as dt
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import TransientError
from counterfoil.settings import Settings
from counterfoil.values import Load, Method, Window
from tests.destinations.conftest import Archived, files_of, root_of, table_of
from tests.gate import everything
from tests.postgres import Server, binaries, running

_SCHEMA = pa.schema(
    [pa.field("state", pa.int64()), pa.field("text", pa.string()), pa.field("created", pa.timestamp("us", tz="UTC"))]
)
#: The states share most of their keys, so that a merge adds, changes and drops rows.
_ROWS = {0: 1_500, 1: 2_500, 2: 3_000}
_ROUNDS = {"duckdb": 12, "parquet": 12, "monthly": 4, "s3": 3, "postgres": 4, "delta": 6, "domo": 8, "dlt": 2}
#: Maximum seconds before the first kills, for slow loads.
_LONGEST = {"dlt": 1.0}
_CREATED = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
_COUNT = "SELECT state, count(*) AS rows FROM charges GROUP BY state"
_CURRENT = _COUNT.replace("charges", "charges__history WHERE _valid_to IS NULL")

#: Forks a child for each line. The child loads one state after another until a kernel timer kills it, which, like
#: kill -9, leaves it no time to clean up.
_LOADER = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa, orjson, duckdb
from counterfoil.destinations import open_destination
from counterfoil.destinations.delta import destination
from counterfoil.destinations.domo import destination
from counterfoil.destinations.duckdb import destination
from counterfoil.destinations.object_store import destination
from counterfoil.destinations.parquet import destination
from counterfoil.destinations.postgres import destination
from counterfoil.destinations.warehouse import destination
from counterfoil.settings import Settings
from counterfoil.values import Load, Part, Window

url, home, method, *parts = sys.argv[1:]
parts = [Part(Path(path), int(rows), 0, "") for path, rows in zip(parts[::2], parts[1::2])]
schema = pa.schema(
    [pa.field("state", pa.int64()), pa.field("text", pa.string()), pa.field("created", pa.timestamp("us", tz="UTC"))]
)
how = {"primary_key": ("text",), "created": "created", "covers": (Window(0, 1 << 40),), "deleted": "drop"}
how["history"] = method == "merge" and url.startswith(("duckdb:", "postgresql:"))
# A server releases the locks of a dead process when it notices the death; the system does so at once.
settings = Settings(home=Path(home), busy_seconds=30 if "postgres" in url.partition(":")[0] else 0)
for line in sys.stdin:
    first, after = line.split()
    child = os.fork()
    if not child:
        destination = open_destination(url, relative_to=Path("/"), settings=settings)
        signal.setitimer(signal.ITIMER_REAL, float(after))
        state = int(first)
        while True:
            load = Load(run=f"{os.getpid()}-{state}", table="charges", method=method, order=("text",), **how)
            destination.load(load, schema, [parts[state % 3]])
            state += 1
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status), flush=True)
"""


def _rounds(kind: str) -> int:
    return _ROUNDS[kind] if everything() else max(2, _ROUNDS[kind] // 3)


@contextmanager
def _loading(
    destination: Destination, settings: Settings, archived: Archived, method: str
) -> Iterator[subprocess.Popen[str]]:
    arguments = [destination.name, str(settings.home), method]
    for state, rows in _ROWS.items():
        texts = (f"{n * 7919 % 104_729:099}" for n in range(rows))
        (part,) = archived(_SCHEMA, [{"state": state, "text": text, "created": _CREATED} for text in texts])
        arguments += [str(part.path), str(rows)]
        if state == 0:
            history = method == "merge" and "history" in destination.kind.guarantees
            keys = {"primary_key": ("text",), "history": history}
            destination.load(Load(run="first", table="charges", method="replace", **keys), _SCHEMA, (part,))
    process = subprocess.Popen(
        [sys.executable, "-c", _LOADER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


def test_kill_tests_cover_every_method(request: pytest.FixtureRequest, settings: Settings) -> None:
    has = {(kind, method) for kind in _ROUNDS for method in request.getfixturevalue(f"{kind}_destination").kind.methods}
    # An append is the same transaction as a replace, and its rows look the same as those of a repeated load.
    # A warehouse is loaded in one transaction with every method.
    same = {("dlt", "merge"), ("dlt", "partition")}
    assert has - same - {(kind, "append") for kind in _ROUNDS} == set(_KILLED)


_KILLED = [("duckdb", "replace"), ("duckdb", "merge"), ("duckdb", "partition"),
           ("parquet", "replace"), ("parquet", "partition"),
           ("monthly", "replace"), ("monthly", "partition"), ("s3", "replace"), ("s3", "partition"),
           ("delta", "replace"), ("delta", "merge"), ("delta", "partition"),
           ("postgres", "replace"), ("postgres", "merge"), ("postgres", "partition"),
           ("domo", "replace"), ("dlt", "replace")]  # fmt: skip

#: The cases of the gate: one method of each destination, and merges of the most used destinations.
_GATE = {each for each in _KILLED if each[1] == "replace"} | {("duckdb", "merge"), ("postgres", "merge")}


@pytest.mark.parametrize(
    ("kind", "method"),
    [pytest.param(*each, marks=() if each in _GATE else pytest.mark.thorough) for each in _KILLED],
)
def test_killed_load_leaves_consistent_table(
    request: pytest.FixtureRequest, settings: Settings, archived: Archived, tmp_path: Path, kind: str, method: str
) -> None:
    destination: Destination = request.getfixturevalue(f"{kind}_destination")
    with _loading(destination, settings, archived, method) as loader:
        history = method == "merge" and "history" in destination.kind.guarantees
        _kill_and_check(
            destination, loader, tmp_path, rounds=_rounds(kind), history=history, longest=_LONGEST.get(kind, 0.2)
        )
    load = Load(run="last", table="charges", method="replace")
    patient = settings.model_copy(update={"busy_seconds": 30})
    destination = open_destination(destination.name, relative_to=tmp_path, settings=patient)
    assert destination.load(load, _SCHEMA, ()).rows == 0
    assert destination.rows("charges") == 0
    left = [path for path in (tmp_path / "stripe/.counterfoil/charges").glob("*") if path.is_dir()]
    assert len(left) <= 1
    if kind == "s3":
        assert destination.load(replace(load, run="behind"), _SCHEMA, ()).rows == 0
        found = files_of(destination).find(f"{root_of(destination)}/charges")
        assert len(found) == 4, "two versions without rows have one file and one manifest each"
        assert not list((settings.home / "scratch").iterdir())


def _kill_and_check(
    destination: Destination,
    loader: subprocess.Popen[str],
    tmp_path: Path,
    *,
    rounds: int,
    history: bool = False,
    longest: float = 0.2,
) -> None:
    generator = random.Random()
    most = 30 * longest
    now, changes = 0, 0
    assert loader.stdin
    assert loader.stdout
    for number in range(10 * rounds):
        if number >= rounds and changes:
            break
        print(now + 1, generator.uniform(0.005, longest), file=loader.stdin, flush=True)
        assert loader.stdout.readline() == f"{signal.SIGALRM}\n"
        before = now
        ((now, rows),) = destination.query(_COUNT).read_all().to_pandas().itertuples(index=False)
        assert rows == _ROWS[now]
        if history:
            assert destination.query(_CURRENT).read_all().to_pylist() == [{"state": now, "rows": rows}]
        # The table as an independent reader sees it.
        files = _files(destination, tmp_path)
        assert sum(pq.read_metadata(file).num_rows for file in files) == (rows if files else 0)
        changes += now != before
        # Half of the kills should come before the first load is done and half after, on any machine.
        longest = min(longest * 1.3, most) if now == before else longest * 0.8
    assert changes, "no load completed before a kill"


def _files(destination: Destination, tmp_path: Path) -> list[Path]:
    """The files of the table, if it consists of files."""
    if destination.name.startswith("delta:"):
        return [Path(file) for file in DeltaTable(table_of(destination)).file_uris()]
    return list((tmp_path / "stripe/charges").rglob("*.parquet"))


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server that writes to disk before it confirms a commit."""
    if binaries() is None:
        pytest.skip("Postgres is not installed")
    with running(careless=False) as server:
        yield server


def test_killed_server_has_old_or_new_table(
    durable: Server, settings: Settings, archived: Archived, tmp_path: Path
) -> None:
    destination = open_destination(durable.url(), relative_to=tmp_path, settings=settings)
    assert destination.kind.methods == set(_METHODS)
    (short,), (many,) = (
        archived(_SCHEMA, [{"state": n, "text": f"{n:0500}", "created": _CREATED} for n in range(rows)])
        for rows in (10, 4_000)
    )

    def state() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = destination.query("SELECT * FROM charges ORDER BY state").read_all().to_pylist()
        return found

    for number, method in enumerate(_METHODS):
        load = Load(run=f"{number}-a", table="charges", method=method, **_HOW)
        destination.load(load, _SCHEMA, (short,))
        before = state()
        moments = [("b", (short,), "guard"), ("c", (many,) * 60, "stop")]
        # While they copy rows, the other methods do the same as a replace: COPY in a transaction.
        for run, parts, when in moments if method == "replace" else moments[:1]:
            killed = threading.Event()

            def kill(killed: threading.Event = killed) -> bool:
                in_the_middle = threading.current_thread().name.startswith("stopping")
                if not killed.is_set() and (when == "guard" or in_the_middle):  # noqa: B023
                    killed.set()
                    durable.kill()
                return False

            with pytest.raises(TransientError) as caught:
                destination.load(replace(load, run=f"{number}-{run}"), _SCHEMA, parts, **{when: kill})
            assert caught.value.code in ("unreachable", "server_restarting")
            assert killed.is_set()
            durable.start()
            assert state() == before
            assert not destination.has_load(replace(load, run=f"{number}-{run}"))
        assert destination.has_load(load), "a load that returned is durable"


_METHODS: tuple[Method, ...] = ("replace", "append", "merge", "partition")
_HOW: dict[str, Any] = {
    "primary_key": ("text",), "created": "created", "covers": (Window(0, 1 << 40),), "deleted": "drop"
}  # fmt: skip
