"""Datasets in the API: created, changed and removed with the options of the configuration file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from counterfoil.app.app import App
from counterfoil.app.config.file import _DATASET as OPTIONS
from counterfoil.web.api.bodies import DatasetBody, DatasetChanges
from stripe_sandbox import Sandbox
from tests.api.program import Program
from tests.web.conftest import FULL
from tests.web.tabled import account, began, dataset, fill

ALL: dict[str, Any] = {
    "description": "For the books",
    "options": {"customer": "cus_1"},
    "promote": ["order_id"],
    "leave_out": ["receipt_url"],
    "hash": ["receipt_email"],
    "method": "merge",
    "deleted": "drop",
    "history": True,
    "reread_days": 3,
    "to": "duckdb:///books.duckdb",
    "table": "payments",
    "schedule": "every 2 hours",
    "zone": "Europe/Berlin",
    "retry": 5,
    "retry_minutes": 7,
    "retry_manual": True,
    "deadline_minutes": 60,
    "checks": "cheap",
    "deep_checks": "weekly on sun at 03:00",
    "hold": True,
}


@pytest.fixture
def shop(app: App) -> str:
    return account(app).name


def test_fields_match_options_of_configuration_file() -> None:
    assert set(DatasetBody.model_fields) == {"name", *OPTIONS}
    assert set(DatasetChanges.model_fields) == {"name", *OPTIONS} - {"report"}


def test_dataset_is_created_with_every_option(program: Program, app: App, shop: str) -> None:
    body = {"name": "Payments", "account": shop, "report": "charges", **ALL}
    answer = program.ask("POST", "/datasets", body, 201)
    made = json.loads(answer.text)
    assert answer["location"] == f"/api/v1/datasets/{made['id']}"
    assert made["outlook"]["runs_a_month"] > 300
    exported = app.config.export()
    for value in ("order_id", "receipt_email", "every 2 hours", "Europe/Berlin", "retry = 5", 'deleted = "drop"'):
        assert value in exported
    shown = program.get("/datasets/Payments")
    assert shown["account"]["name"] == shop
    assert shown in [{**one, "outlook": shown["outlook"]} for one in program.get("/datasets")["items"]]
    assert [one["name"] for one in program.get("/datasets/Payments/columns")["items"] if one["hashed"]] == [
        "receipt_email"
    ]


def test_omitted_and_null_options_have_defaults(program: Program, shop: str) -> None:
    plain = program.send("POST", "/datasets", {"name": "A", "account": shop, "report": "charges", "table": "a"}, 201)
    nulls = dict.fromkeys(set(ALL) - {"table"})
    other = program.send(
        "POST", "/datasets", {"name": "B", "account": shop, "report": "charges", "table": "b", **nulls}, 201
    )
    fields = ("choice", "method", "merge", "schedule", "zone", "retry", "proof", "deadline_minutes", "description")
    assert {name: plain[name] for name in fields} == {name: other[name] for name in fields}


def test_patch_keeps_omitted_options_and_null_restores_defaults(program: Program, shop: str) -> None:
    program.send("POST", "/datasets", {"name": "P", "account": shop, "report": "charges", **ALL}, 201)
    changed = program.send("PATCH", "/datasets/P", {"name": "Q", "retry": False, "options": None, "schedule": None})
    assert (changed["name"], changed["schedule"], changed["zone"]) == ("Q", "manual", "Europe/Berlin")
    assert changed["retry"] == {"on": False, "attempts": 5, "every_minutes": 7, "manual": True}
    assert (changed["choice"]["options"], changed["choice"]["hashed"]) == ({}, ["receipt_email"])
    assert changed["targets"][0]["table"] == "payments"
    default = program.send("PATCH", "/datasets/Q", dict.fromkeys(ALL))
    assert default["choice"]["hashed"] == []
    assert default["retry"] == {"on": True, "attempts": 3, "every_minutes": 15, "manual": False}
    assert default["merge"] == {"deleted": "keep", "history": False, "reread_days": 7}
    assert (default["proof"]["hold"], default["deadline_minutes"], default["description"]) == (False, None, "")


def test_dry_run_returns_result_and_stores_nothing(program: Program, app: App, shop: str) -> None:
    body = {"name": "P", "account": shop, "report": "charges"}
    answer = program.ask("POST", "/datasets?dry_run=true", body, 200)
    assert json.loads(answer.text)["dry_run"] is True
    assert answer.get("location") is None
    assert app.datasets.list() == ()
    program.send("POST", "/datasets", body, 201)
    assert program.send("PATCH", "/datasets/P?dry_run=true", {"name": "Q"})["name"] == "Q"
    assert program.get("/datasets/P")["name"] == "P"


INVALID: list[tuple[dict[str, Any], int, str, str]] = [
    ({"account": "Unknown"}, 422, "invalid", "account 'Unknown'"),
    ({"report": "chargs"}, 422, "invalid", "charges"),
    ({"name": "Taken"}, 409, "name_taken", "dataset 'Taken'"),
    ({"retry": "5"}, 422, "invalid", "body.retry"),
    ({"retry": 0.5}, 422, "invalid", "body.retry"),
    ({"unknown": []}, 422, "invalid", "body.unknown"),
    ({"schedule": "sometimes"}, 422, "invalid", "'sometimes'"),
    ({"since": "yesterday"}, 422, "invalid", "since"),
    ({"method": "partition"}, 422, "invalid", "period"),
    ({"to": "ftp:///x"}, 422, "invalid", "ftp"),
    ({"leave_out": ["id"]}, 422, "invalid", "id"),
]


def test_invalid_dataset_is_rejected_and_not_stored(program: Program, app: App) -> None:
    dataset(app, "Taken")
    for changes, status, code, value in INVALID:
        body = {"name": "P", "account": "Shop", "report": "charges", **changes}
        answer = program.ask("POST", "/datasets", body, status)
        assert json.loads(answer.text)["code"] == code
        assert value in answer.text
        assert "--" not in answer.text
    assert len(app.datasets.list()) == 1


def test_dataset_is_paused_resumed_reloaded_and_removed(program: Program, app: App) -> None:
    made, other = dataset(app), dataset(app, "Refunds")
    fill(app, made, 10)
    path = f"/datasets/{made.id}"
    assert program.send("POST", f"{path}/pause")["pause"]["reason"] == "Paused through the API."
    assert program.send("POST", f"{path}/resume")["pause"] is None
    assert program.send("POST", f"{path}/pause", {"reason": "Holidays"})["pause"]["reason"] == "Holidays"
    assert program.send("POST", f"{path}/reload")["id"] == made.id
    run, _ = began(app, made)
    assert program.problem("DELETE", path) == (409, "run_error")
    app.records.runs.finish(run, "canceled")
    assert program.problem("DELETE", f"{path}?drop_table=true") == (409, "destination_rejected")  # of another program
    assert program.send("DELETE", path)["id"] == made.id
    assert program.send("DELETE", f"/datasets/{other.id}?drop_table=true")["name"] == "Refunds"
    assert program.get("/destinations") == {"items": []}


def test_preview_returns_rows_from_stripe(program: Program, app: App, sandbox: Sandbox) -> None:
    app.accounts.add("Sandbox", FULL, api_base=sandbox.url)
    body = {"account": "Sandbox", "report": "charges", "rows": 3, "leave_out": ["receipt_url"]}
    found = program.send("POST", "/preview", body)
    assert len(found["rows"]) == 3
    assert "receipt_url" not in found["rows"][0]
    made = program.send("POST", "/datasets", {"name": "P", "account": "Sandbox", "report": "charges"}, 201)
    again = program.get(f"/datasets/{made['id']}/preview?rows=3")
    assert [row["id"] for row in again["rows"]] == [row["id"] for row in found["rows"]]
    assert program.problem("GET", f"/datasets/{made['id']}/preview?rows=101") == (422, "invalid")


def test_every_route_of_unknown_dataset_is_not_found(program: Program, document: Any) -> None:
    for path, methods in document["paths"].items():
        if path.startswith("/api/v1/datasets/{dataset}"):
            unknown = path.removeprefix("/api/v1").replace("{dataset}", "Unknown")
            unknown = unknown.replace("{form}", "csv").replace("{column}", "id")
            for method in methods:
                body = {"name": "x"} if method == "patch" else None
                assert program.problem(method.upper(), unknown, body) == (404, "not_found"), (method, path)


def test_dataset_can_have_several_destinations(program: Program, app: App, shop: str) -> None:
    both = ["duckdb:///a.duckdb", "duckdb:///b.duckdb"]
    made = program.send("POST", "/datasets", {"name": "P", "account": shop, "report": "charges", "to": both}, 201)
    assert [one["url"] for one in made["targets"]] == both
    assert program.get("/datasets/P")["behind"] == []
    assert program.problem("POST", "/datasets/P/reload", {"to": "duckdb:///c.duckdb"}) == (409, "run_error")
    changed = program.send("PATCH", "/datasets/P", {"to": both[1]})
    assert [one["url"] for one in changed["targets"]] == both[1:]
    assert program.send("POST", "/datasets/P/reload", {})["name"] == "P"
