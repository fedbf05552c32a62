"""Every report is complete although one request in twenty fails in a way that a client should survive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from counterfoil.cli import run
from counterfoil.reports.catalogue import REPORTS
from stripe_sandbox import Sandbox

from .conftest import KEY

SCALE = 0.2


def _pulled(sandbox: Sandbox, file: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> dict[str, list[Any]]:
    """Pulls all reports; returns the keys of their rows."""
    sandbox.control("recipients", mode="list")
    monkeypatch.setenv("STRIPE_API_BASE", sandbox.url)
    assert run(["pull", "all", "--to", f"duckdb:///{file}", "--json"]) == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["report"]: one["error"] for one in results} == {report.key: None for report in REPORTS}
    with duckdb.connect(file, read_only=True) as connection:
        return {
            report.key: connection.execute(
                f"SELECT {', '.join(report.primary_key)} FROM {report.key} ORDER BY ALL"
            ).fetchall()
            for report in REPORTS
        }


@pytest.mark.thorough
def test_reports_are_complete_despite_failing_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    for name, value in {"GLOBAL": "1000", "ENDPOINT": "1000", "SHARE": "1"}.items():
        monkeypatch.setenv(f"COUNTERFOIL_RATE_{name}", value)
    with Sandbox(scale=SCALE) as sandbox:
        expected = _pulled(sandbox, "no-faults.duckdb", monkeypatch, capsys)
    with Sandbox(scale=SCALE) as sandbox:
        sandbox.control("faults", rate=0.05, kinds=["500", "global-rate", "cut", "half"])
        found = _pulled(sandbox, "faults.duckdb", monkeypatch, capsys)
        requests = sandbox.ask("requests")
    assert found == expected
    assert all(len(rows) == len(set(rows)) for rows in found.values())
    failed = {status: count for status, count in requests["statuses"].items() if status not in {"200", "404"}}
    # 0 is a cut connection. A response that is cut in the middle of its body counts as 200.
    assert failed.keys() <= {"0", "429", "500"}
    assert len(failed) > 1
    assert sum(failed.values()) >= 5
