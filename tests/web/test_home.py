"""The Data Center: the list of datasets with its filters and order, and the list of accounts."""

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
    """The state with datasets of every status."""
    home = tmp_path_factory.mktemp("full")
    every_state(Settings(home=home, state_url=None)).app.close()
    return home / "state.db"


@pytest.fixture(autouse=True)
def _with_its_key(app: App, made_state: Path) -> None:
    shutil.copy(made_state.with_name("secret.key"), app.settings.home)


@pytest.fixture
def samples(app: App) -> Iterator[Samples]:
    """Samples that share the state of the page, to change it."""
    made = Samples(app.settings)
    yield made
    made.app.close()


@pytest.fixture
def browser(site: Site) -> Browser:
    return site.owner()


def names(text: str) -> list[str]:
    return [unescape(name) for name in re.findall(r'<a class="cell-main"[^>]*>([^<]*)</a>', text)]


def test_each_dataset_has_a_status(samples: Samples) -> None:
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


def test_automatic_pause_needs_attention(samples: Samples) -> None:
    dataset = samples.app.datasets.get("Customers")
    samples.app.records.datasets.pause_account(dataset.account, "Stripe rejected the key", "Replace it.")
    found = {row.name: (row.status, row.problem) for row in home_rows(samples.app)}
    assert found["Customers"] == ("attention", "Stripe rejected the key")
    assert found["All Invoices"][0] == "paused"


def test_list_is_sorted_by_status(samples: Samples, browser: Browser) -> None:
    text = browser.get("/").text
    by_name = {row.name: row.status for row in home_rows(samples.app)}
    order = [STATUSES.index(by_name[name]) for name in names(text)]
    assert order == sorted(order)
    assert len(order) == 10


def test_row_shows_counts_runs_account_and_error(samples: Samples, browser: Browser) -> None:
    text = browser.get("/").text
    assert "2,403,551" in text
    assert "+800" in text
    assert ">Table refunds has columns of another program: note, owner<" in text
    assert ">counterfoil.duckdb is locked by process 4121<" in text
    assert "After Charges, hourly" in text
    assert "last 14 runs" in text
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
def test_list_is_filtered_and_sorted(samples: Samples, browser: Browser, query: str, found: list[str]) -> None:
    assert names(browser.get(f"/?{query}").text) == found


def test_list_is_filtered_by_account(samples: Samples, browser: Browser) -> None:
    account = samples.app.accounts.get("Sandbox").id
    assert len(names(browser.get(f"/?account={account}").text)) == 5


def test_filters_keep_other_parameters_and_show_counts(samples: Samples, browser: Browser) -> None:
    text = browser.get("/?search=north&sort=-rows").text
    chips = re.findall(r'<a class="chip" href="([^"]*)"[^>]*>([^<]*) <span class="count">(\d+)', text)
    assert ("/?search=north&amp;sort=-rows&amp;status=running", "Running", "2") in chips
    assert ("/?search=north&amp;sort=-rows", "All", "5") in chips
    assert "Late" not in [label for _, label, _ in chips]


def test_list_without_matches_keeps_the_search(samples: Samples, browser: Browser) -> None:
    text = browser.get("/?search=no+such+name").text
    assert "No matching datasets" in text
    assert 'value="no such name"' in text


def test_selected_datasets_are_submitted_with_the_list_url(samples: Samples, browser: Browser) -> None:
    text = browser.get("/?status=ok").text
    assert '<form class="bulk" id="bulk" action="/datasets/actions" method="post">' in text
    assert '<input type="hidden" name="next" value="/?status=ok">' in text
    boxes = re.findall(r'form="bulk" name="dataset" value="([^"]*)"', text)
    assert sorted(boxes) == sorted(samples.app.datasets.get(name).id for name in names(text))
    assert set(re.findall(r'name="action" value="(\w+)"', text)) == {"run", "pause", "resume", "delete"}


def test_names_and_errors_are_escaped(app: App, samples: Samples, browser: Browser) -> None:
    hostile = "<img src=x onerror=alert(1)>'\"--"
    made = samples.dataset(hostile, samples.app.accounts.get("Sandbox"))
    samples.failed(made, StripeUnavailable("<script>alert(2)</script>", hint='" onmouseover="alert(3)'))
    text = browser.get(f"/?search={'%3Cscript%3E'}").text + browser.get("/").text
    assert hostile in names(text)
    assert "<img" not in text
    assert "<script>" not in text
    assert not re.search(r'<[^>]*" onmouseover="', text)


def test_accounts_show_validity_reports_and_datasets(samples: Samples, browser: Browser) -> None:
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
def test_theme_comes_from_the_cookie(browser: Browser, cookie: str, shown: str | None) -> None:
    browser.cookies["counterfoil-theme"] = cookie
    (html,) = re.findall(r"<html[^>]*>", browser.get("/").text)
    assert (shown in html) if shown else ("data-theme" not in html)


def test_banner_is_shown_if_set(make_site: MakeSite) -> None:
    banner = "Sample data."
    assert banner in make_site(banner=banner).owner().get("/").text
    assert banner not in make_site().owner().get("/").text
