"""Text that UTF-8 cannot encode, from Stripe's response to the table."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from counterfoil.cli import run
from tests.runs.scripted_stripe import scripted_stripe

from .conftest import KEY

CHARGES = [
    {"object": "charge", "id": f"ch_{n}", "created": 1_700_000_000 - n, "amount": 500, "currency": "usd", **more}
    for n, more in enumerate(({"description": "a\ud800"}, {"description": "plain"}, {"description": "b\udfff"}))
]


def test_lone_surrogates_are_loaded_escaped_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with scripted_stripe({"/v1/charges": CHARGES}) as stripe:
        monkeypatch.setenv("STRIPE_API_KEY", KEY)
        monkeypatch.setenv("STRIPE_API_BASE", stripe.url)
        assert run(["pull", "charges", "--to", "duckdb:///charges.duckdb", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    (warning,) = json.loads(line)["warnings"]
    assert "description" in warning
    with duckdb.connect(tmp_path / "charges.duckdb", read_only=True) as connection:
        found = connection.execute("SELECT id, amount, description, _extra FROM charges ORDER BY id").fetchall()
        texts = connection.execute("SELECT _extra->>'$.description._escaped' FROM charges ORDER BY id").fetchall()
    assert [(*row[:3], row[3] and json.loads(row[3])) for row in found] == [
        ("ch_0", 500, None, {"description": {"_escaped": r"a\ud800"}}),
        ("ch_1", 500, "plain", None),
        ("ch_2", 500, None, {"description": {"_escaped": r"b\udfff"}}),
    ]
    assert texts == [(r"a\ud800",), (None,), (r"b\udfff",)]
