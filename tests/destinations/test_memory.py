"""Loads near the size at which sorting switches to slices fit into DuckDB's memory limit."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from counterfoil.archive import Archive
from counterfoil.destinations import Destination
from counterfoil.destinations.sql.ordering import _SLICE_BYTES, _sort_bytes
from counterfoil.settings import Settings
from counterfoil.values import Load

_BATCH_ROWS = 500


def _texts(generator: random.Random, letters: int) -> pa.Array:
    text = generator.randbytes(_BATCH_ROWS * letters // 2).hex()
    return pa.array([text[at : at + letters] for at in range(0, len(text), letters)])


@pytest.mark.parametrize(
    ("kind", "columns", "letters", "share"),
    [
        ("duckdb", 100, 12, 0.95),
        ("duckdb", 10, 500, 1.3),
        *(
            pytest.param(*each, marks=pytest.mark.thorough)
            for each in (
                ("duckdb", 250, 12, 0.95),
                ("duckdb", 10, 500, 0.95),
                ("duckdb", 3, 4_000, 0.85),
                ("delta", 10, 500, 1.3),
            )
        ),
    ],
)
def test_large_load_fits_into_memory_limit(
    request: pytest.FixtureRequest, settings: Settings, kind: str, columns: int, letters: int, share: float
) -> None:
    destination: Destination = request.getfixturevalue(f"{kind}_destination")
    generator = random.Random(1)
    schema = pa.schema([pa.field(f"text_{number}", pa.string()) for number in range(columns)])
    # A text takes its letters, 4 bytes for its length, and 16 bytes of overhead; a row takes 64 more bytes.
    row_bytes = columns * (letters + 4 + 16) + 64
    with Archive(settings.archive / "medium", schema) as archive:
        for _ in range(round(share * _SLICE_BYTES / row_bytes / _BATCH_ROWS)):
            archive.write(pa.record_batch([_texts(generator, letters) for _ in range(columns)], schema=schema))
    parts = archive.parts()
    needed = _sort_bytes([part.path for part in parts])
    assert 0.8 < needed / _SLICE_BYTES < 1 if share < 1 else needed > _SLICE_BYTES
    load = Load(run="run-1", table="charges", method="replace", order=("text_0",))
    assert destination.load(load, schema, parts).rows == sum(part.rows for part in parts)
