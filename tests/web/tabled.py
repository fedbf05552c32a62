"""Datasets with tables and runs for the pages that show them, and a browser that observes streamed responses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from counterfoil.app.app import App
from counterfoil.app.connection import catalogue
from counterfoil.errors import CounterfoilError
from counterfoil.runs.plans.dataset_plan import as_json, plan_run
from counterfoil.schedules import parse
from counterfoil.state.accounts import Account, Checked
from counterfoil.state.dataset import Dataset, Target
from counterfoil.state.run import Counts, Run
from counterfoil.stripe.client import AccountIdentity
from tests.web.browser import Browser

#: Charges: a quarter without a currency, one with a hostile description.
ROWS = """
CREATE TABLE {table} AS SELECT 'ch_' || lpad(i::VARCHAR, 7, '0') AS id, to_timestamp(1700000000 + i // 10) AS created,
  i AS amount, (i / 100)::DECIMAL(22,3) AS amount_major,
  CASE WHEN i % 4 = 0 THEN NULL WHEN i % 2 = 0 THEN 'eur' ELSE 'jpy' END AS currency,
  CASE WHEN i = 999 THEN '<script>alert(1)</script>' END AS description,
  ('{{"order": "' || i || '", "note": "' || repeat('long ', 60) || '"}}')::JSON AS metadata, 'r1' AS _run
FROM range({rows}) t(i)
"""


def account(app: App, name: str = "Shop") -> Account:
    """An account whose key can read all reports."""
    checked = Checked(
        at=app.state.now(),
        livemode=False,
        stripe_id="acct_1",
        display_name=name,
        readable=tuple(catalogue()),
        missing={},
    )
    return app.records.accounts.add(
        name, key="sk_test_" + "x" * 24, shown="sk_test_…xxxx", fingerprint=f"print-{name}", checked=checked
    )


def dataset(app: App, name: str = "Charges", schedule: str = "every 1 hours", **fields: Any) -> Dataset:
    """A dataset of charges without a table."""
    known = next((one.account for one in app.datasets.list()), None)
    return app.records.datasets.add(
        name,
        account=(known or account(app)).id,
        report="charges",
        targets=(Target(url="duckdb:///a.duckdb", table="".join(filter(str.isalnum, name.lower()))[:40]),),
        schedule=parse(schedule),
        **fields,
    )


def fill(app: App, made: Dataset, rows: int = 1000) -> None:
    """Creates the table of the dataset."""
    with duckdb.connect(str(Path(app.settings.home, "a.duckdb"))) as file:
        file.execute(ROWS.format(table=made.targets[0].table, rows=rows))


def ran(app: App, made: Dataset, clock: Any, counts: Counts, requests: int = 3) -> Run:
    """A successful run of two seconds."""
    runs = app.records.runs
    run = runs.create(made.id, "manual").id
    owner = runs.begin_attempt(run)
    plan, _ = plan_run(made, AccountIdentity("acct_1", False), date=int(app.state.now().timestamp()))
    runs.update(run, owner=owner, plan=as_json(plan), requests={"GET /v1/charges": requests})
    clock.advance(seconds=2)
    return runs.finish(run, "succeeded", owner=owner, counts=counts)


def began(app: App, made: Dataset, read: int = 0) -> tuple[str, str]:
    """An active run, and the token of its attempt."""
    run = app.records.runs.create(made.id, "manual").id
    owner = app.records.runs.begin_attempt(run)
    plan = {"method": "replace", "whole": True}
    app.records.runs.update(run, owner=owner, plan=plan, counts=Counts(read=read), requests={"GET /v1/charges": 2})
    return run, owner


def failed(app: App, made: Dataset, error: CounterfoilError) -> str:
    """A failed run."""
    run, owner = began(app, made)
    app.records.runs.finish(run, "failed", owner=owner, error=error)
    return run


def watching(browser: Browser, saw: Callable[[str], bool]) -> Browser:
    """A browser that passes each chunk of a response to `saw`, and disconnects when that returns true."""
    page = browser.page

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        gone = asyncio.Event()

        async def sends(message: Any) -> None:
            await send(message)
            if message["type"] == "http.response.body" and saw(message.get("body", b"").decode(errors="replace")):
                gone.set()

        async def receives() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        await page(scope, receives, sends)

    return Browser(watched, cookies=browser.cookies)
