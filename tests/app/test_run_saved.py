"""`run_dataset` runs a saved dataset by its name."""

from __future__ import annotations

import pytest

import counterfoil
from counterfoil.app.app import open_app
from stripe_sandbox import Sandbox
from tests.app.conftest import FULL


def test_saved_dataset_runs_by_name(sandbox: Sandbox) -> None:
    with open_app() as app:
        app.accounts.add("Shop", FULL, api_base=sandbox.url)
        app.datasets.create("All coupons", account="Shop", report="coupons")
    run = counterfoil.run_dataset("All coupons")
    assert (run["status"], run["dataset"], run["error"]) == ("succeeded", "All coupons", None)
    assert run["rows"]["read"] == run["loads"][0]["rows"] > 0
    with pytest.raises(counterfoil.SettingsError, match="'nothing'") as error:
        counterfoil.run_dataset("nothing")
    assert error.value.code == "dataset_not_found"
