"""`pull --explain`: the estimated cost of a pull, and its actual cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from counterfoil.cli import run
from stripe_sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scale=0.5) as serving:
        yield serving


@pytest.fixture(autouse=True)
def _environment(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_demo")
    monkeypatch.setenv("STRIPE_API_BASE", sandbox.url)
    for name, value in {"GLOBAL": "10000", "ENDPOINT": "10000", "SHARE": "1"}.items():
        monkeypatch.setenv(f"COUNTERFOIL_RATE_{name}", value)


def _explain(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, Any], dict[str, Any]]:
    assert run(["pull", *arguments, "--explain", "--json"]) == 0
    pulled = json.loads(capsys.readouterr().out)
    return pulled, pulled["explained"]


@pytest.mark.parametrize(
    ("report", "factor", "looks"),
    [
        ("account", 1, 0),
        ("balance", 1, 1),
        ("charges", 1.5, 5),
        ("subscriptions", 2, 2),
        ("transfers", 2, 4),
        ("discounts", 5, 12),
        ("upcoming_invoices", 1.5, 4),
        ("recipients", 1, 1),
    ],
)
def test_estimate_is_close_to_actual_cost_of_each_kind_of_report(
    report: str, factor: float, looks: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pulled, explained = _explain(capsys, report)
    estimated, actual = explained["estimated"], explained["actual"]
    assert explained["looks"] <= looks
    assert actual["rows"] == pulled["rows"]
    # The actual cost excludes GET /v1/account, which identifies the key, and the pages of the estimate.
    assert actual["requests"] <= pulled["requests"] - explained["looks"] <= actual["requests"] + 1
    assert actual["rows"] / factor <= estimated["rows"] <= actual["rows"] * factor
    assert estimated["rows_from"] <= estimated["rows"] <= estimated["rows_to"]
    assert actual["requests"] / 1.5 - 2 <= estimated["requests"] <= actual["requests"] * 1.5 + 2
    assert estimated["seconds"] > 0
    assert estimated["share_of_month"] <= estimated["requests"] / 10_000


def test_plan_is_printed_before_and_costs_after_the_pull(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["pull", "charges", "--explain", "--since", "2026-01-01"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("charges: ")
    assert len(printed.out.splitlines()) == 1
    how, cost, sample, heading, *figures = printed.err.splitlines()
    assert "/v1/charges" in how
    assert "windows of `created`" in how
    assert "since 2026-01-01" in how
    assert "allowance of 10,000 a month" in cost
    assert "estimated from" in sample
    assert heading.split() == ["charges", "estimated", "actual"]
    assert [line.rsplit(maxsplit=2)[0].strip() for line in figures] == [
        "windows",
        "rows",
        "requests",
        "seconds",
        "monthly allowance",
    ]


def test_limited_pull_is_estimated_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    _, explained = _explain(capsys, "charges", "--limit", "250")
    assert explained["looks"] == 1
    assert "newest first" in explained["how"]
    for figures in (explained["estimated"], explained["actual"]):
        assert (figures["windows"], figures["rows"], figures["requests"]) == (1, 250, 3)


def test_monthly_share_excludes_invoice_previews(capsys: pytest.CaptureFixture[str]) -> None:
    _, explained = _explain(capsys, "upcoming_invoices")
    actual = explained["actual"]
    assert actual["requests"] > actual["rows"] > 10
    assert actual["share_of_month"] * 10_000 < actual["requests"] - actual["rows"] + 1


def test_resumed_pull_estimates_only_remaining_requests(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.control("faults", fault="should_not_retry", path="/v1/charges", skip=8)
    assert run(["pull", "charges"]) == 1
    sandbox.control("faults", clear=True)
    capsys.readouterr()
    _, explained = _explain(capsys, "charges", "--resume")
    assert explained["estimated"]["rows"] > 1_000
    assert explained["estimated"]["requests"] < 18


def test_pull_without_explain_sends_no_extra_requests(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pull", "coupons", "--json"]) == 0
    pulled = json.loads(capsys.readouterr().out)
    assert pulled["explained"] is None
    assert pulled["requests"] <= 2
