"""One dataset through the API only: account, run, rows, checks and rollback."""

from __future__ import annotations

import io
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from counterfoil.app.app import App, open_app
from counterfoil.settings import Settings
from counterfoil.web.access.auth import Auth, Password
from counterfoil.web.access.hosts import Hosts
from counterfoil.web.access.sessions import Links
from counterfoil.web.access.throttle import Throttle
from counterfoil.web.server import PageAddress, make_app
from stripe_sandbox import Sandbox
from tests.api.program import Document, Program
from tests.web.conftest import FULL


@pytest.fixture(scope="module")
def working(
    tmp_path_factory: pytest.TempPathFactory, made_state: Path, sandbox: Sandbox, document: Document
) -> Iterator[Program]:
    """An API client whose dataset `Refunds` ran once. Without a service, the process of the page runs it."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(made_state, home / "state.db")
    with open_app(Settings(home=home, state_url=None, rate_global=100_000, rate_endpoint=100_000)) as app:
        program = Program(_page(app), document, app.tokens.create("tests").secret)
        program.send("POST", "/accounts", {"name": "Shop", "key": FULL, "api_base": sandbox.url}, 201)
        program.send("POST", "/datasets", {"name": "Refunds", "account": "Shop", "report": "refunds"}, 201)
        answer = program.ask("POST", "/datasets/Refunds/runs", status=202)
        assert answer["location"] == f"/api/v1/runs/{json.loads(answer.text)['id']}"
        yield program


def _page(app: App) -> object:
    auth = Auth(Password(None, app.sessions), app.sessions, Links(), Throttle())
    return make_app(
        app, PageAddress(door=auth, hosts=Hosts("127.0.0.1", None), port=8321, announce=lambda: None), pages=()
    )


def first(working: Program) -> dict[str, object]:
    """The first run."""
    found: dict[str, object] = working.get("/runs?dataset=Refunds")["items"][-1]
    return found


def test_run_reports_its_result(working: Program) -> None:
    run = working.get(f"/runs/{first(working)['id']}")
    assert (run["status"], run["whole"], run["rows_kept"]) == ("succeeded", True, True)
    assert run["rows"]["read"] == run["loads"][0]["rows"] > 0
    assert {check["result"] for check in run["checks"]} >= {"PASS"}
    assert working.get(f"/runs/{run['id']}/lines")["items"]
    assert working.problem("POST", f"/runs/{run['id']}/cancel") == (409, "run_error")


def test_exports_of_run_and_table_have_same_rows(working: Program) -> None:
    run = working.get(f"/runs/{first(working)['id']}")
    page = working.get("/datasets/Refunds/rows?limit=1000&column=id")
    assert page["total"] == run["rows"]["read"]
    ids = [row["id"] for row in page["rows"]]
    for path in (f"/runs/{run['id']}/rows", "/datasets/Refunds/rows"):
        lines = working.ask("GET", f"{path}.jsonl", status=200).text.splitlines()
        assert sorted(json.loads(line)["id"] for line in lines) == sorted(ids)
        parquet = pq.read_table(io.BytesIO(working.ask("GET", f"{path}.parquet", status=200).body))
        assert sorted(parquet.column("id").to_pylist()) == sorted(ids)
        csv = working.ask("GET", f"{path}.csv", status=200)
        assert len(csv.text.splitlines()) >= len(ids) + 1
        assert "refunds" in csv["content-disposition"]


def test_checks_run_in_background(working: Program) -> None:
    stored = working.get("/datasets/Refunds/checks")
    assert stored["proving"]["going_on"] is False
    answer = working.ask("POST", "/datasets/Refunds/checks", {"recount": 1, "payouts": 0, "seed": 1}, 202)
    for thread in threading.enumerate():
        if thread.name.startswith("prove "):
            thread.join(60)
    finished = working.get(answer["location"].removeprefix("/api/v1"))
    assert finished["proving"] == {"going_on": False, "seconds": None, "doing": None, "requests": None, "problem": None}
    assert "recount" in {check["family"] for check in finished["checks"]}
    assert working.get(f"/datasets/Refunds/checks?run={finished['run']}")["checks"] == finished["checks"]
    assert working.problem("GET", "/datasets/Refunds/checks?run=unknown") == (422, "invalid")


def test_rollback_to_earlier_run(working: Program) -> None:
    answer = working.ask("POST", f"/runs/{first(working)['id']}/revert", status=202)
    made = working.get(answer["location"].removeprefix("/api/v1"))
    assert made["status"] == "succeeded"
    assert str(first(working)["id"]) in made["reason"]
