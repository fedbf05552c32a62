"""Every page of the route table loads without errors, fits the screen and is accessible."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.routing import APIRoute
from playwright.sync_api import Browser

from counterfoil.app.app import App, open_app
from counterfoil.settings import Settings
from counterfoil.web.pages import PAGES
from tests.e2e.chromium import watched
from tests.e2e.looking import DESK, look
from tests.e2e.running_demo import Demo

#: Routes that are not pages: parts of pages, live progress and files. All other GET routes are pages.
NO_PAGES = frozenset(
    {
        "/ask/tables",
        "/datasets/{dataset}/data.csv",
        "/datasets/{dataset}/data.parquet",
        "/datasets/{dataset}/data.xlsx",
        "/datasets/{dataset}/data/profile",
        "/datasets/{dataset}/data/row",
        "/datasets/{dataset}/live",
        "/datasets/{dataset}/proof.{form}",
        "/datasets/{dataset}/proof/live",
        "/runs/live",
        "/runs/{run}/live",
        "/runs/{run}/rows.csv",
        "/runs/{run}/rows.parquet",
    }
)
#: Datasets with a different state than `Charges`, by name.
OTHERS = {"Transfers": "needs-attention", "Coupons": "not-run", "Refunds": "paused"}


@dataclass(frozen=True)
class Place:
    """A page with a name and a path."""

    name: str
    path: str


def pages(app: App) -> Iterator[str]:
    """Paths of the route table that are pages."""
    for routes in PAGES:
        for route in routes(app).routes:
            if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and route.path not in NO_PAGES:
                yield route.path


def places(app: App) -> Iterator[Place]:
    """Each page with values of the demo; some pages also with datasets and runs in other states."""
    datasets = {one.dataset.name: one.dataset.id for one in app.datasets.list()}
    runs = app.runs.list(limit=200)
    succeeded = next(one.id for one in runs if one.dataset == datasets["Charges"] and one.status == "succeeded")
    failed = next(one.id for one in runs if one.status == "failed")
    alert = next(iter(app.alerts.list()), None) or app.alerts.add("Operations", "json://user:secret@localhost")
    values = {"account": app.accounts.list()[0].id, "dataset": datasets["Charges"], "run": succeeded, "alert": alert.id}
    for path in pages(app):
        yield Place(_name(path), _filled(path, values))
        if path == "/datasets/{dataset}":
            for name, what in OTHERS.items():
                yield Place(f"{_name(path)}-{what}", _filled(path, values | {"dataset": datasets[name]}))
        if path == "/runs/{run}":
            yield Place(f"{_name(path)}-failed", _filled(path, values | {"run": failed}))


def _name(path: str) -> str:
    words = [word for word in path.split("/") if word and not word.startswith("{")]
    owner = {"datasets": "dataset", "accounts": "account", "alerts": "alert", "runs": "run"}
    if "{" in path:
        words[0] = owner.get(words[0], words[0])
    return "-".join(words) or "data-center"


def _filled(path: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], path)


@pytest.mark.timeout(600)
def test_every_page_loads_without_errors(browser: Browser, demo: Demo, owner: Any) -> None:
    found = list(places(demo.app))
    assert len({place.name for place in found}) == len(found) > 15
    with watched(browser, storage_state=owner, viewport=DESK) as page:
        for place in found:
            answer = page.goto(demo.url + place.path)
            assert answer is not None
            assert (answer.status, page.url) == (200, demo.url + place.path)
            page.get_by_text("Sample data").wait_for()
            look(page, place.name)


def test_request_without_session_shows_the_sign_in_page(browser: Browser, demo: Demo) -> None:
    with watched(browser, viewport=DESK) as page:
        page.goto(f"{demo.url}/runs")
        page.get_by_role("heading", name="Sign in").wait_for()
        look(page, "sign-in")


def test_list_of_other_routes_is_current(demo: Demo) -> None:
    with open_app(Settings(home=demo.home)) as app:
        known = {route.path for routes in PAGES for route in routes(app).routes if isinstance(route, APIRoute)}
    assert known >= NO_PAGES
