"""Accounts and reports: keys come in and never go out."""

from __future__ import annotations

from typing import Any

from counterfoil.app.app import App
from stripe_sandbox import Sandbox
from tests.api.program import Program
from tests.web.conftest import FULL, LIVE, RESTRICTED
from tests.web.tabled import account, dataset

WRONG = "sk_test_" + "51Refused" + "4242"


def test_an_account_is_made_looked_at_renamed_checked_given_another_key_and_removed(
    program: Program, app: App, sandbox: Sandbox
) -> None:
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


def test_a_key_without_a_name_is_saved_once_as_stripe_calls_it(program: Program, sandbox: Sandbox) -> None:
    body = {"key": LIVE, "api_base": sandbox.url}
    first = program.send("POST", "/accounts", body, 201)
    assert program.send("POST", "/accounts", body, 200)["id"] == first["id"]
    assert first["display_name"] in first["name"]


REFUSED: list[tuple[Any, int, str]] = [
    ({"name": "Shop"}, 422, "invalid"),
    ({"key": FULL, "password": "x"}, 422, "invalid"),
    ({"key": 5}, 422, "invalid"),
    ({"name": "Other", "key": "pk_test_" + "51Public4242"}, 422, "invalid"),
    ({"name": "Other", "key": WRONG}, 422, "key_rejected"),
    ({"name": "Shop", "key": FULL}, 409, "name_taken"),
    ([], 422, "invalid"),
    (b"{", 400, "malformed"),
]


def test_what_is_wrong_with_a_new_account_is_told_without_its_key(program: Program, app: App, sandbox: Sandbox) -> None:
    sandbox.control("keys", key=WRONG, refused=True)
    account(app)
    for body, status, code in REFUSED:
        sent = {"api_base": sandbox.url, **body} if isinstance(body, dict) else body
        answer = program.ask("POST", "/accounts", sent, status)
        assert f'"code": "{code}"' in answer.text
        assert not any(secret in answer.text for secret in ("51Refused", "51Public", FULL))
    assert len(app.accounts.list()) == 1


def test_an_account_that_datasets_read_stays_unless_they_are_to_go_too(program: Program, app: App) -> None:
    dataset(app)
    assert program.problem("DELETE", "/accounts/Shop") == (409, "in_use")
    assert program.send("DELETE", "/accounts/Shop?with_datasets=true")["datasets"] == ["Charges"]


def test_no_answer_holds_a_key(program: Program, app: App) -> None:
    dataset(app)
    for path in ("/accounts", "/accounts/Shop", "/datasets", "/config", "/destinations"):
        assert "x" * 12 not in program.ask("GET", path, status=200).text


def test_an_account_that_is_not_there_is_told(program: Program) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("POST", "/check", None),
        ("PUT", "/key", {"key": FULL}),
        ("DELETE", "", None),
    ):
        assert program.problem(method, f"/accounts/Nobody{path}", body) == (404, "not_found")


def test_reports_are_those_of_the_catalogue(program: Program) -> None:
    found = program.get("/reports")["items"]
    charges = program.get("/reports/charges")
    assert charges in found
    assert {"name": "id", "type": "VARCHAR"}.items() <= charges["columns"][0].items()
    assert program.problem("GET", "/reports/chargs") == (404, "not_found")
