"""Killed at any moment, a load leaves the table, and its history, as it was or as it should be."""

from __future__ import annotations

import datetime as dt
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from counterfoil.destinations import Destination
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived

_SCHEMA = pa.schema(
    [pa.field("state", pa.int64()), pa.field("text", pa.string()), pa.field("created", pa.timestamp("us", tz="UTC"))]
)
#: The states share most of their keys, so that a merge adds, changes and drops rows.
_ROWS = {0: 1_500, 1: 2_500, 2: 3_000}
_ROUNDS = 12
_CREATED = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
_COUNT = "SELECT state, count(*) AS rows FROM charges GROUP BY state"
_CURRENT = _COUNT.replace("charges", "charges__history WHERE _valid_to IS NULL")

#: Forks a child for each line; the child loads one state after the other until a timer of the kernel's kills it, which
#: like kill -9 leaves it no time for anything.
_LOADER = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa, orjson, duckdb
from counterfoil.destinations import open_destination, parquet, duckdb as adapter
from counterfoil.settings import Settings
from counterfoil.values import Load, Part, Window

url, home, method, *parts = sys.argv[1:]
parts = [Part(Path(path), int(rows), 0, "") for path, rows in zip(parts[::2], parts[1::2])]
schema = pa.schema(
    [pa.field("state", pa.int64()), pa.field("text", pa.string()), pa.field("created", pa.timestamp("us", tz="UTC"))]
)
how = {"primary_key": ("text",), "created": "created", "covers": (Window(0, 1 << 40),), "deleted": "drop"}
how["history"] = method == "merge"
settings = Settings(home=Path(home), busy_seconds=0)
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
            keys = {"primary_key": ("text",), "history": method == "merge"}
            destination.load(Load(run="first", table="charges", method="replace", **keys), _SCHEMA, (part,))
    process = subprocess.Popen(
        [sys.executable, "-c", _LOADER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


def test_each_method_that_a_destination_has_is_killed_here(
    duckdb_destination: Destination, parquet_destination: Destination
) -> None:
    has = {("duckdb", method) for method in duckdb_destination.methods}
    has |= {("parquet", method) for method in parquet_destination.methods}
    # An append is the same transaction as a replace, and its rows cannot be told from those of a load done twice.
    assert has - {("duckdb", "append"), ("parquet", "append")} == set(_KILLED)


_KILLED = [("duckdb", "replace"), ("duckdb", "merge"), ("duckdb", "partition"),
           ("parquet", "replace"), ("parquet", "partition")]  # fmt: skip


@pytest.mark.parametrize(("kind", "method"), _KILLED)
def test_a_load_that_is_killed_leaves_the_table_whole(
    request: pytest.FixtureRequest, settings: Settings, archived: Archived, tmp_path: Path, kind: str, method: str
) -> None:
    destination: Destination = request.getfixturevalue(f"{kind}_destination")
    with _loading(destination, settings, archived, method) as loader:
        _kill_and_look(destination, loader, tmp_path, kept=method == "merge")
    load = Load(run="last", table="charges", method="replace")
    assert destination.load(load, _SCHEMA, ()).rows == 0
    assert destination.rows("charges") == 0
    left = [path for path in (tmp_path / "stripe/.counterfoil/charges").glob("*") if path.is_dir()]
    assert len(left) <= 1


def _kill_and_look(
    destination: Destination, loader: subprocess.Popen[str], tmp_path: Path, *, kept: bool = False
) -> None:
    chance = random.Random()
    longest, now, changes = 0.2, 0, 0
    assert loader.stdin
    assert loader.stdout
    for _ in range(_ROUNDS):
        print(now + 1, chance.uniform(0.005, longest), file=loader.stdin, flush=True)
        assert loader.stdout.readline() == f"{signal.SIGALRM}\n"
        before = now
        ((now, rows),) = destination.query(_COUNT).read_all().to_pandas().itertuples(index=False)
        assert rows == _ROWS[now]
        if kept:
            assert destination.query(_CURRENT).read_all().to_pylist() == [{"state": now, "rows": rows}]
        # What a reader sees who knows nothing of us.
        files = list((tmp_path / "stripe/charges").glob("*.parquet"))
        assert sum(pq.read_metadata(file).num_rows for file in files) == (rows if files else 0)
        changes += now != before
        # Half of the kills should come before the first load is done, and half after, however fast the machine.
        longest = min(longest * 1.3, 2) if now == before else longest * 0.8
    assert changes, "no load was ever done before the kill"
