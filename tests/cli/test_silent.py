"""A destination without queries, here Domo: checks use the archive, and exports need a second destination."""

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
    opened = Center(tmp_path / "home", sandbox.url)
    yield opened
    opened.close()


@pytest.fixture
def server() -> Iterator[DomoServer]:
    with domo.running() as server:
        yield server


def _create(center: Center, *to: str) -> None:
    urls = (argument for url in to for argument in ("--to", url))
    created = center.do("datasets", "create", "Refunds", "--account", "acme", "--report", "refunds", *urls)
    assert created.code == 0, created.err


def test_checks_use_archive_and_row_count(center: Center, server: DomoServer) -> None:
    _create(center, server.url())
    assert center.do("run", "Refunds").code == 0
    rows = len(server.rows("refunds"))
    done = center.do("prove", "Refunds", "--json")
    assert done.code == 0, done.err
    checks = {check["name"]: check for check in done.json[0]["checks"]}
    assert {name for name, check in checks.items() if check["result"] == "PASS"} >= {"windows", "ids", "table"}
    assert checks["table"]["figures"] == {"rows": rows, "expected": rows}
    assert "FAIL" not in {check["result"] for check in checks.values()}
    server.dataset("refunds").rows.pop()
    assert center.do("prove", "Refunds", "--json").json[0]["result"] == "FAIL"


def test_export_is_rejected_with_hint(center: Center, server: DomoServer, tmp_path: Path) -> None:
    _create(center, server.url())
    assert center.do("run", "Refunds").code == 0
    rejected = center.do("datasets", "export", "Refunds", str(tmp_path / "x.csv"))
    assert rejected.code == 1
    assert "does not support queries" in rejected.err
    assert "second destination" in rejected.err
    assert not (tmp_path / "x.csv").exists()
    assert center.app.tables.places() == {}


def test_second_destination_answers_queries(center: Center, server: DomoServer, tmp_path: Path) -> None:
    _create(center, server.url(), "duckdb:///acme.duckdb")
    assert center.do("run", "Refunds").code == 0
    assert center.do("datasets", "export", "Refunds", str(tmp_path / "x.csv")).code == 0
    assert center.app.tables.count("Refunds") == len(server.rows("refunds")) > 0
    assert list(center.app.tables.places()) == ["duckdb:///acme.duckdb"]
