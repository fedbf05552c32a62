"""dlt loads reports into its own DuckDB destination."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import counterfoil
from stripe_sandbox import Sandbox

from .conftest import KEY, figures
from .examples import changed, examples

pytest.importorskip("dlt", reason="dlt is not installed: make test-integrations")

import dlt

from counterfoil.integrations.dlt import counterfoil_resource, counterfoil_source

MONEY = ("amount", "amount_major")
Load = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Runs a pipeline on the data, and returns the rows of a table."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DESTINATION__REPLACE_STRATEGY", "insert-from-staging")

    def run(data: Any, table: str) -> list[dict[str, Any]]:
        pipeline = dlt.pipeline(
            "shop",
            pipelines_dir=str(tmp_path / "state"),
            destination=dlt.destinations.duckdb("shop.duckdb"),
            dataset_name="stripe",
        )
        pipeline.run(data).raise_on_failed_jobs()
        with duckdb.connect("shop.duckdb", read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            found: list[dict[str, Any]] = connection.sql(f'SELECT * FROM stripe."{table}"').to_arrow_table().to_pylist()
        return found

    return run


def test_documented_example_runs(rows: Load, sandbox: Sandbox, stripe: counterfoil.Connection) -> None:
    (code,) = examples("dlt")
    key = 'key="env:STRIPE_API_KEY"'
    exec(changed(code, key, f'{key}, api_base="{sandbox.url}"'), {})
    with duckdb.connect("shop.duckdb", read_only=True) as connection:
        for report in ("charges", "customers", "events"):
            found = connection.sql(f"SELECT count(*) FROM stripe.{report}").fetchall()
            assert found == [(stripe.read(report).read_all().num_rows,)]


def test_report_is_loaded_with_its_types_and_sums(rows: Load, sandbox: Sandbox, stripe: counterfoil.Connection) -> None:
    loaded = rows(counterfoil_resource("charges", api_base=sandbox.url), "charges")
    assert figures(loaded, *MONEY) == figures(stripe.read("charges").read_all().to_pylist(), *MONEY)
    with duckdb.connect("shop.duckdb", read_only=True) as connection:
        types = dict(connection.sql("SELECT column_name, column_type FROM (DESCRIBE stripe.charges)").fetchall())
    described = counterfoil.describe("charges")
    assert [name for name in types if not name.startswith("_dlt")] == described.schema.names
    assert (types["amount"], types["amount_major"]) == ("BIGINT", "DECIMAL(22,3)")
    assert types["created"] == "TIMESTAMP WITH TIME ZONE"
    assert {types[name] for name in described.json_columns} == {"JSON"}


@pytest.mark.parametrize("report", ["refunds", "subscriptions", "balance", "invoices"])
def test_all_values_are_loaded(report: str, rows: Load, sandbox: Sandbox, stripe: counterfoil.Connection) -> None:
    """Compares all columns except those that differ between two runs."""
    differ = {"_run", "_synced_at"}
    loaded = rows(counterfoil_resource(report, api_base=sandbox.url), report)
    expected = stripe.read(report).read_all().to_pylist()
    names = set(expected[0]) - differ
    assert _sorted(loaded, names) == _sorted(expected, names)


def test_second_run_replaces_rows_even_with_none(rows: Load, sandbox: Sandbox) -> None:
    first = rows(counterfoil_resource("refunds", api_base=sandbox.url), "refunds")
    again = rows(counterfoil_resource("refunds", api_base=sandbox.url), "refunds")
    assert _sorted(first, {"id"}) == _sorted(again, {"id"})
    assert rows(counterfoil_resource("refunds", api_base=sandbox.url, until="2012-01-01"), "refunds") == []


def test_report_without_rows_creates_a_table(rows: Load, sandbox: Sandbox) -> None:
    assert rows(counterfoil_resource("recipients", api_base=sandbox.url), "recipients") == []


def test_events_are_read_incrementally(rows: Load) -> None:
    """Stripe deletes events after thirty days; the table retains them."""
    with Sandbox(scale=0.2) as own, counterfoil.connect(KEY, api_base=own.url) as stripe:
        own.control("keys", key=KEY)
        first = rows(counterfoil_resource("events", api_base=own.url), "events")
        own.control("life", per_day=30)
        own.control("advance", seconds=2 * 86400)
        own.ask("requests?reset=true")
        second = rows(counterfoil_resource("events", api_base=own.url), "events")
        queries = [one["query"] for one in own.ask("requests")["last"] if one["path"] == "/v1/events"]
        now = stripe.read("events").read_all()["id"].to_pylist()
    before, after = {row["id"] for row in first}, [row["id"] for row in second]
    assert set(now) - before
    assert before - set(now)
    assert sorted(after) == sorted(before | set(now))
    newest = max(row["created"] for row in first)
    assert queries
    assert all(f"created[gte]={int(newest.timestamp()) - 600}" in query for query in queries)


def test_merge_keeps_rows_outside_the_range(rows: Load, sandbox: Sandbox) -> None:
    def resource(**options: Any) -> Any:
        return counterfoil_resource("refunds", api_base=sandbox.url, write_disposition="merge", **options)

    first = rows(resource(), "refunds")
    middle = sorted(row["created"] for row in first)[len(first) // 2]
    assert _sorted(rows(resource(since=middle), "refunds"), {"id", "amount"}) == _sorted(first, {"id", "amount"})


def test_source_combines_several_reports(rows: Load, sandbox: Sandbox, stripe: counterfoil.Connection) -> None:
    source = counterfoil_source(["coupons", "plans"], api_base=sandbox.url)
    assert len(rows(source, "coupons")) == stripe.read("coupons").read_all().num_rows
    with duckdb.connect("shop.duckdb", read_only=True) as connection:
        ((plans,),) = connection.sql("SELECT count(*) FROM stripe.plans").fetchall()
    assert plans == stripe.read("plans").read_all().num_rows


def test_files_of_dlt_do_not_contain_the_key(rows: Load, sandbox: Sandbox, tmp_path: Path) -> None:
    rows(counterfoil_resource("coupons", api_base=sandbox.url), "coupons")
    files = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert files
    assert not [one for one in files if KEY.encode() in one.read_bytes()]


def test_unknown_report_is_rejected_immediately() -> None:
    with pytest.raises(counterfoil.SettingsError, match="report 'chargse'"):
        counterfoil_resource("chargse")


def _sorted(rows: list[dict[str, Any]], names: set[str]) -> list[dict[str, Any]]:
    return sorted(({name: row[name] for name in names} for row in rows), key=lambda row: str(sorted(row.items())))
