"""Alerts in the API; responses never contain their URLs."""

from __future__ import annotations

import json

from tests.api.program import Program

URL = "json://user:the-password@127.0.0.1:9/hook"


def test_alert_is_created_changed_and_removed_without_showing_its_url(program: Program) -> None:
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


def test_invalid_alert_is_rejected(program: Program) -> None:
    program.send("POST", "/alerts", {"name": "Ops", "url": URL}, 201)
    assert program.problem("POST", "/alerts", {"name": "Ops", "url": URL}) == (409, "name_taken")
    assert program.problem("POST", "/alerts", {"name": "B", "url": "invalid"}) == (422, "invalid")
    assert program.problem("POST", "/alerts", {"name": "B", "url": URL, "on": ["unknown"]}) == (422, "invalid")
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/test"), ("DELETE", "")):
        body = {} if method == "PATCH" else None
        assert program.problem(method, f"/alerts/Unknown{path}", body) == (404, "not_found")


def test_failed_test_message_is_reported(program: Program) -> None:
    program.send("POST", "/alerts", {"name": "Ops", "url": URL}, 201)
    answer = program.ask("POST", "/alerts/Ops/test", status=503)
    problem = json.loads(answer.text)
    assert problem["code"] == "unavailable"
    assert "127.0.0.1:9" in problem["detail"]
    assert "the-password" not in answer.text
