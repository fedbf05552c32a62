"""Sorting in slices gives the same result as sorting at once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterfoil.destinations.sql.ordering import sorted_slices
from counterfoil.destinations.sql.text import parts_source
from counterfoil.errors import RunError
from counterfoil.values import Load
from tests.destinations.conftest import Archived, raises

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("created", pa.timestamp("us", tz="UTC")),
        pa.field("amount", pa.int64()),
        pa.field("rate", pa.float64()),
    ]
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ROWS = st.fixed_dictionaries(
    {
        "id": st.none() | st.text("ab'é", max_size=2),
        "created": st.none() | st.integers(0, 30).map(lambda n: _EPOCH + dt.timedelta(seconds=n, microseconds=n)),
        "amount": st.none() | st.integers(-5, 5),
        "rate": st.none() | st.floats(allow_nan=False, width=32),
    }
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(
    rows=st.lists(_ROWS, min_size=1, max_size=60),
    order=st.lists(st.sampled_from(_SCHEMA.names), unique=True, min_size=1).flatmap(
        lambda names: st.tuples(*(st.sampled_from([name, f"-{name}"]) for name in names))
    ),
    slice_bytes=st.integers(1_000, 8_000),
)
def test_slices_contain_all_rows_in_order(
    archived: Archived, rows: list[dict[str, Any]], order: tuple[str, ...], slice_bytes: int
) -> None:
    files = [part.path for part in archived(_SCHEMA, rows)]
    load = Load(run="r", table="t", method="replace", order=order)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def values(source: str) -> list[tuple[Any, ...]]:
            table = connection.sql(f"SELECT * FROM {source}").to_arrow_table()
            return [tuple(row.values()) for row in table.to_pylist()]

        (whole,) = sorted_slices(load, files)
        slices = sorted_slices(load, files, slice_bytes=slice_bytes)
        together = [row for source in slices for row in values(source)]
        keys = [_SCHEMA.names.index(name.removeprefix("-")) for name in order]
        assert [[row[key] for key in keys] for row in together] == [[row[key] for key in keys] for row in values(whole)]
        given_rows = [tuple(row.values()) for row in pa.Table.from_pylist(rows, schema=_SCHEMA).to_pylist()]
        assert sorted(map(repr, together)) == sorted(map(repr, given_rows))


def test_large_tables_are_divided_into_slices_of_similar_size(archived: Archived) -> None:
    rows = [{"id": f"{n}", "created": _EPOCH + dt.timedelta(seconds=n * 7919 % 10_007)} for n in range(10_000)]
    files = [part.path for part in archived(_SCHEMA, rows)]
    load = Load(run="r", table="t", method="replace", order=("-created", "-id"))
    with duckdb.connect() as connection:
        slices = sorted_slices(load, files, slice_bytes=200_000)
        sizes = [len(connection.execute(f"SELECT id FROM {source}").fetchall()) for source in slices]
    assert len(sizes) > 5
    assert sum(sizes) == 10_000
    assert max(sizes) < 2 * 10_000 / len(sizes)


@pytest.mark.parametrize("most_bytes", [1, 1 << 40])
def test_rows_without_order_are_not_sorted(archived: Archived, most_bytes: int) -> None:
    files = [part.path for part in archived(_SCHEMA, [{"id": "a"}])]
    load = Load(run="r", table="t", method="replace")
    assert list(sorted_slices(load, files, slice_bytes=most_bytes)) == [parts_source(files)]


def test_canceled_sort_leaves_no_temporary_files(archived: Archived) -> None:
    rows = [{"id": f"{n}", "created": _EPOCH + dt.timedelta(seconds=n)} for n in range(1_000)]
    files = [part.path for part in archived(_SCHEMA, rows)]
    before = sorted(files[0].parent.rglob("*"))
    load = Load(run="r", table="t", method="replace", order=("-created",))
    requested = iter([False, False, True])
    with raises(RunError, code="load_canceled"):
        list(sorted_slices(load, [*files, *files, *files], slice_bytes=9_000, stop=lambda: next(requested)))
    slices = sorted_slices(load, files, slice_bytes=9_000)
    next(slices)
    slices.close()
    assert sorted(files[0].parent.rglob("*")) == before
