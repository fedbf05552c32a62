"""A URL identifies one location; the error for an invalid URL suggests a valid one."""

from __future__ import annotations

from pathlib import Path

import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.kinds import KINDS
from counterfoil.errors import SettingsError
from counterfoil.settings import Settings
from tests.destinations.conftest import raises


def _open(url: str, folder: Path) -> Destination:
    return open_destination(url, relative_to=folder, settings=Settings(home=folder / "home"))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("duckdb:///x.duckdb", "duckdb:///{folder}/x.duckdb"),
        ("DuckDB:///sub/x y#%20.db", "duckdb:///{folder}/sub/x y#%20.db"),
        ("duckdb:////abs/x.duckdb", "duckdb:////abs/x.duckdb"),
        ("duckdb:///../x.duckdb", "duckdb:///{parent}/x.duckdb"),
        ("duckdb:///~/x.duckdb", "duckdb:///{home}/x.duckdb"),
        ("parquet:///folder/", "parquet:///{folder}/folder"),
        ("parquet:////abs/folder", "parquet:////abs/folder"),
    ],
)
def test_three_slashes_are_relative_and_four_absolute(url: str, name: str, tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    destination = _open(url, folder)
    assert destination.name == name.format(folder=folder, parent=folder.parent, home=Path.home())
    assert _open(destination.name, Path("/elsewhere")).name == destination.name
    assert list(folder.iterdir()) == []


_KNOWN = ", ".join(scheme for kind in KINDS for scheme in kind.schemes)


@pytest.mark.parametrize(
    ("url", "suggestion"),
    [
        ("x.duckdb", "duckdb:///x.duckdb"),
        ("/data/x.duckdb", "duckdb:////data/x.duckdb"),
        ("data/", "parquet:///data"),
        ("", "duckdb:///stripe.duckdb"),
        ("duckdb:x.duckdb", "duckdb:///x.duckdb"),
        ("duckdb://x.duckdb", "duckdb:///x.duckdb"),
        ("duckdb://host/x.duckdb", "duckdb:///host/x.duckdb"),
        ("duckbd:///x.duckdb", "duckdb:///stripe.duckdb"),
        ("parket:///x", "parquet:///stripe"),
        ("mysql://host/x", _KNOWN),
        ("snowflake://me@acme/x", "dlt+snowflake://user@account/database?warehouse=name"),
        ("duckdb:///", "duckdb:///stripe.duckdb"),
        ("duckdb://", "duckdb:///stripe.duckdb"),
        ("parquet:////", "parquet:///stripe"),
        ("duckdb:///:memory:", "duckdb:///stripe.duckdb"),
    ],
)
def test_invalid_url_is_rejected_with_suggestion(url: str, suggestion: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        _open(url, tmp_path)
    assert str(caught.value.hint).rstrip(".?").endswith(f" {suggestion}")


def test_unsupported_parameter_error_names_supported_one(tmp_path: Path) -> None:
    with raises(SettingsError, "?partition=month"):
        _open("parquet:///x?threads=4", tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:hunter2@host/x",
        "postgresql://me:hunter2@host",
        "duckdb://me:hunter2@host/x",
        "domo://me:hunter2@api.domo.com",
        "domo://me@api.domo.com?secret=hunter2",
        "domo://me@api.domo.com/hunter2?secret=hunter2",
        "sk_test_hunter2hunter2",
        "md:me:hunter2",
    ],
)
def test_secret_in_url_is_not_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        _open(url, tmp_path)
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value!r}"
