"""Spark reads the files that the log of a Delta table lists.

Spark's Delta reader is in a jar that no Python package contains. This test therefore uses Spark's Parquet reader, and
Spark's parser for the schema in the log.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

import counterfoil
from stripe_sandbox import Sandbox

sql = pytest.importorskip("pyspark.sql", reason="Spark is not installed: make test-integrations")

_KEY = "sk_test_spark4242"


def _schema(table: Path) -> Any:
    """The schema in the table's first commit, as parsed by Spark."""
    lines = (table / "_delta_log" / "00000000000000000000.json").read_text().splitlines()
    metadata: dict[str, Any] = next(json.loads(line)["metaData"] for line in lines if "metaData" in line)
    return sql.types.StructType.fromJson(json.loads(metadata["schemaString"]))


def test_spark_reads_rows_and_types(spark: Any, tmp_path: Path) -> None:
    table = tmp_path / "lake" / "charges"
    with Sandbox(scale=0.2) as sandbox:
        sandbox.control("keys", key=_KEY)
        with counterfoil.connect(_KEY, api_base=sandbox.url) as stripe:
            for url in (f"delta:///{tmp_path}/lake", f"duckdb:///{tmp_path}/books.duckdb"):
                stripe.pull("charges", to=url)
            stripe.pull("charges", to=f"delta:///{tmp_path}/lake", method="append")
    schema = _schema(table)
    rows = spark.read.schema(schema).parquet(*DeltaTable(table).file_uris())
    inferred = spark.read.parquet(*DeltaTable(table).file_uris()).schema
    assert [(field.name, field.dataType) for field in schema] == [(field.name, field.dataType) for field in inferred]
    kinds = {field.name: field.dataType for field in schema}
    assert [kinds[name] for name in ("id", "amount", "amount_major", "created", "metadata")] == [
        sql.types.StringType(),
        sql.types.LongType(),
        sql.types.DecimalType(22, 3),
        sql.types.TimestampType(),
        sql.types.StringType(),
    ]
    figures = ("count(*)", "count(DISTINCT id)", "sum(amount)", "sum(amount_major)", "min(created)")
    found = tuple(rows.selectExpr(*figures).first())
    with duckdb.connect(str(tmp_path / "books.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        row = connection.execute(f"SELECT {', '.join(figures)}::TIMESTAMP FROM charges").fetchone()
    assert row
    count, ids, amount, major, created = row
    assert found == (2 * count, ids, 2 * amount, 2 * major, created)
