"""Tables are removed when they are ours, and places that no load could be made in are refused beforehand."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import FOLDER_MISSING, DestinationRejected
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived, by_hand

_SCHEMA = pa.schema([pa.field("id", pa.string())])


def _load(run: str = "run-1", table: str = "charges") -> Load:
    return Load(run=run, table=table, method="replace")


def test_a_table_of_ours_goes_with_the_record_of_its_loads_and_no_other_does(
    destination: Destination, archived: Archived
) -> None:
    parts = archived(_SCHEMA, [{"id": "ch_1"}])
    destination.load(_load(), _SCHEMA, parts)
    destination.load(_load("run-2", "refunds"), _SCHEMA, parts)
    assert destination.drop("charges")
    assert destination.columns("charges") is None
    assert destination.scopes("charges") is None
    assert not destination.has_load(_load())
    assert destination.rows("refunds") == 1
    assert not destination.drop("charges")


def test_a_table_that_was_dropped_can_be_loaded_again(destination: Destination, archived: Archived) -> None:
    parts = archived(_SCHEMA, [{"id": "ch_1"}])
    destination.load(_load(), _SCHEMA, parts)
    destination.drop("charges")
    assert destination.load(_load(), _SCHEMA, parts).rows == 1
    assert destination.rows("charges") == 1


def test_nothing_is_dropped_where_nothing_is(destination: Destination, tmp_path: Path) -> None:
    assert not destination.drop("charges")
    assert sorted(tmp_path.iterdir()) == []


def test_a_table_of_somebody_elses_is_not_dropped_from_a_database(keeping: Destination) -> None:
    by_hand(keeping, "CREATE TABLE charges AS SELECT 1 AS mine", "CREATE VIEW seen AS SELECT * FROM charges")
    for name in ("charges", "seen"):
        with pytest.raises(DestinationRejected, match="not made by Counterfoil"):
            keeping.drop(name)
    assert keeping.rows("charges") == 1


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_a_folder_of_somebody_elses_is_not_dropped(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, kind: str
) -> None:
    destination: Destination = request.getfixturevalue(f"{kind}_destination")
    mine = tmp_path / "stripe" / "charges" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(DestinationRejected, match="not made by Counterfoil"):
        destination.drop("charges")
    assert mine.read_text() == "mine"


def test_a_place_that_is_fine_is_checked_without_making_anything(destination: Destination, tmp_path: Path) -> None:
    destination.check()
    assert sorted(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["duckdb:///gone/x.duckdb", "parquet:///gone/x", "delta:///gone/x"])
def test_a_folder_that_is_not_there_is_refused(url: str, tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(DestinationRejected, match="there is no folder") as refused:
        open_destination(url, relative_to=tmp_path, settings=settings).check()
    assert "mkdir -p" in str(refused.value.hint)
    assert refused.value.code == FOLDER_MISSING


@pytest.mark.parametrize("url", ["duckdb:///note.txt", "parquet:///note.txt", "delta:///note.txt"])
def test_a_file_of_another_kind_is_refused(url: str, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "note.txt").write_text("a note that is no database")
    with pytest.raises(DestinationRejected):
        open_destination(url, relative_to=tmp_path, settings=settings).check()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("url", ["duckdb:///closed/x.duckdb", "parquet:///closed/x", "delta:///closed/x"])
def test_a_folder_that_may_not_be_written_is_refused(url: str, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(DestinationRejected, match="may not be written"):
        open_destination(url, relative_to=tmp_path, settings=settings).check()
