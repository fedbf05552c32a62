"""The copy of a DuckDB file is complete after each load, and readable while the file itself is locked."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import FOLDER_MISSING, DestinationRejected, SettingsError, TransientError
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived, raises

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


def test_copy_is_complete_after_each_load_and_readable_during_load(
    copied: Destination, archived: Archived, tmp_path: Path
) -> None:
    copy = tmp_path / "read/stripe.duckdb"
    messages: list[str] = []
    copied.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, [{"id": "ch_1"}]), progress=messages.append)
    (message,) = messages
    assert f"{tmp_path}/stripe.duckdb to {copy}" in message
    assert _read(copy) == ["ch_1"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o444
    # A reader that opened the copy before the load sees its earlier state, and does not wait.
    with duckdb.connect(str(copy), read_only=True) as reader, copied.holding():
        rows = archived(_SCHEMA, [{"id": f"ch_{n}"} for n in range(2, 3_000)])
        copied.load(_load("run-2"), _SCHEMA, rows)
        assert reader.execute("SELECT count(*) FROM charges").fetchone() == (1,)
    assert len(_read(copy)) == 2_999
    assert [path.name for path in copy.parent.iterdir()] == ["stripe.duckdb"]
    assert copied.drop("charges")
    with duckdb.connect(str(copy), read_only=True) as reader, pytest.raises(duckdb.CatalogException):
        reader.execute("FROM charges")


def test_copy_includes_write_ahead_log(copied: Destination, archived: Archived, tmp_path: Path) -> None:
    copied.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, [{"id": "ch_1"}]))
    with copied.holding():  # the file stays open, so its log is not merged into it
        copied.load(_load("run-2"), _SCHEMA, archived(_SCHEMA, [{"id": "ch_2"}]))
        assert (tmp_path / "stripe.duckdb.wal").exists()
        assert _read(tmp_path / "read/stripe.duckdb") == ["ch_1", "ch_2"]


def test_failed_copy_keeps_previous_one_and_is_repeated_by_same_load(
    copied: Destination, archived: Archived, tmp_path: Path
) -> None:
    copy, parts = tmp_path / "read/stripe.duckdb", archived(_SCHEMA, [{"id": "ch_2"}])
    copied.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, [{"id": "ch_1"}]))
    copy.parent.rename(tmp_path / "away")
    with raises(TransientError, tmp_path / "stripe.duckdb", copy, code="copy_not_written"):
        copied.load(_load("run-2"), _SCHEMA, parts)
    assert _read(tmp_path / "away/stripe.duckdb") == ["ch_1"]
    (tmp_path / "away").rename(copy.parent)
    assert copied.load(_load("run-2"), _SCHEMA, parts).rows == 1
    assert _read(copy) == _read(tmp_path / "stripe.duckdb") == ["ch_1", "ch_2"]


def test_failed_load_creates_no_copy(copied: Destination, archived: Archived, tmp_path: Path) -> None:
    def refuse() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        copied.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, [{"id": "ch_1"}]), guard=refuse)
    assert not list((tmp_path / "read").iterdir())


@pytest.mark.parametrize(
    ("path", "code"),
    [("missing/x.duckdb", FOLDER_MISSING), ("stripe.duckdb", "invalid_copy_path"), ("folder", "not_a_file")],
)
def test_invalid_copy_path_is_rejected_before_load(tmp_path: Path, settings: Settings, path: str, code: str) -> None:
    (tmp_path / "folder").mkdir()
    url = f"duckdb:///stripe.duckdb?publish={path}"
    with raises(DestinationRejected, tmp_path / path.partition("/")[0], code=code):
        open_destination(url, relative_to=tmp_path, settings=settings).check()


@pytest.mark.parametrize("query", ["publish", "publish=", "copy=x.duckdb", "publish=x.duckdb&threads=4"])
def test_unsupported_parameter_error_names_supported_one(tmp_path: Path, settings: Settings, query: str) -> None:
    with raises(SettingsError, "?publish="):
        open_destination(f"duckdb:///x.duckdb?{query}", relative_to=tmp_path, settings=settings)
