"""What the tests of destinations share: settings in a temporary home, and archives made of rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from counterfoil.archive import Archive
from counterfoil.destinations import Destination, open_destination
from counterfoil.settings import Settings
from counterfoil.values import Part

Archived = Callable[[pa.Schema, list[dict[str, Any]]], tuple[Part, ...]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", busy_seconds=0)


@pytest.fixture
def archived(settings: Settings) -> Archived:
    """Writes rows as the parts of an archive of their own."""
    numbers = itertools.count()

    def write(schema: pa.Schema, rows: list[dict[str, Any]]) -> tuple[Part, ...]:
        with Archive(settings.archive / f"archived-{next(numbers)}", schema) as archive:
            archive.write(pa.RecordBatch.from_pylist(rows, schema=schema))
        return archive.parts()

    return write


@pytest.fixture
def duckdb_destination(tmp_path: Path, settings: Settings) -> Destination:
    return open_destination("duckdb:///stripe.duckdb", relative_to=tmp_path, settings=settings)


@pytest.fixture
def parquet_destination(tmp_path: Path, settings: Settings) -> Destination:
    return open_destination("parquet:///stripe", relative_to=tmp_path, settings=settings)


@pytest.fixture(params=["duckdb", "parquet"])
def destination(request: pytest.FixtureRequest) -> Destination:
    found: Destination = request.getfixturevalue(f"{request.param}_destination")
    return found
