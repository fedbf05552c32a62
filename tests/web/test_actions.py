"""Actions on several datasets at once."""

from __future__ import annotations

import re
from html import unescape

import pytest

from counterfoil.app.app import App
from stripe_sandbox import Sandbox
from tests.web.browser import Answer, Browser
from tests.web.conftest import FULL, Site
from tests.web.forms import codes, send

PLACE = "/datasets/actions"


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


@pytest.fixture
def three(app: App, sandbox: Sandbox) -> list[str]:
    """Ids of Coupons, Plans, and Events, which runs after Coupons."""
    app.accounts.add("Shop", FULL, api_base=sandbox.url)
    made = [app.datasets.create(one.title(), account="Shop", report=one).dataset.id for one in ("coupons", "plans")]
    return [*made, app.datasets.create("Events", account="Shop", report="events", after=made[0]).dataset.id]


def act(owner: Browser, action: str, *datasets: str, **more: str) -> Answer:
    return send(owner, PLACE, [("action", action), *(("dataset", one) for one in datasets), *more.items()])


def test_action_applies_to_selected_datasets_and_returns_to_list(owner: Browser, app: App, three: list[str]) -> None:
    answer = act(owner, "pause", *three[:2], next="/?status=ok")
    assert answer["location"] == "/?status=ok"
    assert [app.datasets.get(one).pause is not None for one in three] == [True, True, False]
    act(owner, "resume", *three[:2])
    assert [app.datasets.get(one).pause for one in three] == [None, None, None]


def test_run_action_creates_manual_runs(owner: Browser, app: App, three: list[str]) -> None:
    assert act(owner, "run", three[1]).status == 303
    assert [(run.dataset, run.trigger) for run in app.runs.list()] == [(three[1], "manual")]


def test_failed_dataset_is_named_and_others_succeed(owner: Browser, app: App, three: list[str]) -> None:
    answer = act(owner, "delete", *three[:2], "ds_000000000000")
    assert answer.status == 409
    titles = re.findall(r'<p class="notice-title">(.*?)</p>', unescape(answer.text))
    assert len(titles) == 3
    assert titles[0].startswith("Coupons: ")
    assert "'Events'" in titles[0]
    assert codes(answer) == ["dataset_not_found"]
    assert titles[2] == "Succeeded for Plans"
    assert {one.dataset.name for one in app.datasets.list()} == {"Coupons", "Events"}


def test_delete_drops_tables_only_if_selected(owner: Browser, app: App, three: list[str]) -> None:
    coupons, plans, events = three
    for one in (coupons, plans):
        app.runs.start(one)
    act(owner, "delete", events, plans)
    act(owner, "delete", coupons, drop_table="yes")
    assert app.datasets.list() == ()
    app.datasets.create("Again", account="Shop", report="plans", table="other")
    found = app.tables.ask("SELECT table_name FROM information_schema.tables WHERE table_name IN ('coupons', 'plans')")
    assert [row[0] for row in found.rows] == ["plans"]


def test_missing_selection_or_unknown_action_is_rejected(owner: Browser, app: App, three: list[str]) -> None:
    assert act(owner, "pause").status == 400
    assert act(owner, "drop", *three).status == 400
    assert len(app.datasets.list()) == 3


def test_return_url_stays_on_site(owner: Browser, three: list[str]) -> None:
    assert act(owner, "pause", three[0], next="https://evil.example/")["location"] == "/"
    assert "evil" not in act(owner, "delete", three[0], next="//evil.example/").text
