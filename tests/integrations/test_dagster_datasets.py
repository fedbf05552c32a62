"""Dagster runs saved datasets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import counterfoil
from counterfoil.app.app import open_app
from stripe_sandbox import Sandbox

from .conftest import KEY
from .examples import examples

pytest.importorskip("dagster", reason="Dagster is not installed: make test-integrations")

import dagster

from counterfoil.integrations.dagster_datasets import dataset_assets


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dagster.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    with dagster.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture(autouse=True)
def _datasets(sandbox: Sandbox) -> None:
    with open_app() as app:
        app.accounts.add("Shop", KEY, api_base=sandbox.url)
        app.datasets.create("Charges", account="Shop", report="charges")
        app.datasets.create("All refunds", account="Shop", report="refunds")


def test_documented_example_runs_datasets(
    instance: dagster.DagsterInstance, stripe: counterfoil.Connection, tmp_path: Path
) -> None:
    names: dict[str, dagster.AssetsDefinition] = {}
    exec(examples("Dagster")[1], names)
    done = dagster.materialize([names["datasets"]], instance=instance)
    found = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in done.get_asset_materialization_events()
    }
    assert set(found) == {"charges", "all_refunds"}
    with duckdb.connect(tmp_path / "home" / "counterfoil.duckdb", read_only=True) as connection:
        for report, asset in (("charges", "charges"), ("refunds", "all_refunds")):
            rows = stripe.read(report).read_all().num_rows
            assert found[asset]["rows_read"].value == rows
            assert connection.sql(f"SELECT count(*) FROM {report}").fetchall() == [(rows,)]


def test_failed_run_fails_only_its_own_dataset(instance: dagster.DagsterInstance, sandbox: Sandbox) -> None:
    sandbox.control(
        "faults", fault="status", path="/v1/charges", status=403, count=None, error={"message": "Not this."}
    )
    assets = dataset_assets(["Charges", "All refunds"], retry_policy=dagster.RetryPolicy(max_retries=2))
    try:
        done = dagster.materialize([assets], instance=instance, raise_on_error=False)
    finally:
        sandbox.control("faults", clear=True)
    assert not done.success
    assert [one.asset_key.to_user_string() for one in done.get_asset_materialization_events()] == ["all_refunds"]
    (failed,) = done.get_step_failure_events()
    assert "Charges: " in str(failed.event_specific_data)
    assert "Not this." in str(failed.event_specific_data)
    assert not [one for one in done.all_events if one.is_step_restarted]
