"""Whatever stands where the DuckDB file should be, the answer is one of our errors, and nothing of it is changed."""

from __future__ import annotations

import os
import resource
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from counterfoil.destinations import LOADS_TABLE, Destination, open_destination
from counterfoil.destinations.sql.errors import mapped
from counterfoil.errors import CounterfoilError, DestinationBusy, DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}]
_LOAD = Load(run="run-1", table="charges", method="replace")
_AGAIN = Load(run="run-2", table="charges", method="replace")


def _folder(path: Path) -> None:
    path.mkdir()


def _text(path: Path) -> None:
    path.write_text("dear diary, " * 1_000)


def _empty(path: Path) -> None:
    path.touch()


def _sqlite(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    connection.close()


def _parquet(path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), path)


def _version(version: int) -> Callable[[Path], None]:
    """A DuckDB file whose storage version is another one, with the checksum of its first block put right."""

    def make(path: Path) -> None:
        duckdb.connect(str(path)).close()
        data = bytearray(path.read_bytes())
        data[12:20] = struct.pack("<Q", version)
        checksum = 5381
        for (word,) in struct.iter_unpack("<Q", data[8:4096]):
            checksum ^= word * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        data[:8] = struct.pack("<Q", checksum)
        path.write_bytes(data)

    return make


def _encrypted(path: Path) -> None:
    connection = duckdb.connect()
    try:
        connection.execute("SET force_mbedtls_unsafe = 'true'")
    except duckdb.Error:
        connection.close()
        pytest.skip("this DuckDB cannot encrypt without an extension")
    connection.execute(f"ATTACH '{path}' AS secret (ENCRYPTION_KEY 'secret')")
    connection.execute("CREATE TABLE secret.t AS SELECT 1 AS a")
    connection.close()


def _damaged(path: Path) -> None:
    connection = duckdb.connect(str(path))
    connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(100000)")
    connection.close()
    data = bytearray(path.read_bytes())
    data[4096:12288] = b"\x55" * 8192
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_folder, "is a folder"),
        (_text, "is not a DuckDB database"),
        (_empty, "is empty"),
        (_sqlite, "is an SQLite database"),
        (_parquet, "is a Parquet file"),
        (_version(100), "another version of DuckDB"),
        (_version(3), "another version of DuckDB"),
        (_encrypted, "is encrypted"),
        (_damaged, "is damaged"),
    ],
)
def test_what_is_not_a_database_that_can_be_written_is_refused_and_left_alone(
    duckdb_destination: Destination, tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "stripe.duckdb"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    for call in (
        lambda: duckdb_destination.load(_LOAD, _SCHEMA, ()),
        lambda: duckdb_destination.has_load(_LOAD),
        lambda: duckdb_destination.query("SELECT 1"),
    ):
        with pytest.raises(DestinationRejected, match=words) as caught:
            call()
        assert str(path) in caught.value.message
        assert caught.value.hint
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path, settings: Settings) -> None:
    destination = open_destination("duckdb:///a/b.duckdb", relative_to=tmp_path, settings=settings)
    with pytest.raises(DestinationRejected, match="there is no folder") as caught:
        destination.load(_LOAD, _SCHEMA, ())
    assert caught.value.hint == f"Make it first: mkdir -p {tmp_path / 'a'}"
    assert not (tmp_path / "a").exists()


def test_a_query_before_the_first_load_says_that_there_is_no_file(duckdb_destination: Destination) -> None:
    with pytest.raises(DestinationRejected, match="there is no file"):
        duckdb_destination.query("SELECT 1")


@contextmanager
def _mounted(place: Path, options: str) -> Iterator[None]:
    """A small file system in memory at `place`; only root may make one."""
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True)
    if made.returncode:
        pytest.skip("mounting needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True, capture_output=True)


def test_a_read_only_file_system_is_told(tmp_path: Path, settings: Settings, archived: Archived) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    parts = archived(_SCHEMA, _ROWS)
    with _mounted(place, "size=8m"):
        destination = open_destination("duckdb:///mounted/x.duckdb", relative_to=tmp_path, settings=settings)
        destination.load(_LOAD, _SCHEMA, parts)
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        with pytest.raises(DestinationRejected, match="may not be written"):
            destination.load(_AGAIN, _SCHEMA, parts)
        missing = open_destination("duckdb:///mounted/y.duckdb", relative_to=tmp_path, settings=settings)
        with pytest.raises(DestinationRejected, match="may not be written"):
            missing.load(_LOAD, _SCHEMA, parts)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write any file")
def test_a_file_without_the_right_to_write_it_is_told(duckdb_destination: Destination, tmp_path: Path) -> None:
    duckdb_destination.load(_LOAD, _SCHEMA, ())
    (tmp_path / "stripe.duckdb").chmod(0o400)
    with pytest.raises(DestinationRejected, match="may not be written"):
        duckdb_destination.load(_AGAIN, _SCHEMA, ())


def _random_rows(rows: int) -> list[dict[str, object]]:
    return [{"id": os.urandom(500).hex(), "amount": n} for n in range(rows)]


def test_a_full_file_system_is_told_and_the_table_is_as_it_was(
    tmp_path: Path, settings: Settings, archived: Archived
) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    small, large = archived(_SCHEMA, _ROWS), archived(_SCHEMA, _random_rows(12_000))
    with _mounted(place, "size=6m"):
        destination = open_destination("duckdb:///mounted/x.duckdb", relative_to=tmp_path, settings=settings)
        destination.load(_LOAD, _SCHEMA, small)
        with pytest.raises(DestinationRejected, match="disk is full"):
            destination.load(_AGAIN, _SCHEMA, large)
        assert destination.query("SELECT * FROM charges").read_all().to_pylist() == _ROWS
        assert not destination.has_load(_AGAIN)
        assert destination.load(_AGAIN, _SCHEMA, small).rows == 1


def test_a_file_that_may_not_grow_is_told_and_the_table_is_as_it_was(
    duckdb_destination: Destination, archived: Archived
) -> None:
    small, large = archived(_SCHEMA, _ROWS), archived(_SCHEMA, _random_rows(12_000))
    duckdb_destination.load(_LOAD, _SCHEMA, small)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, hard))
    try:
        with pytest.raises(DestinationRejected, match="disk is full"):
            duckdb_destination.load(_AGAIN, _SCHEMA, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert duckdb_destination.query("SELECT * FROM charges").read_all().to_pylist() == _ROWS


_HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
connection.close()
print("free", flush=True)
"""


@contextmanager
def _holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file open until it reads a line."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def test_a_file_that_another_process_holds_is_busy_and_the_holder_is_named(
    duckdb_destination: Destination, tmp_path: Path
) -> None:
    duckdb_destination.load(_LOAD, _SCHEMA, ())
    with _holding(tmp_path / "stripe.duckdb") as holder:
        with pytest.raises(DestinationBusy, match=rf"held by python\S* \(PID {holder.pid}\)"):
            duckdb_destination.load(_AGAIN, _SCHEMA, ())
        with pytest.raises(DestinationBusy):
            duckdb_destination.query("SELECT 1")
        with pytest.raises(DestinationBusy):
            duckdb_destination.has_load(_AGAIN)
    assert duckdb_destination.load(_AGAIN, _SCHEMA, ()).rows == 0


def test_a_load_waits_for_the_file_and_tells_once_who_holds_it(tmp_path: Path, settings: Settings) -> None:
    waiting = settings.model_copy(update={"busy_seconds": 60})
    destination = open_destination("duckdb:///stripe.duckdb", relative_to=tmp_path, settings=waiting)
    destination.load(_LOAD, _SCHEMA, ())
    told: list[str] = []
    with _holding(tmp_path / "stripe.duckdb") as holder:

        def let_go(sentence: str) -> None:
            told.append(sentence)
            assert holder.stdin
            print(file=holder.stdin, flush=True)

        assert destination.load(_AGAIN, _SCHEMA, (), progress=let_go).rows == 0
        assert len(told) == 1
        assert f"(PID {holder.pid})" in told[0]
    assert destination.has_load(_AGAIN)


def test_the_file_is_free_for_others_between_two_calls(
    duckdb_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    duckdb_destination.load(_LOAD, _SCHEMA, archived(_SCHEMA, _ROWS))
    with _holding(tmp_path / "stripe.duckdb"):
        pass
    reader = duckdb_destination.query("SELECT * FROM charges, range(100000)")
    reader.read_next_batch()
    del reader
    with _holding(tmp_path / "stripe.duckdb"):
        pass


def test_a_file_open_otherwise_in_this_process_is_busy(duckdb_destination: Destination, tmp_path: Path) -> None:
    duckdb_destination.load(_LOAD, _SCHEMA, ())
    connection = duckdb.connect(str(tmp_path / "stripe.duckdb"))
    with pytest.raises(DestinationBusy, match="in this process"):
        duckdb_destination.load(_AGAIN, _SCHEMA, ())
    connection.close()
    assert duckdb_destination.load(_AGAIN, _SCHEMA, ()).rows == 0


def _table(path: Path, sql: str) -> None:
    connection = duckdb.connect(str(path))
    connection.execute(sql)
    connection.close()


@pytest.mark.parametrize("method", ["replace", "append"])
def test_a_table_that_is_not_ours_is_refused_unless_it_may_be_overwritten(
    duckdb_destination: Destination, archived: Archived, tmp_path: Path, method: str
) -> None:
    _table(tmp_path / "stripe.duckdb", "CREATE TABLE Charges AS SELECT 'mine' AS id, 1::BIGINT AS amount")
    parts = archived(_SCHEMA, _ROWS)
    with pytest.raises(DestinationRejected, match="not made by Counterfoil"):
        duckdb_destination.load(Load(run="r", table="charges", method=method), _SCHEMA, parts)  # type: ignore[arg-type]
    assert duckdb_destination.rows("charges") == 1
    load = Load(run="r", table="charges", method=method, overwrite=True)  # type: ignore[arg-type]
    duckdb_destination.load(load, _SCHEMA, parts)
    mine = [{"id": "mine", "amount": 1}] if method == "append" else []
    assert duckdb_destination.query("SELECT * FROM charges").read_all().to_pylist() == [*mine, *_ROWS]


@pytest.mark.parametrize("name", ["charges", LOADS_TABLE])
def test_a_view_is_never_overwritten(duckdb_destination: Destination, tmp_path: Path, name: str) -> None:
    _table(tmp_path / "stripe.duckdb", f"CREATE VIEW {name} AS SELECT 'x' AS id, 1 AS rows, 'charges' AS table_name")
    with pytest.raises(DestinationRejected, match="is a view"):
        duckdb_destination.load(Load(run="r", table="charges", method="replace", overwrite=True), _SCHEMA, ())


def test_a_record_of_loads_that_is_not_ours_is_an_error_of_ours(
    duckdb_destination: Destination, tmp_path: Path
) -> None:
    _table(tmp_path / "stripe.duckdb", f"CREATE TABLE {LOADS_TABLE} AS SELECT 1 AS a")
    with pytest.raises(CounterfoilError):
        duckdb_destination.load(_LOAD, _SCHEMA, ())


def test_a_constraint_that_the_rows_break_is_told_without_their_values(
    duckdb_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    _table(tmp_path / "stripe.duckdb", "CREATE TABLE charges (id VARCHAR UNIQUE, amount BIGINT)")
    rows = [{"id": "person@example.com", "amount": 1}] * 2
    with pytest.raises(DestinationRejected, match="constraint") as caught:
        duckdb_destination.load(
            Load(run="r", table="charges", method="append", overwrite=True), _SCHEMA, archived(_SCHEMA, rows)
        )
    assert "person" not in str(caught.value) + str(caught.value.hint)
    assert duckdb_destination.rows("charges") == 0


def test_what_duckdb_says_of_an_interrupt_is_an_interrupt() -> None:
    """It raises these words in the place of what a signal's handler raised while a statement ran."""
    with pytest.raises(KeyboardInterrupt), mapped("x.duckdb"):
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match="another"), mapped("x.duckdb"):
        raise RuntimeError("another")
