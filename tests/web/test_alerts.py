"""The page of alerts: made, changed, tried and removed; an address that was typed is never shown again."""

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


def test_without_any_it_says_what_they_are_for(owner: Browser) -> None:
    text = owner.get("/alerts").text
    assert "Nobody is told of anything yet" in text
    assert 'href="/alerts/new"' in text


def test_one_is_made_listed_changed_tried_and_removed(app: App, owner: Browser, service: Hook) -> None:
    status, _ = sent(owner, "/alerts", ("name", "Ops"), ("url", service.url), ("kind", "failed"), ("kind", "late"))
    assert status == 303
    (alert,) = app.alerts.list()
    assert alert.kinds == ("failed", "late")
    listed = owner.get("/alerts").text
    assert f"json://me:****@127.0.0.1:{service.port}/…" in listed
    assert "Failures, Lateness" in listed
    assert sent(owner, f"/alerts/{alert.id}", ("name", "On call"), ("url", ""), ("kind", "proof"))[0] == 303
    (alert,) = app.alerts.list()
    assert (alert.name, alert.kinds) == ("On call", ("proof",))
    answer = owner.post(f"/alerts/{alert.id}/test", {})
    assert "A few words arrived" in owner.follow(answer).text
    assert [title for title, _ in service.came] == ["Counterfoil can reach you"]
    service.status = 500
    status, text = sent(owner, f"/alerts/{alert.id}/test")
    assert (status, "Nothing arrived at" in text) == (409, True)
    assert sent(owner, f"/alerts/{alert.id}/remove")[0] == 303
    assert app.alerts.list() == ()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ((("name", "Ops"), ("url", "s3cret://hidden-path"), ("kind", "failed")), "That is no address"),
        ((("name", ""), ("url", "json://localhost"), ("kind", "failed")), "the name of an alert"),
        ((("name", "Ops"), ("url", "json://localhost")), "told of nothing"),
    ],
)
def test_what_is_wrong_is_told_and_what_was_typed_stays(
    app: App, owner: Browser, fields: tuple[tuple[str, str], ...], told: str
) -> None:
    status, text = sent(owner, "/alerts", *fields)
    assert (status, told in text) == (400, True)
    assert f'value="{fields[0][1]}"' in text
    assert "hidden-path" not in text
    assert app.alerts.list() == ()


def test_the_form_of_one_does_not_hold_its_address(app: App, owner: Browser, service: Hook) -> None:
    alert = app.alerts.add("Ops", service.url)
    text = owner.get(f"/alerts/{alert.id}").text
    assert "s3cret" not in text
    assert "hidden-path" not in text
    assert 'value="Ops"' in text
