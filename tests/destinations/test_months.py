"""Files in a folder for each month, of which other programs can read single months."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.kinds import target_key
from counterfoil.errors import SettingsError
from counterfoil.settings import Settings
from counterfoil.values import Load, Window
from tests.destinations.conftest import Archived, files_of, root_of

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("created", pa.timestamp("us", tz="UTC"))])


def _row(name: str, *date: int) -> dict[str, Any]:
    return {"id": name, "created": dt.datetime(*date, tzinfo=dt.UTC) if date else None}  # type: ignore[arg-type,misc]


_ROWS = [_row("a", 2026, 9, 30, 23, 59, 59), _row("b", 2026, 10, 1), _row("c", 2026, 10, 31, 23), _row("d")]


def _load(run: str, **changes: Any) -> Load:
    start = {"run": run, "table": "charges", "method": "replace", "created": "created", "order": ("-created",)}
    return Load(**start | changes)


def _paths(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))


def _days(first: dt.date, end: dt.date) -> Window:
    since, until = (int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()) for day in (first, end))
    return Window(since, until)


def _ids(destination: Destination) -> list[str]:
    return [row["id"] for row in destination.query("SELECT id FROM charges ORDER BY id").read_all().to_pylist()]


def test_rows_are_stored_in_folder_of_their_month(
    monthly_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    monthly_destination.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, _ROWS))
    table = tmp_path / "stripe/charges"
    assert _paths(table) == [
        "created_month=2026-09/run-1-00001.parquet",
        "created_month=2026-10/run-1-00001.parquet",
        "created_month=__HIVE_DEFAULT_PARTITION__/run-1-00001.parquet",
    ]
    source = f"read_parquet('{table}/**/*.parquet', hive_partitioning = true)"
    read = duckdb.sql(f"SELECT id, created_month FROM {source} ORDER BY id").fetchall()
    assert read == [("a", "2026-09"), ("b", "2026-10"), ("c", "2026-10"), ("d", None)]
    month = pl.scan_parquet(table / "**/*.parquet", hive_partitioning=True).filter(pl.col("created_month") == "2026-10")
    assert sorted(month.collect()["id"]) == ["b", "c"]
    assert [name for name, _ in monthly_destination.columns("charges") or ()] == _SCHEMA.names
    assert monthly_destination.query("SELECT * FROM charges").schema.names == _SCHEMA.names


def test_partition_rewrites_only_affected_months(
    monthly_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    monthly_destination.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, _ROWS))
    table = tmp_path / "stripe/charges"
    before = {path.parent.name: path.stat().st_ino for path in table.rglob("*.parquet")}
    covers = (_days(dt.date(2026, 10, 31), dt.date(2026, 11, 2)),)
    later = archived(_SCHEMA, [_row("e", 2026, 11, 1), _row("f", 2026, 10, 31)])
    monthly_destination.load(_load("run-2", method="partition", covers=covers), _SCHEMA, later)
    assert _ids(monthly_destination) == ["a", "b", "d", "e", "f"]
    now = {path.parent.name: path.stat().st_ino for path in table.rglob("run-1-*.parquet")}
    assert {month for month in before if before[month] != now[month]} == {"created_month=2026-10"}
    assert "created_month=2026-11/run-2-00001.parquet" in _paths(table)


@pytest.mark.parametrize("first", ["parquet:///stripe", "parquet:///stripe?partition=month"])
def test_next_load_changes_table_layout(archived: Archived, tmp_path: Path, settings: Settings, first: str) -> None:
    urls = {"parquet:///stripe", "parquet:///stripe?partition=month"}
    one, two = (open_destination(url, relative_to=tmp_path, settings=settings) for url in (first, *(urls - {first})))
    one.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, _ROWS))
    two.load(_load("run-2", method="append"), _SCHEMA, archived(_SCHEMA, [_row("e", 2026, 10, 2)]))
    assert _ids(two) == ["a", "b", "c", "d", "e"]
    assert two.rows("charges") == 5
    paths = _paths(tmp_path / "stripe/charges")
    assert len({"=" in path for path in paths}) == 1
    assert ("=" in paths[0]) == two.name.endswith("month")


def test_table_without_creation_time_has_no_month_folders(
    monthly_destination: Destination, archived: Archived, tmp_path: Path
) -> None:
    bare = _SCHEMA.remove(1)
    monthly_destination.load(_load("run-1", order=()), bare, archived(bare, [{"id": "a"}]))
    own = _SCHEMA.append(pa.field("created_month", pa.string()))
    rows = archived(own, [_row("a", 2026, 1, 1) | {"created_month": "mine"}])
    monthly_destination.load(_load("run-1", table="refunds"), own, rows)
    assert _paths(tmp_path / "stripe") == [
        f".counterfoil/{table}/{(tmp_path / 'stripe' / table).resolve().name}/run-1-00001.parquet"
        for table in ("charges", "refunds")
    ]


def test_store_downloads_only_months_that_partition_divides(
    s3_destination: Destination, archived: Archived, tmp_path: Path, settings: Settings
) -> None:
    url = f"{s3_destination.name}&partition=month"
    destination = open_destination(url, relative_to=tmp_path, settings=settings)
    assert destination.name == url
    destination.load(_load("run-1"), _SCHEMA, archived(_SCHEMA, _ROWS))
    root, files = f"{root_of(destination)}/charges", files_of(destination)
    kept = {path.removeprefix(f"{root}/").partition("/")[0]: path for path in files.find(root)}
    assert set(kept) - {"_counterfoil"} == {
        f"created_month={month}" for month in ("2026-09", "2026-10", "__HIVE_DEFAULT_PARTITION__")
    }
    # Files that are not fetched need not be readable.
    for month in ("2026-09", "2026-10"):
        files.pipe_file(kept[f"created_month={month}"], b"no Parquet")
    covers = (_days(dt.date(2026, 10, 1), dt.date(2026, 11, 1)),)
    load = _load("run-2", method="partition", covers=covers)
    assert destination.load(load, _SCHEMA, archived(_SCHEMA, [_row("b", 2026, 10, 1)])).deleted == 2
    assert destination.rows("charges") == 3


def test_file_layout_does_not_change_target_key(tmp_path: Path) -> None:
    for url in ("parquet:///x", "s3://bucket/x", "s3://bucket/x?endpoint=http://host:9000"):
        monthly = url + ("&" if "?" in url else "?") + "partition=month"
        assert target_key(url, "Charges", home=tmp_path) == target_key(monthly, "charges", home=tmp_path)
    assert target_key("s3://b/x?endpoint=http://a", "t", home=tmp_path) != target_key("s3://b/x", "t", home=tmp_path)
    assert target_key("gcs://b/x/", "t", home=tmp_path) == target_key("gs://b/x", "t", home=tmp_path)
    for url in ("s3://bucket/x?endpoint=http://host", "s3://bucket/x?region=a&endpoint=http://host&profile=b"):
        assert target_key(url, "t", home=tmp_path) == target_key(
            "s3://bucket/x?endpoint=http://host/", "t", home=tmp_path
        )


@pytest.mark.parametrize(
    "url", ["parquet:///x?partition=day", "parquet:///x?partition=month&y=1", "s3://b?partition=day"]
)
def test_unsupported_partition_is_rejected(url: str, tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(SettingsError):
        open_destination(url, relative_to=tmp_path, settings=settings)
