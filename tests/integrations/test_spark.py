"""Spark in local mode reads reports with its executors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import counterfoil
from stripe_sandbox import Sandbox

from .conftest import KEY, figures
from .examples import changed, examples

pytest.importorskip("pyspark", reason="Spark is not installed: make test-integrations")

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from counterfoil.integrations.spark import CounterfoilDataSource

MONEY = ("amount", "amount_major")


@pytest.fixture(autouse=True)
def _source(spark: SparkSession) -> None:
    spark.dataSource.register(CounterfoilDataSource)


@pytest.fixture
def load(spark: SparkSession, sandbox: Sandbox) -> Any:
    def loaded(report: str, **options: str) -> DataFrame:
        reader = spark.read.format("counterfoil").option("report", report).option("api_base", sandbox.url)
        return reader.options(**options).load()

    return loaded


def test_documented_example_runs(
    spark: SparkSession, sandbox: Sandbox, stripe: counterfoil.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = examples("Spark")
    key = '.option("key", "env:STRIPE_API_KEY")'
    names: dict[str, Any] = {}
    exec(changed(code, key, f'{key}.option("api_base", "{sandbox.url}")'), names)
    assert names["charges"].count() == stripe.read("charges", since="2026-01-01").read_all().num_rows
    assert "usd" in capsys.readouterr().out


def test_partitions_add_up_to_the_report(load: Any, stripe: counterfoil.Connection) -> None:
    frame = load("charges").cache()
    assert frame.rdd.getNumPartitions() == 4
    each = [row["count"] for row in frame.groupBy(F.spark_partition_id()).count().collect()]
    whole = stripe.read("charges").read_all().to_pylist()
    assert len(each) == 4
    assert min(each) > len(whole) / 12
    found = frame.agg(
        F.count("*").alias("rows"),
        F.countDistinct("id").alias("keys"),
        F.min("created").alias("first"),
        F.max("created").alias("last"),
        *(F.sum(name).alias(name) for name in MONEY),
    ).collect()[0]
    expected = figures(whole, *MONEY)
    # A session in UTC returns times in the local time zone of this process.
    instants = {name: found[name].astimezone(UTC) for name in ("first", "last")}
    assert found.asDict() | instants == expected


def test_columns_have_the_types_of_the_report(load: Any) -> None:
    types = dict(load("charges").dtypes)
    assert (types["amount"], types["amount_major"], types["created"]) == ("bigint", "decimal(22,3)", "timestamp")
    assert list(types) == counterfoil.describe("charges").schema.names


def test_all_values_are_read(load: Any, stripe: counterfoil.Connection) -> None:
    """Compares all columns except those that differ between two runs."""
    frame = load("refunds", partitions="3").drop("_run", "_synced_at")
    read = {row["id"]: row.asDict() for row in frame.collect()}
    expected = stripe.read("refunds").read_all().drop_columns(["_run", "_synced_at"]).to_pylist()
    for row in read.values():
        row.update({n: v.astimezone(UTC) for n, v in row.items() if isinstance(v, datetime)})
    assert read == {row["id"]: row for row in expected}


def test_range_and_report_option_restrict_rows(load: Any, stripe: counterfoil.Connection) -> None:
    middle = sorted(stripe.read("charges").read_all()["created"].to_pylist())[700].isoformat()
    whole = stripe.read("charges").read_all().num_rows
    assert 0 < load("charges", since=middle).count() == stripe.read("charges", since=middle).read_all().num_rows < whole
    every = stripe.read("subscriptions", options={"status": "all"}).read_all().num_rows
    assert load("subscriptions", **{"option.status": "all"}).count() == every > load("subscriptions").count()


def test_undated_and_empty_reports_are_read(load: Any, stripe: counterfoil.Connection) -> None:
    frame = load("balance")
    assert frame.rdd.getNumPartitions() == 1
    assert frame.count() == stripe.read("balance").read_all().num_rows > 0
    assert load("recipients").count() == stripe.read("recipients").read_all().num_rows


def test_schema_selects_columns(spark: SparkSession, sandbox: Sandbox) -> None:
    reader = spark.read.format("counterfoil").option("report", "coupons").option("api_base", sandbox.url)
    frame = reader.schema("id string, amount_off_major decimal(22,3)").load()
    assert frame.columns == ["id", "amount_off_major"]
    assert frame.count() > 0


def test_key_is_read_from_its_reference_and_never_shown(load: Any) -> None:
    frame = load("coupons", key="env:OTHER_KEY")
    assert frame.count() > 0
    assert KEY not in frame._jdf.queryExecution().toString()
    with pytest.raises(PySparkException, match="contains a key") as rejected:
        load("coupons", key=KEY)
    assert KEY not in str(rejected.value)
    with pytest.raises(PySparkException, match="NO_SUCH_KEY is not set"):
        load("coupons", key="env:NO_SUCH_KEY").count()


def test_invalid_option_is_named(load: Any) -> None:
    with pytest.raises(PySparkException, match="unknown option: 'untill'"):
        load("charges", untill="2026-01-01")
    with pytest.raises(PySparkException, match="report 'chargse'"):
        load("chargse")
    with pytest.raises(PySparkException, match="partitions: 'many'"):
        load("charges", partitions="many").count()


def test_partitions_share_the_rate_limit_of_the_account(sandbox: Sandbox, spark: SparkSession) -> None:
    reader = CounterfoilDataSource({"report": "charges", "api_base": sandbox.url}).reader(StructType())
    parts = reader.partitions()
    assert [part.count for part in parts] == [4, 4, 4, 4]
    with reader._connected(parts[0].count) as connection:
        assert connection._settings.rate_share == pytest.approx(0.8 / 4)
