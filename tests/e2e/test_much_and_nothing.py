"""Pages with long names, more than a hundred columns, an empty table, and a million rows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Browser, Page, expect

from counterfoil.cli.demo.history import KEY
from counterfoil.state.dataset import Choice
from tests.e2e.chromium import watched
from tests.e2e.looking import DESK, fits
from tests.e2e.running_demo import Demo

pytestmark = pytest.mark.timeout(300)
with_pictures = pytest.mark.skipif(not os.environ.get("PICTURES"), reason="slow; runs only in: make pictures")

LONG = "Subscriptions of customers in the European Economic Area, without those paid by invoice"
WIDE = "subscriptions_of_customers_in_the_european_economic_area"
BEFORE_STRIPE = int(datetime(2001, 1, 1, tzinfo=UTC).timestamp())
MILLION = 1_000_000


def test_long_names_and_empty_table_fit_the_page(browser: Browser, demo: Demo, owner: Any) -> None:
    app, base = demo.app, demo.app.accounts.list()[0].api_base
    account = app.accounts.add(
        "Paper & Ink Stationery, Art Supplies and Bookbinding Company of Amsterdam, Antwerp and Aachen",
        KEY,
        api_base=base,
    ).id
    made = app.datasets.create(
        LONG,
        account=account,
        report="subscriptions",
        table=WIDE,
        description=f"{LONG}. " * 3,
        choice=Choice(until=BEFORE_STRIPE),
    ).dataset
    try:
        with watched(browser, storage_state=owner, viewport=DESK) as page:
            _run(page, demo, made.id)
            for name, path in {
                "long-names": "/",
                "long-names-accounts": "/accounts",
                "long-names-account": f"/accounts/{account}",
                "long-names-dataset": f"/datasets/{made.id}",
                "dataset-data-empty": f"/datasets/{made.id}/data",
                "long-names-runs": "/runs",
            }.items():
                page.goto(demo.url + path)
                fits(page, name)
            expect(page.get_by_text(LONG).first).to_be_visible()
    finally:
        app.accounts.remove(account, with_datasets=True)


@with_pictures
def test_wide_table_shows_every_column(browser: Browser, demo: Demo, owner: Any) -> None:
    dataset = next(one.dataset.id for one in demo.app.datasets.list() if one.dataset.name == "Charges")
    names = [column.name for column in demo.app.tables.columns(dataset)]
    assert len(names) > 60
    demo.app.questions.keep_columns(dataset, names)
    try:
        with watched(browser, storage_state=owner, viewport=DESK) as page:
            page.goto(f"{demo.url}/datasets/{dataset}/data")
            assert page.locator("thead th").count() == len(names)
            fits(page, "dataset-data-wide")
    finally:
        demo.app.questions.keep_columns(dataset, None)


@pytest.mark.timeout(600)
@with_pictures
def test_million_rows_are_sorted_filtered_and_paged_within_a_second(browser: Browser, demo: Demo, owner: Any) -> None:
    """SQL copies the loaded rows in the file, with new keys and times."""
    app = demo.app
    made = app.datasets.create(
        "Charges, a million", account=app.accounts.list()[0].id, report="charges", table="charges_million"
    ).dataset
    try:
        with watched(browser, storage_state=owner, viewport=DESK) as page:
            _run(page, demo, made.id)
            _multiply(demo.home / "counterfoil.duckdb", "charges_million")
            page.goto(f"{demo.url}/datasets/{made.id}/data")
            expect(page.get_by_text(f"of {MILLION:,} rows")).to_be_visible()
            fits(page, "dataset-data-million")
            before = _memory(demo)
            took: dict[str, list[float]] = {name: [] for name in _ACTS}
            for _ in range(3):
                page.goto(f"{demo.url}/datasets/{made.id}/data")
                for name, act in _ACTS.items():
                    took[name].append(_timed(page, act))
            times = "; ".join(f"{name} " + ", ".join(f"{one:.2f}" for one in took[name]) for name in _ACTS)
            print(f"\nseconds: {times}; memory of the service: {before} MB before, {_memory(demo)} MB after")
            assert max(map(min, took.values())) < 1, times
            assert _memory(demo) < before + 100
    finally:
        app.datasets.remove(made.id, drop_table=True)


def _run(page: Page, demo: Demo, dataset: str) -> None:
    """Runs the dataset in the service, because Playwright's event loop prevents a node in this process."""
    page.goto(f"{demo.url}/datasets/{dataset}")
    page.get_by_role("button", name="Run now").first.click()
    expect(page.locator(".dataset-line").get_by_text("Verified", exact=True)).to_be_visible(timeout=60_000)


def _multiply(file: Path, table: str) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute("SET memory_limit = '512MB'; SET preserve_insertion_order = false")
        ((rows,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
        connection.execute(
            f"INSERT INTO {table} SELECT c.* REPLACE ('ch_' || md5(c.id || n)[:20] AS id, "
            "c.created - to_seconds((hash(c.id || n) % 63072000)::BIGINT) AS created) "
            f"FROM {table} c, range(1, {MILLION // rows + 2}) copies(n) LIMIT {MILLION - rows}"
        )


def _memory(demo: Demo) -> int:
    """The memory of the service in MB."""
    lines = Path(f"/proc/{demo.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


def _filter(page: Page) -> None:
    page.get_by_label("Column", exact=True).select_option("currency")
    page.get_by_label("Value").fill("eur")
    page.get_by_role("button", name="Add filter").click()


def _jump(page: Page) -> None:
    page.get_by_label("Go to page").fill("4321")
    page.get_by_role("button", name="Go", exact=True).click()


_ACTS: dict[str, Callable[[Page], None]] = {
    "sort by amount": lambda page: page.get_by_role("link", name="amount_major", exact=True).click(),
    "reverse the order": lambda page: page.get_by_role("link", name="amount_major", exact=True).click(),
    "filter": _filter,
    "page jump": _jump,
    "last page": lambda page: page.get_by_role("link", name="Last page").click(),
    "profile": lambda page: page.get_by_role("button", name="Profile of amount_major").click(),
}


def _timed(page: Page, act: Callable[[Page], None]) -> float:
    """Seconds until htmx has settled the response in the page."""
    page.evaluate("""() => { window.settled = new Promise((done) =>
        document.addEventListener("htmx:afterSettle", done, { once: true })).then(() => 1); }""")
    began = time.monotonic()
    act(page)
    page.evaluate("() => window.settled")
    return time.monotonic() - began
