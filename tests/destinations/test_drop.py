"""Only tables that Counterfoil created are dropped, and unusable locations are rejected before a load."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import FOLDER_MISSING, DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived, execute_sql, raises, rejects_unmanaged

_SCHEMA = pa.schema([pa.field("id", pa.string())])


def _load(run: str = "run-1", table: str = "charges") -> Load:
    return Load(run=run, table=table, method="replace")


def test_drop_removes_only_table_and_its_load_record(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [{"id": "ch_1"}])
    destination.load(_load(), _SCHEMA, parts)
    destination.load(_load("run-2", "refunds"), _SCHEMA, parts)
    assert destination.drop("charges")
    assert destination.columns("charges") is None
    assert destination.scopes("charges") is None
    assert not destination.has_load(_load())
    assert destination.rows("refunds") == 1
    assert not destination.drop("charges")


def test_dropped_table_can_be_loaded_again(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [{"id": "ch_1"}])
    destination.load(_load(), _SCHEMA, parts)
    destination.drop("charges")
    assert destination.load(_load(), _SCHEMA, parts).rows == 1
    assert destination.rows("charges") == 1


def test_drop_of_missing_table_does_nothing(destination: Destination, tmp_path: Path) -> None:
    assert not destination.drop("charges")
    assert sorted(tmp_path.iterdir()) == []


def test_unmanaged_table_is_not_dropped(with_history: Destination) -> None:
    execute_sql(with_history, "CREATE TABLE charges AS SELECT 1 AS mine", "CREATE VIEW seen AS SELECT * FROM charges")
    for name in ("charges", "seen"):
        with rejects_unmanaged(name):
            with_history.drop(name)
    assert with_history.rows("charges") == 1


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_unmanaged_folder_is_not_dropped(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, kind: str
) -> None:
    destination: Destination = request.getfixturevalue(f"{kind}_destination")
    mine = tmp_path / "stripe" / "charges" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with rejects_unmanaged():
        destination.drop("charges")
    assert mine.read_text() == "mine"


def test_check_creates_nothing(destination: Destination, tmp_path: Path) -> None:
    destination.check()
    assert sorted(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["duckdb:///missing/x.duckdb", "parquet:///missing/x", "delta:///missing/x"])
def test_missing_folder_is_rejected(url: str, tmp_path: Path, settings: Settings) -> None:
    with raises(DestinationRejected, tmp_path / "missing", code=FOLDER_MISSING, hint=f"mkdir -p {tmp_path}/missing"):
        open_destination(url, relative_to=tmp_path, settings=settings).check()


@pytest.mark.parametrize("url", ["duckdb:///note.txt", "parquet:///note.txt", "delta:///note.txt"])
def test_file_of_another_type_is_rejected(url: str, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "note.txt").write_text("a note that is no database")
    with pytest.raises(DestinationRejected):
        open_destination(url, relative_to=tmp_path, settings=settings).check()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("url", ["duckdb:///closed/x.duckdb", "parquet:///closed/x", "delta:///closed/x"])
def test_read_only_folder_is_rejected(url: str, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with raises(DestinationRejected, tmp_path / "closed", code="not_writable"):
        open_destination(url, relative_to=tmp_path, settings=settings).check()
