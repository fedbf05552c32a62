"""What is done to several datasets at once."""

from __future__ import annotations

import pytest

from counterfoil.app.app import App
from stripe_sandbox import Sandbox
from tests.web.browser import Answer, Browser
from tests.web.conftest import FULL, Site
from tests.web.forms import send

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


def test_several_are_paused_and_resumed_and_the_list_is_come_back_to(
    owner: Browser, app: App, three: list[str]
) -> None:
    answer = act(owner, "pause", *three[:2], next="/?status=ok")
    assert answer["location"] == "/?status=ok"
    assert [app.datasets.get(one).pause is not None for one in three] == [True, True, False]
    act(owner, "resume", *three[:2])
    assert [app.datasets.get(one).pause for one in three] == [None, None, None]


def test_those_that_are_run_have_runs(owner: Browser, app: App, three: list[str]) -> None:
    assert act(owner, "run", three[1]).status == 303
    assert [(run.dataset, run.trigger) for run in app.runs.list()] == [(three[1], "manual")]


def test_one_that_fails_is_named_and_the_others_are_done(owner: Browser, app: App, three: list[str]) -> None:
    answer = act(owner, "delete", *three[:2], "ds_000000000000")
    assert answer.status == 409
    assert "Coupons: The dataset &#39;Events&#39; runs after" in answer.text
    assert "A dataset: It is not there any more" in answer.text
    assert "It worked for Plans" in answer.text
    assert {one.dataset.name for one in app.datasets.list()} == {"Coupons", "Events"}


def test_tables_go_with_their_datasets_only_when_that_is_ticked(owner: Browser, app: App, three: list[str]) -> None:
    coupons, plans, events = three
    for one in (coupons, plans):
        app.runs.start(one)
    act(owner, "delete", events, plans)
    act(owner, "delete", coupons, drop_table="yes")
    assert app.datasets.list() == ()
    app.datasets.create("Again", account="Shop", report="plans", table="other")
    found = app.tables.ask("SELECT table_name FROM information_schema.tables WHERE table_name IN ('coupons', 'plans')")
    assert [row[0] for row in found.rows] == ["plans"]


def test_nothing_chosen_and_nothing_to_do_are_refused(owner: Browser, app: App, three: list[str]) -> None:
    assert act(owner, "pause").status == 400
    assert act(owner, "drop", *three).status == 400
    assert len(app.datasets.list()) == 3


def test_the_way_back_never_leads_elsewhere(owner: Browser, three: list[str]) -> None:
    assert act(owner, "pause", three[0], next="https://evil.example/")["location"] == "/"
    assert "evil" not in act(owner, "delete", three[0], next="//evil.example/").text
