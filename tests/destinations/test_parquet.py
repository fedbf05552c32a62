"""The Parquet folder: other readers, and obstacles such as other files, locks and full disks."""

from __future__ import annotations

import fcntl
import os
import resource
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import FOLDER_MISSING, DestinationBusy, DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived, raises, rejects_unmanaged

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("amount", pa.int64()),
        pa.field("metadata", pa.string(), metadata={b"counterfoil": b"json"}),
    ]
)
_ROWS = [{"id": "ch_1", "amount": 1050, "metadata": '{"a": 1}'}]


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace"} | changes)


def _unmanaged(folder: Path, *others: str) -> Path:
    """Creates a table folder without Counterfoil."""
    table = folder / "stripe/charges"
    table.mkdir(parents=True)
    pq.write_table(pa.table({"id": ["mine"], "amount": [1], "metadata": ["{}"]}), table / "mine.parquet")
    for name in others:
        (table / name).write_text("keep me")
    return table


def test_other_libraries_read_files_by_glob_with_json_as_text(
    parquet_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    parquet_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    parquet_destination.load(_load("run-2", method="append"), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert pl.read_parquet(tmp_path / "stripe/charges/*.parquet").to_dicts() == _ROWS * 2
    assert pd.read_parquet(tmp_path / "stripe/charges").to_dict("records") == _ROWS * 2
    assert parquet_destination.columns("charges") == (("id", "VARCHAR"), ("amount", "BIGINT"), ("metadata", "VARCHAR"))


def test_append_with_new_columns_updates_all_files(
    parquet_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    parquet_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    wider = _SCHEMA.append(pa.field("new", pa.string()))
    parquet_destination.load(_load("run-2", method="append"), wider, archived(wider, [{"id": "ch_2", "new": "x"}]))
    schemas = [pq.read_schema(file) for file in (tmp_path / "stripe/charges").glob("*.parquet")]
    assert len(schemas) == 2
    assert schemas[0].names == schemas[1].names == ["id", "amount", "metadata", "new"]


def test_replace_deletes_previous_files(parquet_destination: Destination, archived: Archived, tmp_path: Path) -> None:
    parts = archived(_SCHEMA, _ROWS)
    for number in range(3):
        parquet_destination.load(_load(f"run-{number}"), _SCHEMA, parts)
    assert len(list(tmp_path.glob("stripe/.counterfoil/charges/*"))) == 1
    assert [path.name for path in tmp_path.glob("stripe/charges/*.parquet")] == ["run-2-00001.parquet"]


def test_unmanaged_folder_is_rejected(parquet_destination: Destination, archived: Archived, tmp_path: Path) -> None:
    table = _unmanaged(tmp_path)
    assert parquet_destination.rows("charges") == 1
    assert parquet_destination.columns("charges") == (("id", "VARCHAR"), ("amount", "BIGINT"), ("metadata", "VARCHAR"))
    assert parquet_destination.scopes("charges") is None
    with rejects_unmanaged():
        parquet_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert [path.name for path in table.iterdir()] == ["mine.parquet"]


@pytest.mark.parametrize("method", ["replace", "append"])
def test_folder_of_parquet_files_can_be_overwritten(
    parquet_destination: Destination, archived: Archived, tmp_path: Path, method: str
) -> None:
    _unmanaged(tmp_path)
    parquet_destination.load(_load(method=method, overwrite=True), _SCHEMA, archived(_SCHEMA, _ROWS))
    mine = [{"id": "mine", "amount": 1, "metadata": "{}"}] if method == "append" else []
    rows = parquet_destination.query("SELECT * FROM charges ORDER BY id DESC").read_all().to_pylist()
    assert rows == mine + _ROWS
    assert parquet_destination.rows("charges") == len(rows)


def test_folder_with_other_files_is_never_overwritten(
    parquet_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    table = _unmanaged(tmp_path, "thesis.txt")
    with raises(DestinationRejected, table, code="table_not_overwritten"):
        parquet_destination.load(_load(overwrite=True), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert {path.name for path in table.iterdir()} == {"mine.parquet", "thesis.txt"}


def test_link_or_file_with_table_name_is_never_overwritten(parquet_destination: Destination, tmp_path: Path) -> None:
    (tmp_path / "stripe").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "stripe/charges").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "stripe/refunds").write_text("keep me")
    for table in ("charges", "refunds"):
        with raises(DestinationRejected, tmp_path / "stripe" / table, code="table_not_overwritten"):
            parquet_destination.load(_load(table=table, overwrite=True), _SCHEMA, ())
    assert (tmp_path / "stripe/refunds").read_text() == "keep me"


def test_file_in_place_of_folder_and_missing_parent_are_rejected(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "file").touch()
    in_place = open_destination("parquet:///file", relative_to=tmp_path, settings=settings)
    with raises(DestinationRejected, tmp_path / "file", code="not_a_folder"):
        in_place.load(_load(), _SCHEMA, ())
    without_parent = open_destination("parquet:///a/b", relative_to=tmp_path, settings=settings)
    with raises(DestinationRejected, tmp_path / "a", code=FOLDER_MISSING):
        without_parent.load(_load(), _SCHEMA, ())
    assert not (tmp_path / "a").exists()


def test_damaged_load_record_is_rejected_and_unchanged(parquet_destination: Destination, tmp_path: Path) -> None:
    parquet_destination.load(_load(), _SCHEMA, ())
    record = tmp_path / "stripe/charges/_counterfoil_loads.json"
    record.write_text('{"columns": ')
    with raises(DestinationRejected, "_counterfoil_loads.json", code="damaged_record"):
        parquet_destination.load(_load("run-2", overwrite=True), _SCHEMA, ())
    assert record.read_text() == '{"columns": '


def test_locked_folder_error_names_holder(parquet_destination: Destination, tmp_path: Path) -> None:
    parquet_destination.load(_load(), _SCHEMA, ())
    with (tmp_path / "stripe/.counterfoil/lock").open("r+") as lock:
        # A lock belongs to the open file, so the destination treats this one like the lock of another process.
        fcntl.flock(lock, fcntl.LOCK_EX)
        with raises(DestinationBusy, f"(PID {os.getpid()})"):
            parquet_destination.load(_load("run-2"), _SCHEMA, ())
        assert parquet_destination.rows("charges") == 0
    assert parquet_destination.load(_load("run-2"), _SCHEMA, ()).rows == 0


@pytest.mark.parametrize("method", ["replace", "append"])
def test_full_disk_leaves_table_unchanged(
    parquet_destination: Destination, archived: Archived, tmp_path: Path, method: str
) -> None:
    parquet_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    large = archived(_SCHEMA, [{"id": os.urandom(500).hex(), "amount": n} for n in range(3_000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with raises(DestinationRejected, code="disk_full"):
            parquet_destination.load(_load("run-2", method=method), _SCHEMA, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert parquet_destination.query("SELECT * FROM charges").read_all().to_pylist() == _ROWS
    assert len(list(tmp_path.glob("stripe/.counterfoil/charges/*"))) == 1
