"""The documented list of fields without a column, compared with the columns and with Stripe's SDK."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from counterfoil.columns.declared import api_version
from counterfoil.reports.catalogue import report

TOOL = Path(__file__).resolve().parents[2] / "tools" / "known_drift.py"
TEXT = TOOL.with_suffix(".json").read_text()
DRIFT: dict[str, Any] = json.loads(TEXT)


@pytest.mark.parametrize("key", DRIFT["reports"])
def test_listed_fields_have_no_column(key: str) -> None:
    listed = [path for paths in DRIFT["reports"][key].values() for path in paths]
    names = {column.name for column in report(key).columns}
    paths = {".".join(column.path) for column in report(key).columns}
    assert listed
    assert not paths & set(listed)
    assert not names & {path.replace(".", "_") for path in listed}


def test_list_matches_the_pinned_api_version() -> None:
    assert DRIFT["pinned"] == api_version()


def test_list_matches_the_sdk() -> None:
    stripe = pytest.importorskip("stripe")
    if DRIFT["sdk"] != stripe.VERSION:
        pytest.skip(f"stripe {stripe.VERSION} is installed, but the list is for {DRIFT['sdk']}")
    assert runpy.run_path(str(TOOL))["generate"]() == TEXT
