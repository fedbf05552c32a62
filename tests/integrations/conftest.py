"""Fixtures: a simulated Stripe, and its reports read without an engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import counterfoil
from stripe_sandbox import Sandbox

KEY = "sk_test_integration4242"


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scale=0.5) as serving:
        serving.control("keys", key=KEY)
        yield serving


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A shared session. Executors keep the environment of the first session, so it contains all required variables."""
    sql = pytest.importorskip("pyspark.sql", reason="Spark is not installed: make test-integrations")
    started = {
        "STRIPE_API_KEY": KEY,
        "OTHER_KEY": KEY,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "COUNTERFOIL_RATE_GLOBAL": "100000",
        "COUNTERFOIL_RATE_ENDPOINT": "100000",
    }
    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in started.items():
            patch.setenv(name, value)
        builder = sql.SparkSession.builder.master("local[2]").appName("counterfoil")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.fixture
def stripe(sandbox: Sandbox) -> Iterator[counterfoil.Connection]:
    """The connection that provides the expected rows."""
    with counterfoil.connect(KEY, api_base=sandbox.url) as connection:
        yield connection


def figures(rows: list[dict[str, Any]], *sums: str) -> dict[str, Any]:
    """The number of rows and of keys, the sums of columns, and the first and last creation time."""
    created = [row["created"] for row in rows]
    added = {name: sum((Decimal(row[name] or 0) for row in rows), Decimal()) for name in sums}
    return {
        "rows": len(rows),
        "keys": len({row["id"] for row in rows}),
        "first": min(created),
        "last": max(created),
        **added,
    }


def pytest_sessionfinish(session: pytest.Session) -> None:
    """If engines are required, skipped tests are failures."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("ENGINES") == "required" and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
