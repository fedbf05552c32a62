"""A URL names one place, or the error says what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.kinds import KINDS
from counterfoil.errors import SettingsError
from counterfoil.settings import Settings


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


_KNOWN = f"A URL begins with one of: {', '.join(scheme for kind in KINDS for scheme in kind.schemes)}."


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("x.duckdb", "Did you mean duckdb:///x.duckdb?"),
        ("/data/x.duckdb", "Did you mean duckdb:////data/x.duckdb?"),
        ("data/", "Did you mean parquet:///data?"),
        ("", "Did you mean duckdb:///stripe.duckdb?"),
        ("duckdb:x.duckdb", "Did you mean duckdb:///x.duckdb?"),
        ("duckdb://x.duckdb", "Did you mean duckdb:///x.duckdb?"),
        ("duckdb://host/x.duckdb", "Did you mean duckdb:///host/x.duckdb?"),
        ("duckbd:///x.duckdb", "Did you mean duckdb:///stripe.duckdb?"),
        ("parket:///x", "Did you mean parquet:///stripe?"),
        ("mysql://host/x", _KNOWN),
        ("snowflake://me@acme/x", "Did you mean dlt+snowflake://user@account/database?warehouse=name?"),
        ("duckdb:///", "Such as duckdb:///stripe.duckdb."),
        ("duckdb://", "Such as duckdb:///stripe.duckdb."),
        ("parquet:////", "Such as parquet:///stripe."),
        ("duckdb:///:memory:", "Name a file: duckdb:///stripe.duckdb."),
        ("parquet:///x?threads=4", "Remove what else is behind the ?."),
    ],
)
def test_what_names_no_destination_is_refused_with_what_was_meant(url: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        _open(url, tmp_path)
    assert caught.value.hint == hint


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
def test_a_secret_in_a_url_is_not_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        _open(url, tmp_path)
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value!r}"
