"""A DuckDB file that cannot be used causes a CounterfoilError, and is unchanged."""

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
from counterfoil.errors import FOLDER_MISSING, CounterfoilError, DestinationBusy, DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived, raises, rejects_unmanaged

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
    """Creates a DuckDB file with another storage version, and a matching checksum of its first block."""

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
    ("make", "value", "code"),
    [
        (_folder, "", "not_a_file"),
        (_text, "", "not_a_database"),
        (_empty, "", "empty_file"),
        (_sqlite, "SQLite", "not_a_database"),
        (_parquet, "Parquet", "not_a_database"),
        (_version(100), "DuckDB", "unsupported_version"),
        (_version(3), "DuckDB", "unsupported_version"),
        (_encrypted, "", "encrypted"),
        (_damaged, "", "damaged_file"),
    ],
)
def test_unusable_file_is_rejected_and_unchanged(
    duckdb_destination: Destination, tmp_path: Path, make: Callable[[Path], None], value: str, code: str
) -> None:
    path = tmp_path / "stripe.duckdb"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    for call in (
        lambda: duckdb_destination.load(_LOAD, _SCHEMA, ()),
        lambda: duckdb_destination.has_load(_LOAD),
        lambda: duckdb_destination.query("SELECT 1"),
    ):
        with raises(DestinationRejected, path, value, code=code) as caught:
            call()
        assert caught.value.hint
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_missing_folder_is_not_created(tmp_path: Path, settings: Settings) -> None:
    destination = open_destination("duckdb:///a/b.duckdb", relative_to=tmp_path, settings=settings)
    with raises(DestinationRejected, tmp_path / "a", code=FOLDER_MISSING, hint=f"mkdir -p {tmp_path / 'a'}"):
        destination.load(_LOAD, _SCHEMA, ())
    assert not (tmp_path / "a").exists()


def test_query_before_first_load_reports_missing_file(duckdb_destination: Destination) -> None:
    with raises(DestinationRejected, "stripe.duckdb", code="file_missing"):
        duckdb_destination.query("SELECT 1")


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    """Mounts a small file system in memory at `folder`; this requires root."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True, capture_output=True)


def test_read_only_file_system_is_rejected(tmp_path: Path, settings: Settings, archived: Archived) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    parts = archived(_SCHEMA, _ROWS)
    with _mounted(folder, "size=8m"):
        destination = open_destination("duckdb:///mounted/x.duckdb", relative_to=tmp_path, settings=settings)
        destination.load(_LOAD, _SCHEMA, parts)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        with raises(DestinationRejected, folder, code="not_writable"):
            destination.load(_AGAIN, _SCHEMA, parts)
        missing = open_destination("duckdb:///mounted/y.duckdb", relative_to=tmp_path, settings=settings)
        with raises(DestinationRejected, folder, code="not_writable"):
            missing.load(_LOAD, _SCHEMA, parts)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write any file")
def test_read_only_file_is_rejected(duckdb_destination: Destination, tmp_path: Path) -> None:
    duckdb_destination.load(_LOAD, _SCHEMA, ())
    (tmp_path / "stripe.duckdb").chmod(0o400)
    with raises(DestinationRejected, "stripe.duckdb", code="not_writable"):
        duckdb_destination.load(_AGAIN, _SCHEMA, ())


def _random_rows(rows: int) -> list[dict[str, object]]:
    return [{"id": os.urandom(500).hex(), "amount": n} for n in range(rows)]


def test_full_file_system_leaves_table_unchanged(tmp_path: Path, settings: Settings, archived: Archived) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    small, large = archived(_SCHEMA, _ROWS), archived(_SCHEMA, _random_rows(12_000))
    with _mounted(folder, "size=6m"):
        destination = open_destination("duckdb:///mounted/x.duckdb", relative_to=tmp_path, settings=settings)
        destination.load(_LOAD, _SCHEMA, small)
        with raises(DestinationRejected, code="disk_full"):
            destination.load(_AGAIN, _SCHEMA, large)
        assert destination.query("SELECT * FROM charges").read_all().to_pylist() == _ROWS
        assert not destination.has_load(_AGAIN)
        assert destination.load(_AGAIN, _SCHEMA, small).rows == 1


def test_file_size_limit_leaves_table_unchanged(duckdb_destination: Destination, archived: Archived) -> None:
    small, large = archived(_SCHEMA, _ROWS), archived(_SCHEMA, _random_rows(12_000))
    duckdb_destination.load(_LOAD, _SCHEMA, small)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, hard))
    try:
        with raises(DestinationRejected, code="disk_full"):
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


def test_locked_file_error_names_holder(duckdb_destination: Destination, tmp_path: Path) -> None:
    duckdb_destination.load(_LOAD, _SCHEMA, ())
    with _holding(tmp_path / "stripe.duckdb") as holder:
        with pytest.raises(DestinationBusy, match=rf"python\S* \(PID {holder.pid}\)"):
            duckdb_destination.load(_AGAIN, _SCHEMA, ())
        with pytest.raises(DestinationBusy):
            duckdb_destination.query("SELECT 1")
        with pytest.raises(DestinationBusy):
            duckdb_destination.has_load(_AGAIN)
    assert duckdb_destination.load(_AGAIN, _SCHEMA, ()).rows == 0


def test_load_waits_for_file_and_names_holder_once(tmp_path: Path, settings: Settings) -> None:
    waiting = settings.model_copy(update={"busy_seconds": 60})
    destination = open_destination("duckdb:///stripe.duckdb", relative_to=tmp_path, settings=waiting)
    destination.load(_LOAD, _SCHEMA, ())
    messages: list[str] = []
    with _holding(tmp_path / "stripe.duckdb") as holder:

        def release(message: str) -> None:
            messages.append(message)
            assert holder.stdin
            print(file=holder.stdin, flush=True)

        assert destination.load(_AGAIN, _SCHEMA, (), progress=release).rows == 0
        assert len(messages) == 1
        assert f"(PID {holder.pid})" in messages[0]
    assert destination.has_load(_AGAIN)


def test_file_is_unlocked_between_calls(duckdb_destination: Destination, archived: Archived, tmp_path: Path) -> None:
    duckdb_destination.load(_LOAD, _SCHEMA, archived(_SCHEMA, _ROWS))
    with _holding(tmp_path / "stripe.duckdb"):
        pass
    reader = duckdb_destination.query("SELECT * FROM charges, range(100000)")
    reader.read_next_batch()
    del reader
    with _holding(tmp_path / "stripe.duckdb"):
        pass


def test_file_opened_elsewhere_in_process_is_busy(duckdb_destination: Destination, tmp_path: Path) -> None:
    duckdb_destination.load(_LOAD, _SCHEMA, ())
    connection = duckdb.connect(str(tmp_path / "stripe.duckdb"))
    with raises(DestinationBusy, "stripe.duckdb", code="file_in_use"):
        duckdb_destination.load(_AGAIN, _SCHEMA, ())
    connection.close()
    assert duckdb_destination.load(_AGAIN, _SCHEMA, ()).rows == 0


def _table(path: Path, sql: str) -> None:
    connection = duckdb.connect(str(path))
    connection.execute(sql)
    connection.close()


@pytest.mark.parametrize("method", ["replace", "append"])
def test_unmanaged_table_is_replaced_only_with_overwrite(
    duckdb_destination: Destination, archived: Archived, tmp_path: Path, method: str
) -> None:
    _table(tmp_path / "stripe.duckdb", "CREATE TABLE Charges AS SELECT 'mine' AS id, 1::BIGINT AS amount")
    parts = archived(_SCHEMA, _ROWS)
    with rejects_unmanaged():
        duckdb_destination.load(Load(run="r", table="charges", method=method), _SCHEMA, parts)  # type: ignore[arg-type]
    assert duckdb_destination.rows("charges") == 1
    load = Load(run="r", table="charges", method=method, overwrite=True)  # type: ignore[arg-type]
    duckdb_destination.load(load, _SCHEMA, parts)
    mine = [{"id": "mine", "amount": 1}] if method == "append" else []
    assert duckdb_destination.query("SELECT * FROM charges").read_all().to_pylist() == [*mine, *_ROWS]


@pytest.mark.parametrize("name", ["charges", LOADS_TABLE])
def test_view_is_never_overwritten(duckdb_destination: Destination, tmp_path: Path, name: str) -> None:
    _table(tmp_path / "stripe.duckdb", f"CREATE VIEW {name} AS SELECT 'x' AS id, 1 AS rows, 'charges' AS table_name")
    with raises(DestinationRejected, name, "view"):
        duckdb_destination.load(Load(run="r", table="charges", method="replace", overwrite=True), _SCHEMA, ())


def test_unmanaged_load_record_raises_counterfoil_error(duckdb_destination: Destination, tmp_path: Path) -> None:
    _table(tmp_path / "stripe.duckdb", f"CREATE TABLE {LOADS_TABLE} AS SELECT 1 AS a")
    with pytest.raises(CounterfoilError):
        duckdb_destination.load(_LOAD, _SCHEMA, ())


def test_violated_constraint_is_reported_without_row_values(
    duckdb_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    _table(tmp_path / "stripe.duckdb", "CREATE TABLE charges (id VARCHAR UNIQUE, amount BIGINT)")
    rows = [{"id": "person@example.com", "amount": 1}] * 2
    with raises(DestinationRejected, code="constraint_violated") as caught:
        duckdb_destination.load(
            Load(run="r", table="charges", method="append", overwrite=True), _SCHEMA, archived(_SCHEMA, rows)
        )
    assert "person" not in str(caught.value) + str(caught.value.hint)
    assert duckdb_destination.rows("charges") == 0


def test_interrupted_query_raises_keyboard_interrupt() -> None:
    """DuckDB raises this error in place of the error that a signal handler raised during a statement."""
    with pytest.raises(KeyboardInterrupt), mapped("x.duckdb"):
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match="another"), mapped("x.duckdb"):
        raise RuntimeError("another")
