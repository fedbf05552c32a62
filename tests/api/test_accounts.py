"""Accounts and reports in the API; responses never contain a key."""

from __future__ import annotations

import json
from typing import Any

from counterfoil.app.app import App
from stripe_sandbox import Sandbox
from tests.api.program import Program
from tests.web.conftest import FULL, LIVE, RESTRICTED
from tests.web.tabled import account, dataset

REJECTED_KEY = "sk_test_" + "51Rejected" + "4242"


def test_account_is_created_changed_and_removed(program: Program, app: App, sandbox: Sandbox) -> None:
    answer = program.ask("POST", "/accounts", {"name": "Shop", "key": RESTRICTED, "api_base": sandbox.url}, 201)
    made = program.get("/accounts/Shop")
    assert answer["location"] == f"/api/v1/accounts/{made['id']}"
    assert {one["report"] for one in made["reports"] if one["readable"]} >= {"charges", "customers"}
    assert program.send("PATCH", f"/accounts/{made['id']}", {"name": "Store"})["name"] == "Store"
    assert program.send("POST", "/accounts/Store/check")["status"] == "ok"
    replaced = program.send("PUT", "/accounts/Store/key", {"key": FULL})
    assert all(one["readable"] for one in replaced["reports"])
    assert app.records.accounts.key("Store") == FULL
    assert program.send("DELETE", "/accounts/Store") == {"removed": "Store", "datasets": []}
    assert program.get("/accounts") == {"items": []}


def test_key_without_name_is_saved_once_with_name_from_stripe(program: Program, sandbox: Sandbox) -> None:
    body = {"key": LIVE, "api_base": sandbox.url}
    first = program.send("POST", "/accounts", body, 201)
    assert program.send("POST", "/accounts", body, 200)["id"] == first["id"]
    assert first["display_name"] in first["name"]


INVALID: list[tuple[Any, int, str]] = [
    ({"name": "Shop"}, 422, "invalid"),
    ({"key": FULL, "password": "x"}, 422, "invalid"),
    ({"key": 5}, 422, "invalid"),
    ({"name": "Other", "key": "pk_test_" + "51Public4242"}, 422, "invalid"),
    ({"name": "Other", "key": REJECTED_KEY}, 422, "key_rejected"),
    ({"name": "Shop", "key": FULL}, 409, "name_taken"),
    ([], 422, "invalid"),
    (b"{", 400, "malformed"),
]


def test_invalid_account_is_rejected_without_repeating_key(program: Program, app: App, sandbox: Sandbox) -> None:
    sandbox.control("keys", key=REJECTED_KEY, refused=True)
    account(app)
    for body, status, code in INVALID:
        sent = {"api_base": sandbox.url, **body} if isinstance(body, dict) else body
        answer = program.ask("POST", "/accounts", sent, status)
        assert json.loads(answer.text)["code"] == code
        assert not any(secret in answer.text for secret in ("51Rejected", "51Public", FULL))
    assert len(app.accounts.list()) == 1


def test_account_with_datasets_is_removed_only_with_them(program: Program, app: App) -> None:
    dataset(app)
    assert program.problem("DELETE", "/accounts/Shop") == (409, "in_use")
    assert program.send("DELETE", "/accounts/Shop?with_datasets=true")["datasets"] == ["Charges"]


def test_responses_contain_no_key(program: Program, app: App) -> None:
    dataset(app)
    for path in ("/accounts", "/accounts/Shop", "/datasets", "/config", "/destinations"):
        assert "x" * 12 not in program.ask("GET", path, status=200).text


def test_unknown_account_is_not_found(program: Program) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("POST", "/check", None),
        ("PUT", "/key", {"key": FULL}),
        ("DELETE", "", None),
    ):
        assert program.problem(method, f"/accounts/Unknown{path}", body) == (404, "not_found")


def test_reports_match_catalogue(program: Program) -> None:
    found = program.get("/reports")["items"]
    charges = program.get("/reports/charges")
    assert charges in found
    assert {"name": "id", "type": "VARCHAR"}.items() <= charges["columns"][0].items()
    assert program.problem("GET", "/reports/chargs") == (404, "not_found")
