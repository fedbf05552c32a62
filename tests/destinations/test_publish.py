"""The copy of a DuckDB file: whole after each load, there for readers while the file itself is held."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import DestinationRejected, SettingsError, TransientError
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived

_SCHEMA = pa.schema([pa.field("id", pa.string())])


@pytest.fixture
def copied(tmp_path: Path, settings: Settings) -> Destination:
    (tmp_path / "read").mkdir()
    url = "duckdb:///stripe.duckdb?publish=read/stripe.duckdb"
    return open_destination(url, relative_to=tmp_path, settings=settings)


def _load(run: str, **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "append", "order": ("id",)} | changes)


def _read(file: Path) -> list[str]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return [row for (row,) in connection.execute("SELECT id FROM charges ORDER BY id").fetchall()]


def test_the_copy_is_whole_after_each_load_and_read_while_the_file_is_held(
    copied: Destination, archived: Archived, tmp_path: Path
) -> None:
    copy = tmp_path / "read/stripe.duckdb"
    told: list[str] = []
    copied.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, [{"id": "ch_1"}]), progress=told.append)
    assert told == [f"Copying {tmp_path}/stripe.duckdb to {copy}."]
    assert _read(copy) == ["ch_1"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o444
    # A reader who opened the copy before sees what it was, and waits for nobody.
    with duckdb.connect(str(copy), read_only=True) as reader, copied.holding():
        rows = archived(_SCHEMA, [{"id": f"ch_{n}"} for n in range(2, 3_000)])
        copied.load(_load("run-2"), _SCHEMA, rows)
        assert reader.execute("SELECT count(*) FROM charges").fetchone() == (1,)
    assert len(_read(copy)) == 2_999
    assert [path.name for path in copy.parent.iterdir()] == ["stripe.duckdb"]
    assert copied.drop("charges")
    with duckdb.connect(str(copy), read_only=True) as reader, pytest.raises(duckdb.CatalogException):
        reader.execute("FROM charges")


def test_what_is_only_in_the_log_of_the_file_is_in_the_copy(
    copied: Destination, archived: Archived, tmp_path: Path
) -> None:
    copied.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, [{"id": "ch_1"}]))
    with copied.holding():  # the file stays open, so that its log is not taken up
        copied.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, [{"id": "ch_2"}]))
        assert (tmp_path / "stripe.duckdb.wal").exists()
        assert _read(tmp_path / "read/stripe.duckdb") == ["ch_1", "ch_2"]


def test_a_copy_that_can_not_be_written_leaves_the_one_before_and_is_made_by_the_same_load_again(
    copied: Destination, archived: Archived, tmp_path: Path
) -> None:
    copy, parts = tmp_path / "read/stripe.duckdb", archived(_SCHEMA, [{"id": "ch_2"}])
    copied.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, [{"id": "ch_1"}]))
    copy.parent.rename(tmp_path / "away")
    with pytest.raises(TransientError, match=r"was loaded, but its copy .*read/stripe\.duckdb could not be written"):
        copied.load(_load("run-2"), _SCHEMA, parts)
    assert _read(tmp_path / "away/stripe.duckdb") == ["ch_1"]
    (tmp_path / "away").rename(copy.parent)
    assert copied.load(_load("run-2"), _SCHEMA, parts).rows == 1
    assert _read(copy) == _read(tmp_path / "stripe.duckdb") == ["ch_1", "ch_2"]


def test_a_load_that_fails_makes_no_copy(copied: Destination, archived: Archived, tmp_path: Path) -> None:
    def refuse() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        copied.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, [{"id": "ch_1"}]), guard=refuse)
    assert not list((tmp_path / "read").iterdir())


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("gone/x.duckdb", "there is no folder .*gone"),
        ("stripe.duckdb", "is the file itself"),
        ("folder", "is a folder, not a file"),
    ],
)
def test_a_place_where_no_copy_can_be_is_refused_before_anything_is_loaded(
    tmp_path: Path, settings: Settings, path: str, told: str
) -> None:
    (tmp_path / "folder").mkdir()
    url = f"duckdb:///stripe.duckdb?publish={path}"
    with pytest.raises(DestinationRejected, match=told):
        open_destination(url, relative_to=tmp_path, settings=settings).check()


@pytest.mark.parametrize("query", ["publish", "publish=", "copy=x.duckdb", "publish=x.duckdb&threads=4"])
def test_other_parameters_are_refused_with_those_that_there_are(tmp_path: Path, settings: Settings, query: str) -> None:
    with pytest.raises(SettingsError, match=r"takes \?publish="):
        open_destination(f"duckdb:///x.duckdb?{query}", relative_to=tmp_path, settings=settings)
