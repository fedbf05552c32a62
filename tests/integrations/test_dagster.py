"""Dagster materializes reports in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import counterfoil
from stripe_sandbox import Sandbox

from .conftest import KEY, figures
from .examples import changed, examples

pytest.importorskip("dagster", reason="Dagster is not installed: make test-integrations")

import dagster

from counterfoil.integrations.dagster import stripe_assets

MONEY = ("amount", "amount_major")


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dagster.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    monkeypatch.chdir(tmp_path)
    with dagster.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def _metadata(done: dagster.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    events = done.get_asset_materialization_events()
    (found,) = [one for one in events if one.asset_key == dagster.AssetKey([asset])]
    return {name: value.value for name, value in found.materialization.metadata.items()}


def test_documented_example_runs(instance: dagster.DagsterInstance, sandbox: Sandbox) -> None:
    code, _ = examples("Dagster")
    key = 'key="env:STRIPE_API_KEY"'
    names: dict[str, Any] = {}
    exec(changed(code, key, f'{key}, api_base="{sandbox.url}"'), names)
    dagster.Definitions.validate_loadable(names["defs"])
    assert dagster.materialize([names["stripe"]], instance=instance).success


def test_assets_load_tables_and_report_metadata(
    instance: dagster.DagsterInstance, sandbox: Sandbox, stripe: counterfoil.Connection
) -> None:
    assets = stripe_assets(["charges", "balance"], to="duckdb:///books.duckdb", api_base=sandbox.url)
    done = dagster.materialize([assets], instance=instance)
    assert done.success
    whole = stripe.read("charges").read_all()
    with duckdb.connect("books.duckdb", read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        loaded = connection.sql("SELECT * FROM charges").to_arrow_table().to_pylist()
    assert figures(loaded, *MONEY) == figures(whole.to_pylist(), *MONEY)
    metadata = _metadata(done, "charges")
    assert (metadata["rows"], metadata["dagster/row_count"]) == (whole.num_rows, whole.num_rows)
    assert metadata["columns"] == len(whole.schema)
    assert metadata["requests"] >= whole.num_rows / 100
    assert (metadata["table"], metadata["warnings"]) == ("charges", [])
    assert _metadata(done, "balance")["rows"] == stripe.read("balance").read_all().num_rows


def test_selected_assets_can_be_materialized(instance: dagster.DagsterInstance, sandbox: Sandbox) -> None:
    assets = stripe_assets(
        ["charges", "coupons"], to="duckdb:///books.duckdb", api_base=sandbox.url, key_prefix=["shop", "stripe"]
    )
    chosen = dagster.AssetKey(["shop", "stripe", "coupons"])
    done = dagster.materialize([assets], instance=instance, selection=[chosen])
    assert [one.asset_key for one in done.get_asset_materialization_events()] == [chosen]
    with duckdb.connect("books.duckdb", read_only=True) as connection:
        names = {name for (name,) in connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert "coupons" in names
    assert "charges" not in names


def test_column_schema_is_known_before_materialization(sandbox: Sandbox) -> None:
    assets = stripe_assets(["charges"], to="duckdb:///books.duckdb")
    (spec,) = assets.specs
    columns = {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
    assert list(columns) == counterfoil.describe("charges").schema.names
    assert columns["amount_major"].type == "decimal128(22, 3)"
    assert spec.description.startswith("Charges: ")


def test_failed_asset_does_not_prevent_the_others(instance: dagster.DagsterInstance, sandbox: Sandbox) -> None:
    sandbox.control("keys", key="rk_test_somewhat4242", permissions=["rak_coupon_read"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_KEY", "rk_test_somewhat4242")
        assets = stripe_assets(
            ["charges", "coupons"],
            to="duckdb:///books.duckdb",
            key="env:SOME_KEY",
            api_base=sandbox.url,
            retry_policy=dagster.RetryPolicy(max_retries=3),
        )
        done = dagster.materialize([assets], instance=instance, raise_on_error=False)
    assert not done.success
    assert [one.asset_key.to_user_string() for one in done.get_asset_materialization_events()] == ["coupons"]
    (failed,) = done.get_step_failure_events()
    failure = str(failed.event_specific_data)
    assert "rak_charge_read" in failure
    assert "somewhat" not in failure
    assert not [one for one in done.all_events if one.is_step_restarted]


def test_transient_error_is_retried(instance: dagster.DagsterInstance) -> None:
    with Sandbox(scale=0.1) as own:
        own.control("keys", key=KEY)
        own.control("faults", fault="status", path="/v1/coupons", status=500, count=6, error={"message": "later"})
        assets = stripe_assets(
            ["coupons"], to="duckdb:///books.duckdb", api_base=own.url, retry_policy=dagster.RetryPolicy(max_retries=1)
        )
        done = dagster.materialize([assets], instance=instance, raise_on_error=False)
    assert done.success
    assert len([one for one in done.all_events if one.is_step_restarted]) == 1
