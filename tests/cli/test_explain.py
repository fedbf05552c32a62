"""`pull --explain`: what a pull will take before it runs, and beside it what it took."""

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


def _explained(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], dict[str, Any]]:
    assert run(["pull", *words, "--explain", "--json"]) == 0
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
def test_a_report_of_each_shape_is_estimated_and_then_read(
    report: str, factor: float, looks: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pulled, told = _explained(capsys, report)
    estimated, actual = told["estimated"], told["actual"]
    assert told["looks"] <= looks
    assert actual["rows"] == pulled["rows"]
    # GET /v1/account, which tells whose key it is, and what was looked at are beside the reading.
    assert actual["requests"] <= pulled["requests"] - told["looks"] <= actual["requests"] + 1
    assert actual["rows"] / factor <= estimated["rows"] <= actual["rows"] * factor
    assert estimated["rows_from"] <= estimated["rows"] <= estimated["rows_to"]
    assert actual["requests"] / 1.5 - 2 <= estimated["requests"] <= actual["requests"] * 1.5 + 2
    assert estimated["seconds"] > 0
    assert estimated["share_of_month"] <= estimated["requests"] / 10_000


def test_the_plan_is_told_before_and_the_figures_stand_side_by_side_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["pull", "charges", "--explain", "--since", "2026-01-01"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("charges: ")
    assert len(told.out.splitlines()) == 1
    how, expected, looked, heading, *figures = told.err.splitlines()
    assert "/v1/charges" in how
    assert "windows of `created` side by side" in how
    assert "since 2026-01-01" in how
    assert "of the 10,000 reads" in expected
    assert "looked at" in looked
    assert heading.split() == ["charges", "estimated", "actual"]
    assert [line.rsplit(maxsplit=2)[0].strip() for line in figures] == [
        "windows",
        "rows",
        "requests",
        "seconds",
        "of a month's reads",
    ]


def test_a_limit_is_one_chain_whose_length_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    _, told = _explained(capsys, "charges", "--limit", "250")
    assert told["looks"] == 1
    assert "one after the other, newest first" in told["how"]
    for figures in (told["estimated"], told["actual"]):
        assert (figures["windows"], figures["rows"], figures["requests"]) == (1, 250, 3)


def test_the_share_of_the_month_counts_reads_and_no_previews(capsys: pytest.CaptureFixture[str]) -> None:
    _, told = _explained(capsys, "upcoming_invoices")
    actual = told["actual"]
    assert actual["requests"] > actual["rows"] > 10
    assert actual["share_of_month"] * 10_000 < actual["requests"] - actual["rows"] + 1


def test_what_a_killed_pull_left_is_not_estimated_again(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.control("faults", fault="should_not_retry", path="/v1/charges", skip=8)
    assert run(["pull", "charges"]) == 1
    sandbox.control("faults", clear=True)
    capsys.readouterr()
    _, told = _explained(capsys, "charges", "--resume")
    assert told["estimated"]["rows"] > 1_000
    assert told["estimated"]["requests"] < 18


def test_without_the_word_nothing_is_looked_at(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pull", "coupons", "--json"]) == 0
    pulled = json.loads(capsys.readouterr().out)
    assert pulled["explained"] is None
    assert pulled["requests"] <= 2
