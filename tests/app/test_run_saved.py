"""A saved dataset run by a program that knows its name alone."""

from __future__ import annotations

import pytest

import counterfoil
from counterfoil.app.app import open_app
from stripe_sandbox import Sandbox
from tests.app.conftest import FULL


def test_a_saved_dataset_is_run_by_its_name(sandbox: Sandbox) -> None:
    with open_app() as app:
        app.accounts.add("Shop", FULL, api_base=sandbox.url)
        app.datasets.create("All coupons", account="Shop", report="coupons")
    told = counterfoil.run_dataset("All coupons")
    assert (told["status"], told["dataset"], told["error"]) == ("succeeded", "All coupons", None)
    assert told["rows"]["read"] == told["loads"][0]["rows"] > 0
    with pytest.raises(counterfoil.SettingsError, match="nothing"):
        counterfoil.run_dataset("nothing")
