"""Spark in local mode reads reports by its executors."""

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


def test_the_example_of_the_documents(
    spark: SparkSession, sandbox: Sandbox, stripe: counterfoil.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = examples("Spark")
    key = '.option("key", "env:STRIPE_API_KEY")'
    told: dict[str, Any] = {}
    exec(changed(code, key, f'{key}.option("api_base", "{sandbox.url}")'), told)
    assert told["charges"].count() == stripe.read("charges", since="2026-01-01").read_all().num_rows
    assert "usd" in capsys.readouterr().out


def test_partitions_read_side_by_side_are_the_report(load: Any, stripe: counterfoil.Connection) -> None:
    frame = load("charges").cache()
    assert frame.rdd.getNumPartitions() == 4
    each = [row["count"] for row in frame.groupBy(F.spark_partition_id()).count().collect()]
    whole = stripe.read("charges").read_all().to_pylist()
    assert len(each) == 4
    assert min(each) > len(whole) / 12
    told = frame.agg(
        F.count("*").alias("rows"),
        F.countDistinct("id").alias("keys"),
        F.min("created").alias("first"),
        F.max("created").alias("last"),
        *(F.sum(name).alias(name) for name in MONEY),
    ).collect()[0]
    expected = figures(whole, *MONEY)
    # A session in UTC gives local times of this process.
    instants = {name: told[name].astimezone(UTC) for name in ("first", "last")}
    assert told.asDict() | instants == expected


def test_types_are_those_of_the_report(load: Any) -> None:
    types = dict(load("charges").dtypes)
    assert (types["amount"], types["amount_major"], types["created"]) == ("bigint", "decimal(22,3)", "timestamp")
    assert list(types) == counterfoil.describe("charges").schema.names


def test_every_value_arrives(load: Any, stripe: counterfoil.Connection) -> None:
    """But for what differs between two readings."""
    frame = load("refunds", partitions="3").drop("_run", "_synced_at")
    read = {row["id"]: row.asDict() for row in frame.collect()}
    expected = stripe.read("refunds").read_all().drop_columns(["_run", "_synced_at"]).to_pylist()
    for row in read.values():
        row.update({n: v.astimezone(UTC) for n, v in row.items() if isinstance(v, datetime)})
    assert read == {row["id"]: row for row in expected}


def test_a_range_and_a_report_option_narrow(load: Any, stripe: counterfoil.Connection) -> None:
    middle = sorted(stripe.read("charges").read_all()["created"].to_pylist())[700].isoformat()
    whole = stripe.read("charges").read_all().num_rows
    assert 0 < load("charges", since=middle).count() == stripe.read("charges", since=middle).read_all().num_rows < whole
    every = stripe.read("subscriptions", options={"status": "all"}).read_all().num_rows
    assert load("subscriptions", **{"option.status": "all"}).count() == every > load("subscriptions").count()


def test_reports_without_creation_and_without_rows_are_one_partition(load: Any, stripe: counterfoil.Connection) -> None:
    frame = load("balance")
    assert frame.rdd.getNumPartitions() == 1
    assert frame.count() == stripe.read("balance").read_all().num_rows > 0
    assert load("recipients").count() == stripe.read("recipients").read_all().num_rows


def test_a_schema_of_some_columns_reads_those(spark: SparkSession, sandbox: Sandbox) -> None:
    reader = spark.read.format("counterfoil").option("report", "coupons").option("api_base", sandbox.url)
    frame = reader.schema("id string, amount_off_major decimal(22,3)").load()
    assert frame.columns == ["id", "amount_off_major"]
    assert frame.count() > 0


def test_the_key_is_found_where_the_option_says_and_shown_nowhere(load: Any) -> None:
    frame = load("coupons", key="env:OTHER_KEY")
    assert frame.count() > 0
    assert KEY not in frame._jdf.queryExecution().toString()
    with pytest.raises(PySparkException, match="which Spark would show") as refused:
        load("coupons", key=KEY)
    assert KEY not in str(refused.value)
    with pytest.raises(PySparkException, match="NO_SUCH_KEY is not set"):
        load("coupons", key="env:NO_SUCH_KEY").count()


def test_what_is_wrong_with_an_option_is_said(load: Any) -> None:
    with pytest.raises(PySparkException, match="There is no option 'untill'"):
        load("charges", untill="2026-01-01")
    with pytest.raises(PySparkException, match="There is no report 'chargse'"):
        load("chargse")
    with pytest.raises(PySparkException, match="partitions 'many' is not a number"):
        load("charges", partitions="many").count()


def test_partitions_share_the_rates_of_the_account(sandbox: Sandbox, spark: SparkSession) -> None:
    reader = CounterfoilDataSource({"report": "charges", "api_base": sandbox.url}).reader(StructType())
    parts = reader.partitions()
    assert [part.count for part in parts] == [4, 4, 4, 4]
    with reader._connected(parts[0].count) as connection:
        assert connection._settings.rate_share == pytest.approx(0.8 / 4)
