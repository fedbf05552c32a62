"""The Data Center: what is listed, in which order, and what teaches the next step where nothing is."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest

from counterfoil.app.app import App
from counterfoil.app.connection import catalogue
from counterfoil.errors import StripeUnavailable
from counterfoil.settings import Settings
from counterfoil.web.pages.home import STATUSES, home_rows
from tests.web.browser import Browser
from tests.web.conftest import MakeSite, Site
from tests.web.samples import Samples, every_state

MakePage = Callable[[App], Browser]


@pytest.fixture(scope="session")
def made_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state that every page of these tests begins with."""
    home = tmp_path_factory.mktemp("full")
    every_state(Settings(home=home, state_url=None)).app.close()
    return home / "state.db"


@pytest.fixture(autouse=True)
def _with_its_key(app: App, made_state: Path) -> None:
    shutil.copy(made_state.with_name("secret.key"), app.settings.home)


@pytest.fixture
def samples(app: App) -> Iterator[Samples]:
    """To change what is in the page's state."""
    made = Samples(app.settings)
    yield made
    made.app.close()


@pytest.fixture
def browser(site: Site) -> Browser:
    return site.owner()


def names(text: str) -> list[str]:
    return [unescape(name) for name in re.findall(r'<a class="cell-main"[^>]*>([^<]*)</a>', text)]


def test_each_dataset_has_its_status(samples: Samples) -> None:
    found = {row.name: row.status for row in home_rows(samples.app)}
    assert found == {
        "Refunds for the finance team's monthly close in Europe": "attention",
        "Subscriptions": "late",
        "Balance History": "running",
        "Transfers": "running",
        "Charges, hourly": "ok",
        "Customers": "ok",
        "Events": "ok",
        "Coupons": "new",
        "Discounts": "new",
        "All Invoices": "paused",
    }


def test_a_pause_that_nobody_asked_for_needs_attention(samples: Samples) -> None:
    dataset = samples.app.datasets.get("Customers")
    samples.app.records.datasets.pause_account(dataset.account, "Stripe refused the key", "Replace it.")
    found = {row.name: (row.status, row.problem) for row in home_rows(samples.app)}
    assert found["Customers"] == ("attention", "Stripe refused the key")
    assert found["All Invoices"][0] == "paused"


def test_what_is_broken_comes_first(samples: Samples, browser: Browser) -> None:
    text = browser.get("/").text
    by_name = {row.name: row.status for row in home_rows(samples.app)}
    order = [STATUSES.index(by_name[name]) for name in names(text)]
    assert order == sorted(order)
    assert len(order) == 10


def test_a_row_says_rows_runs_account_and_what_is_wrong(samples: Samples, browser: Browser) -> None:
    text = browser.get("/").text
    assert "2,403,551" in text
    assert "+800" in text
    assert "Table refunds has columns that are not of this dataset: note, owner" in text
    assert "counterfoil.duckdb is held by process 4121" in text
    assert "After Charges, hourly" in text
    assert "Rows of the last 14 runs" in text
    assert text.count(">Live</span>") == 5


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=charges", ["Charges, hourly"]),
        ("search=SANDBOX+inv", ["All Invoices"]),
        ("status=late", ["Subscriptions"]),
        ("report=coupons", ["Coupons"]),
        ("status=late&search=charges", []),
        ("sort=name&search=s&status=new", ["Coupons", "Discounts"]),
        ("sort=-name&search=s&status=new", ["Discounts", "Coupons"]),
        ("sort=-rows&status=running", ["Balance History", "Transfers"]),
        ("sort=last&status=ok", ["Events", "Customers", "Charges, hourly"]),
        ("sort=-last&search=o&account=&status=new", ["Coupons", "Discounts"]),
        ("sort=-rows&search=sandbox+c", ["All Invoices", "Subscriptions", "Coupons", "Discounts"]),
        ("sort=nonsense&status=late", ["Subscriptions"]),
        ("page=99&status=late", ["Subscriptions"]),
    ],
)
def test_the_list_is_narrowed_and_ordered_as_asked(
    samples: Samples, browser: Browser, query: str, found: list[str]
) -> None:
    assert names(browser.get(f"/?{query}").text) == found


def test_the_list_is_narrowed_to_an_account(samples: Samples, browser: Browser) -> None:
    account = samples.app.accounts.get("Sandbox").id
    assert len(names(browser.get(f"/?account={account}").text)) == 5


def test_filters_keep_what_else_was_asked_and_count_what_they_would_show(samples: Samples, browser: Browser) -> None:
    text = browser.get("/?search=north&sort=-rows").text
    chips = re.findall(r'<a class="chip" href="([^"]*)"[^>]*>([^<]*) <span class="count">(\d+)', text)
    assert ("/?search=north&amp;sort=-rows&amp;status=running", "Running", "2") in chips
    assert ("/?search=north&amp;sort=-rows", "All", "5") in chips
    assert "Late" not in [label for _, label, _ in chips]


def test_a_list_without_a_match_leads_back_to_all(samples: Samples, browser: Browser) -> None:
    text = browser.get("/?search=nothing+of+the+kind").text
    assert "No dataset is like that" in text
    assert 'value="nothing of the kind"' in text


def test_several_datasets_go_to_one_action_and_back_to_the_same_list(samples: Samples, browser: Browser) -> None:
    text = browser.get("/?status=ok").text
    assert '<form class="bulk" id="bulk" action="/datasets/actions" method="post">' in text
    assert '<input type="hidden" name="next" value="/?status=ok">' in text
    boxes = re.findall(r'form="bulk" name="dataset" value="([^"]*)"', text)
    assert sorted(boxes) == sorted(samples.app.datasets.get(name).id for name in names(text))
    assert set(re.findall(r'name="action" value="(\w+)"', text)) == {"run", "pause", "resume", "delete"}


def test_names_of_others_are_text(app: App, samples: Samples, browser: Browser) -> None:
    hostile = "<img src=x onerror=alert(1)>'\"--"
    made = samples.dataset(hostile, samples.app.accounts.get("Sandbox"))
    samples.failed(made, StripeUnavailable("<script>alert(2)</script>", hint='" onmouseover="alert(3)'))
    text = browser.get(f"/?search={'%3Cscript%3E'}").text + browser.get("/").text
    assert hostile in names(text)
    assert "<img" not in text
    assert "<script>" not in text
    assert not re.search(r'<[^>]*" onmouseover="', text)


def test_accounts_say_how_they_fare_and_who_uses_them(samples: Samples, browser: Browser) -> None:
    text = browser.get("/accounts").text
    every = len(catalogue())
    assert f"All {every} reports" in text
    assert f"{every - 1} of {every} reports" in text
    assert text.count("5 datasets") == 2
    assert text.count(">Valid<") == 2
    assert "sk_live_…" in text
    assert "40 minutes ago" in text
    assert not re.search(r"sk_(live|test)_\w{8}", text)


@pytest.mark.parametrize(
    ("cookie", "shown"), [("dark", 'data-theme="dark"'), ("light", 'data-theme="light"'), ('x" onload="a', None)]
)
def test_the_theme_is_the_one_chosen_and_else_the_systems(browser: Browser, cookie: str, shown: str | None) -> None:
    browser.cookies["counterfoil-theme"] = cookie
    (html,) = re.findall(r"<html[^>]*>", browser.get("/").text)
    assert (shown in html) if shown else ("data-theme" not in html)


def test_the_banner_tells_that_the_data_is_invented(make_site: MakeSite) -> None:
    told = "Invented data of an invented company."
    assert told in make_site(banner=told).owner().get("/").text
    assert told not in make_site().owner().get("/").text
