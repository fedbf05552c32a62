"""A destination that answers no questions, here Domo: what can be told of it is told, and the rest is said so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stripe_sandbox import Sandbox
from tests import domo
from tests.cli.center import Center
from tests.domo_api import SECRET, DomoServer


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scale=0.05) as serving:
        yield serving


@pytest.fixture
def center(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Center]:
    monkeypatch.setenv("DOMO_CLIENT_SECRET", SECRET)
    made = Center(tmp_path / "home", sandbox.url)
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[DomoServer]:
    with domo.running() as server:
        yield server


def _create(center: Center, *to: str) -> None:
    urls = (word for url in to for word in ("--to", url))
    made = center.do("datasets", "create", "Refunds", "--account", "acme", "--report", "refunds", *urls)
    assert made.code == 0, made.err


def test_its_runs_are_proved_as_far_as_the_archive_and_the_count_tell(center: Center, server: DomoServer) -> None:
    _create(center, server.url())
    assert center.do("run", "Refunds").code == 0
    rows = len(server.rows("refunds"))
    told = center.do("prove", "Refunds", "--json")
    assert told.code == 0, told.err
    checks = {check["name"]: check for check in told.json[0]["checks"]}
    assert {name for name, check in checks.items() if check["result"] == "PASS"} >= {"windows", "ids", "table"}
    assert checks["table"]["figures"] == {"rows": rows, "expected": rows}
    assert "FAIL" not in {check["result"] for check in checks.values()}
    server.dataset("refunds").rows.pop()
    assert center.do("prove", "Refunds", "--json").json[0]["result"] == "FAIL"


def test_its_rows_are_not_shown_and_the_error_says_what_to_do(
    center: Center, server: DomoServer, tmp_path: Path
) -> None:
    _create(center, server.url())
    assert center.do("run", "Refunds").code == 0
    refused = center.do("datasets", "export", "Refunds", str(tmp_path / "x.csv"))
    assert refused.code == 1
    assert "answers no questions" in refused.err
    assert "second destination" in refused.err
    assert not (tmp_path / "x.csv").exists()
    assert center.app.tables.places() == {}


def test_beside_one_that_answers_that_one_is_asked(center: Center, server: DomoServer, tmp_path: Path) -> None:
    _create(center, server.url(), "duckdb:///acme.duckdb")
    assert center.do("run", "Refunds").code == 0
    assert center.do("datasets", "export", "Refunds", str(tmp_path / "x.csv")).code == 0
    assert center.app.tables.count("Refunds") == len(server.rows("refunds")) > 0
    assert list(center.app.tables.places()) == ["duckdb:///acme.duckdb"]
