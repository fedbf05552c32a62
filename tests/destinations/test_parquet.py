"""The Parquet folder: what plain readers see, and what stands in its way."""

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
from counterfoil.errors import DestinationBusy, DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived

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


def _theirs(folder: Path, *others: str) -> Path:
    """A table's folder of someone else's."""
    table = folder / "stripe/charges"
    table.mkdir(parents=True)
    pq.write_table(pa.table({"id": ["mine"], "amount": [1], "metadata": ["{}"]}), table / "mine.parquet")
    for name in others:
        (table / name).write_text("keep me")
    return table


def test_other_libraries_read_the_folder_by_a_plain_glob_with_json_as_text(
    parquet_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    parquet_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    parquet_destination.load(_load("run-2", method="append"), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert pl.read_parquet(tmp_path / "stripe/charges/*.parquet").to_dicts() == _ROWS * 2
    assert pd.read_parquet(tmp_path / "stripe/charges").to_dict("records") == _ROWS * 2
    assert parquet_destination.columns("charges") == (("id", "VARCHAR"), ("amount", "BIGINT"), ("metadata", "VARCHAR"))


def test_after_an_append_with_new_columns_all_files_have_the_same_columns(
    parquet_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    parquet_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    wider = _SCHEMA.append(pa.field("new", pa.string()))
    parquet_destination.load(_load("run-2", method="append"), wider, archived(wider, [{"id": "ch_2", "new": "x"}]))
    schemas = [pq.read_schema(file) for file in (tmp_path / "stripe/charges").glob("*.parquet")]
    assert len(schemas) == 2
    assert schemas[0].names == schemas[1].names == ["id", "amount", "metadata", "new"]


def test_a_replaced_table_leaves_no_files_behind(
    parquet_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    parts = archived(_SCHEMA, _ROWS)
    for number in range(3):
        parquet_destination.load(_load(f"run-{number}"), _SCHEMA, parts)
    assert len(list(tmp_path.glob("stripe/.counterfoil/charges/*"))) == 1
    assert [path.name for path in tmp_path.glob("stripe/charges/*.parquet")] == ["run-2-00001.parquet"]


def test_a_folder_that_is_not_ours_is_refused(
    parquet_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    table = _theirs(tmp_path)
    assert parquet_destination.rows("charges") == 1
    assert parquet_destination.columns("charges") == (("id", "VARCHAR"), ("amount", "BIGINT"), ("metadata", "VARCHAR"))
    assert parquet_destination.scopes("charges") is None
    with pytest.raises(DestinationRejected, match="not made by Counterfoil"):
        parquet_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert [path.name for path in table.iterdir()] == ["mine.parquet"]


@pytest.mark.parametrize("method", ["replace", "append"])
def test_a_folder_of_parquet_files_may_be_overwritten(
    parquet_destination: Destination, archived: Archived, tmp_path: Path, method: str
) -> None:
    _theirs(tmp_path)
    parquet_destination.load(_load(method=method, overwrite=True), _SCHEMA, archived(_SCHEMA, _ROWS))
    mine = [{"id": "mine", "amount": 1, "metadata": "{}"}] if method == "append" else []
    rows = parquet_destination.query("SELECT * FROM charges ORDER BY id DESC").read_all().to_pylist()
    assert rows == mine + _ROWS
    assert parquet_destination.rows("charges") == len(rows)


def test_a_folder_that_holds_anything_else_is_never_overwritten(
    parquet_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    table = _theirs(tmp_path, "thesis.txt")
    with pytest.raises(DestinationRejected, match="more than a folder of Parquet files"):
        parquet_destination.load(_load(overwrite=True), _SCHEMA, archived(_SCHEMA, _ROWS))
    assert {path.name for path in table.iterdir()} == {"mine.parquet", "thesis.txt"}


def test_a_link_or_file_of_someone_elses_in_the_tables_place_is_never_overwritten(
    parquet_destination: Destination, tmp_path: Path
) -> None:
    (tmp_path / "stripe").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "stripe/charges").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "stripe/refunds").write_text("keep me")
    for table in ("charges", "refunds"):
        with pytest.raises(DestinationRejected, match="more than a folder"):
            parquet_destination.load(_load(table=table, overwrite=True), _SCHEMA, ())
    assert (tmp_path / "stripe/refunds").read_text() == "keep me"


def test_a_file_in_the_folders_place_and_a_missing_parent_are_told(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "file").touch()
    for url, words in (("parquet:///file", "is a file"), ("parquet:///a/b", "there is no folder")):
        destination = open_destination(url, relative_to=tmp_path, settings=settings)
        with pytest.raises(DestinationRejected, match=words):
            destination.load(_load(), _SCHEMA, ())
    assert not (tmp_path / "a").exists()


def test_a_damaged_record_is_told_and_left_alone(parquet_destination: Destination, tmp_path: Path) -> None:
    parquet_destination.load(_load(), _SCHEMA, ())
    record = tmp_path / "stripe/charges/_counterfoil_loads.json"
    record.write_text('{"columns": ')
    with pytest.raises(DestinationRejected, match="is damaged"):
        parquet_destination.load(_load("run-2", overwrite=True), _SCHEMA, ())
    assert record.read_text() == '{"columns": '


def test_a_folder_that_another_process_loads_into_is_busy_and_the_holder_is_named(
    parquet_destination: Destination, tmp_path: Path
) -> None:
    parquet_destination.load(_load(), _SCHEMA, ())
    with (tmp_path / "stripe/.counterfoil/lock").open("r+") as lock:
        # A lock belongs to the open file: to the destination this is as good as another process's.
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DestinationBusy, match=rf"\(PID {os.getpid()}\)"):
            parquet_destination.load(_load("run-2"), _SCHEMA, ())
        assert parquet_destination.rows("charges") == 0
    assert parquet_destination.load(_load("run-2"), _SCHEMA, ()).rows == 0


@pytest.mark.parametrize("method", ["replace", "append"])
def test_a_full_disk_is_told_and_the_table_is_as_it_was(
    parquet_destination: Destination, archived: Archived, tmp_path: Path, method: str
) -> None:
    parquet_destination.load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
    large = archived(_SCHEMA, [{"id": os.urandom(500).hex(), "amount": n} for n in range(3_000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(DestinationRejected, match="disk is full"):
            parquet_destination.load(_load("run-2", method=method), _SCHEMA, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert parquet_destination.query("SELECT * FROM charges").read_all().to_pylist() == _ROWS
    assert len(list(tmp_path.glob("stripe/.counterfoil/charges/*"))) == 1
