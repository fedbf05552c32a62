"""Runs in the API: filters, pages and logs; and the configuration file."""

from __future__ import annotations

from counterfoil.app.app import App
from counterfoil.errors import DestinationRejected
from counterfoil.state.run import Counts
from tests.api.program import Program
from tests.web.conftest import StandingClock
from tests.web.tabled import began, dataset, failed, ran


def test_runs_are_paged_and_filtered(program: Program, app: App, clock: StandingClock) -> None:
    charges, refunds = dataset(app), dataset(app, "Refunds")
    made = [ran(app, charges, clock, Counts(read=n)).id for n in range(5)]
    made.append(failed(app, charges, DestinationRejected("read-only", hint="Choose another.")))
    clock.advance(seconds=1)
    made.append(ran(app, refunds, clock, Counts(read=9)).id)
    found, cursor = [], ""
    while cursor is not None:
        page = program.get(f"/runs?limit=3{cursor and f'&cursor={cursor}'}")
        found += [run["id"] for run in page["items"]]
        cursor = page["next"]
    assert sorted(found) == sorted(made)
    assert found[0] == made[-1]
    assert len(program.get("/runs?dataset=Charges")["items"]) == 6
    (one,) = program.get("/runs?dataset=Charges&status=failed&status=canceled")["items"]
    assert one["error"]["message"] == "read-only"
    assert program.get(f"/runs/{one['id']}")["attempts"][0]["error"]["hint"] == "Choose another."


def test_invalid_parameters_are_rejected(program: Program) -> None:
    for query in ("cursor=unknown", "status=unknown", "limit=0", "limit=501"):
        assert program.problem("GET", f"/runs?{query}") == (422, "invalid"), query


def test_log_lines_are_paged(program: Program, app: App) -> None:
    run, _ = began(app, dataset(app))
    for number in range(3):
        app.records.runs.log(run, "info", f"Line {number}", rows=number)
    first = program.get(f"/runs/{run}/lines")
    assert [line["message"] for line in first["items"][-3:]] == ["Line 0", "Line 1", "Line 2"]
    app.records.runs.log(run, "warning", "One more")
    (last,) = program.get(f"/runs/{run}/lines?after={first['next']}")["items"]
    assert (last["level"], last["message"]) == ("warning", "One more")
    assert program.get(f"/runs/{run}/lines?after={last['number']}")["next"] == last["number"]


def test_unknown_run_is_not_found_and_run_without_rows_is_rejected(program: Program, app: App) -> None:
    run, _ = began(app, dataset(app))
    assert program.problem("GET", f"/runs/{run}/rows.csv") == (409, "run_error")
    assert program.problem("POST", f"/runs/{run}/revert") == (409, "run_error")
    for method, path in (
        ("GET", ""),
        ("GET", "/lines"),
        ("GET", "/rows.csv"),
        ("POST", "/cancel"),
        ("POST", "/revert"),
    ):
        assert program.problem(method, f"/runs/unknown{path}") == (404, "not_found")


def test_checks_of_dataset_without_run_are_rejected(program: Program, app: App) -> None:
    made = dataset(app)
    for method in ("GET", "POST"):
        assert program.problem(method, f"/datasets/{made.id}/checks") == (409, "run_error")
    assert program.problem("POST", f"/datasets/{made.id}/checks", {"recount": 0}) == (422, "invalid")


def test_exported_configuration_is_compared_and_applied(program: Program, app: App) -> None:
    dataset(app)
    exported = program.ask("GET", "/config", status=200)
    assert exported["content-type"].startswith("application/toml")
    same = program.send("PUT", "/config", exported.body)
    assert {change["action"] for change in same["changes"]} == {"none"}
    changed = exported.text.replace("[datasets.Charges]", '[datasets.Charges]\ndescription = "Books"').encode()
    dry = program.send("PUT", "/config?diff=true", changed)
    assert dry["dry_run"] is True
    assert [one["after"] for one in dry["changes"] if one["action"] == "change"] == [{"description": "Books"}]
    assert app.datasets.get("Charges").description == ""
    program.send("PUT", "/config", changed)
    assert app.datasets.get("Charges").description == "Books"


def test_invalid_configuration_changes_nothing(program: Program, app: App) -> None:
    for text in (b"[", b"[unknown]", b"[datasets.A]\nreport = 'charges'"):
        assert program.problem("PUT", "/config", text) == (422, "invalid"), text
    assert program.problem("PUT", "/config", b"\xff") == (400, "malformed")
    assert app.datasets.list() == ()
