"""The page of alerts: create, edit, test and remove. The URL of an alert is never shown again."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from counterfoil.app.app import App
from tests.app.hook import Hook, hook
from tests.web.browser import FOLLOWED, Browser
from tests.web.conftest import Site


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


@pytest.fixture
def service() -> Iterator[Hook]:
    with hook() as made:
        yield made


def sent(owner: Browser, path: str, *fields: tuple[str, str]) -> tuple[int, str]:
    answer = owner.ask("POST", path, headers=FOLLOWED, body=urlencode(fields).encode())
    return answer.status, answer.text


def test_empty_page_offers_new_alert(owner: Browser) -> None:
    text = owner.get("/alerts").text
    assert "No alerts yet" in text
    assert 'href="/alerts/new"' in text


def test_alert_is_created_listed_edited_tested_and_removed(app: App, owner: Browser, service: Hook) -> None:
    status, _ = sent(owner, "/alerts", ("name", "Ops"), ("url", service.url), ("kind", "failed"), ("kind", "late"))
    assert status == 303
    (alert,) = app.alerts.list()
    assert alert.kinds == ("failed", "late")
    listed = owner.get("/alerts").text
    assert f"json://me:****@127.0.0.1:{service.port}/…" in listed
    assert "Failures, Late updates" in listed
    assert sent(owner, f"/alerts/{alert.id}", ("name", "On call"), ("url", ""), ("kind", "proof"))[0] == 303
    (alert,) = app.alerts.list()
    assert (alert.name, alert.kinds) == ("On call", ("proof",))
    answer = owner.post(f"/alerts/{alert.id}/test", {})
    assert "Test message sent" in owner.follow(answer).text
    assert [title for title, _ in service.came] == ["Counterfoil test message"]
    service.status = 500
    status, text = sent(owner, f"/alerts/{alert.id}/test")
    assert (status, "not delivered" in text) == (409, True)
    assert sent(owner, f"/alerts/{alert.id}/remove")[0] == 303
    assert app.alerts.list() == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((("name", "Ops"), ("url", "s3cret://hidden-path"), ("kind", "failed")), "Invalid alert URL"),
        ((("name", ""), ("url", "json://localhost"), ("kind", "failed")), "name of an alert"),
        ((("name", "Ops"), ("url", "json://localhost")), "no kind of event"),
    ],
)
def test_invalid_alert_shows_error_and_keeps_input(
    app: App, owner: Browser, fields: tuple[tuple[str, str], ...], message: str
) -> None:
    status, text = sent(owner, "/alerts", *fields)
    assert (status, message in text) == (400, True)
    assert f'value="{fields[0][1]}"' in text
    assert "hidden-path" not in text
    assert app.alerts.list() == ()


def test_edit_form_omits_alert_url(app: App, owner: Browser, service: Hook) -> None:
    alert = app.alerts.add("Ops", service.url)
    text = owner.get(f"/alerts/{alert.id}").text
    assert "s3cret" not in text
    assert "hidden-path" not in text
    assert 'value="Ops"' in text
