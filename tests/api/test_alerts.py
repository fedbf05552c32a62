"""Alerts: addresses come in and never go out."""

from __future__ import annotations

from tests.api.program import Program

URL = "json://user:the-password@127.0.0.1:9/hook"


def test_an_alert_is_made_changed_and_removed_and_its_address_is_not_told(program: Program) -> None:
    answer = program.ask("POST", "/alerts", {"name": "Operations", "url": URL, "on": ["failed", "late"]}, 201)
    assert "the-password" not in answer.text
    made = program.get(answer["location"].removeprefix("/api/v1"))
    assert made["kinds"] == ["failed", "late"]
    assert program.send("PATCH", "/alerts/Operations", {"name": "Ops"})["kinds"] == ["failed", "late"]
    changed = program.send("PATCH", "/alerts/Ops", {"on": ["proof"], "url": URL})
    assert program.get("/alerts") == {"items": [changed]}
    assert "the-password" not in program.ask("GET", "/alerts").text
    assert program.send("DELETE", "/alerts/Ops")["id"] == made["id"]
    assert program.get("/alerts") == {"items": []}


def test_what_is_wrong_with_an_alert_is_told(program: Program) -> None:
    program.send("POST", "/alerts", {"name": "Ops", "url": URL}, 201)
    assert program.problem("POST", "/alerts", {"name": "Ops", "url": URL}) == (409, "name_taken")
    assert program.problem("POST", "/alerts", {"name": "B", "url": "no address"}) == (422, "invalid")
    assert program.problem("POST", "/alerts", {"name": "B", "url": URL, "on": ["moods"]}) == (422, "invalid")
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/test"), ("DELETE", "")):
        body = {} if method == "PATCH" else None
        assert program.problem(method, f"/alerts/Nobody{path}", body) == (404, "not_found")


def test_an_alert_that_does_not_arrive_says_so(program: Program) -> None:
    program.send("POST", "/alerts", {"name": "Ops", "url": URL}, 201)
    answer = program.ask("POST", "/alerts/Ops/test", status=503)
    assert "Nothing arrived" in answer.text
    assert "the-password" not in answer.text
