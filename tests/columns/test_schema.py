"""Types in SQL and in Arrow, and the system columns."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from counterfoil.columns.column import Column
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.schema import SQL_TYPES, arrow_schema, is_json, sql_type
from counterfoil.columns.system import DELETED, SYSTEM_COLUMNS, with_system

COLUMNS = tuple(
    Column(name=kind, type=kind, path=(kind,), currency="string" if kind == "major" else None) for kind in SQL_TYPES
)


def test_every_sql_type_is_recovered_from_its_arrow_field() -> None:
    assert [sql_type(field) for field in arrow_schema(COLUMNS)] == list(SQL_TYPES.values())


def test_sql_types_are_available_without_pyarrow() -> None:
    code = (
        "import sys; from counterfoil.columns.schema import SQL_TYPES; import counterfoil.reports.catalogue; "
        "print(sorted({'pyarrow', 'orjson', 'duckdb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_json_is_distinguished_from_text_after_parquet(tmp_path: Path) -> None:
    batch = Flattener([Column(name="a", type="json", path=("a",))]).batch([{"a": {}}])
    with pq.ParquetWriter(tmp_path / "part.parquet", batch.schema) as writer:
        writer.write_batch(batch)
    assert [is_json(field) for field in pq.read_schema(tmp_path / "part.parquet")] == [True, True]


def test_system_columns_are_between_declared_columns_and_extra() -> None:
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    flattener = Flattener([Column(name="id", type="string", path=("id",)), DELETED])
    batch = flattener.batch([{"id": "1", "x": 1}, {"id": "2", "deleted": True}])
    whole = with_system(batch, account="acct_1", run="run_1", synced_at=at, api_version="2026-05-27.dahlia")
    assert whole.schema.names == ["id", *(column.name for column in SYSTEM_COLUMNS)]
    assert whole.schema.names[1:] == [
        "_account",
        "_run",
        "_synced_at",
        "_api_version",
        "_deleted",
        "_deleted_at",
        "_extra",
    ]
    assert whole.schema.equals(arrow_schema((Column(name="id", type="string"), *SYSTEM_COLUMNS)), check_metadata=True)
    assert whole.to_pylist()[0] == {
        "id": "1",
        "_account": "acct_1",
        "_run": "run_1",
        "_synced_at": at,
        "_api_version": "2026-05-27.dahlia",
        "_deleted": False,
        "_deleted_at": None,
        "_extra": '{"x":1}',
    }
    assert whole["_extra"].to_pylist() == ['{"x":1}', None]
    assert whole["_deleted"].to_pylist() == [False, True]
    assert whole["_deleted_at"].to_pylist() == [None, at]


def test_empty_batch_has_system_columns() -> None:
    batch = Flattener([Column(name="id", type="string", path=("id",)), DELETED]).batch([])
    whole = with_system(batch, account="a", run="r", synced_at=datetime.now(UTC), api_version="v")
    assert (whole.num_rows, whole.num_columns) == (0, 8)
