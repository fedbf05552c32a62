"""Accounts and datasets from a file: applied in one transaction, and idempotent."""

from __future__ import annotations

from typing import Any

import pytest

from counterfoil.app.app import App
from counterfoil.app.config.service import Applied
from counterfoil.errors import CounterfoilError, KeyRejected, SettingsError
from counterfoil.state.dataset import Merge, Partition, Retry
from stripe_sandbox import Sandbox
from tests.app.conftest import FULL, LIVE

EVERY_FIELD = """
[accounts.Shop]
key = "env:SHOP_KEY"
api_base = "{url}"

[datasets."Refunds of the books"]
account = "Shop"
report = "refunds"
after = "Charges"
method = "partition"
partition = "3 months"
to = "parquet:///refunds"
table = "books"
description = "For the books"
retry = false
checks = "none"

[datasets.Charges]
account = "Shop"
report = "charges"
options = {{ customer = "cus_1" }}
since = "2026-01-01"
until = "2027-01-01T12:00:00Z"
promote = ["order_id"]
leave_out = ["description"]
hash = ["receipt_email"]
method = "merge"
deleted = "drop"
history = true
reread_days = 3
to = "duckdb:///shop.duckdb"
schedule = "every 2 hours"
zone = "Europe/Berlin"
retry = 5
retry_minutes = 4
retry_manual = true
deadline_minutes = 90
deep_checks = "weekly on sun at 03:00"
hold = true

[datasets.Newest]
account = "Shop"
report = "customers"
method = "replace"
last_days = 90
"""


@pytest.fixture
def text(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SHOP_KEY", FULL)
    return EVERY_FIELD.format(url=sandbox.url)


def actions(applied: Applied) -> list[tuple[str, str, str]]:
    return [(change.kind, change.name, change.action) for change in applied.changes]


def everything(app: App) -> Any:
    return app.accounts.list(), [shown.dataset for shown in app.datasets.list()]


def test_apply_creates_accounts_and_datasets(app: App, text: str) -> None:
    applied = app.config.apply(text)
    assert actions(applied) == [
        ("account", "Shop", "create"),
        ("dataset", "Charges", "create"),
        ("dataset", "Refunds of the books", "create"),
        ("dataset", "Newest", "create"),
    ]
    charges, refunds = (app.datasets.get(name) for name in ("Charges", "Refunds of the books"))
    (account,) = app.accounts.list()
    assert (account.reference, account.status) == ("env:SHOP_KEY", "ok")
    assert charges.choice.options == {"customer": "cus_1"}
    assert (charges.choice.promoted, charges.choice.left_out) == (("order_id",), ("description",))
    assert charges.merge == Merge(deleted="drop", history=True, reread_days=3)
    assert charges.retry == Retry(attempts=5, every_minutes=4, manual=True)
    assert (charges.schedule.zone, charges.deadline_minutes, charges.proof.hold) == ("Europe/Berlin", 90, True)
    assert (charges.proof.deep is not None, refunds.proof.after) == (True, "none")
    assert (refunds.after, refunds.partition) == (charges.id, Partition(unit="month", last=3))
    assert [(target.url, target.table) for target in refunds.targets] == [("parquet:///refunds", "books")]
    assert refunds.retry == Retry(on=False)


def test_apply_is_idempotent(app: App, text: str) -> None:
    app.config.apply(text)
    before = everything(app)
    repeated = app.config.apply(text)
    assert {change.action for change in repeated.changes} == {"none"}
    assert everything(app) == before


def test_exported_file_recreates_accounts_and_datasets(app: App, text: str) -> None:
    app.config.apply(text)
    exported = app.config.export()
    before = everything(app)
    assert {change.action for change in app.config.apply(exported).changes} == {"none"}
    assert everything(app) == before
    for shown in app.datasets.list():
        app.datasets.edit(shown.dataset.id, after=None)
    for shown in app.datasets.list():
        app.datasets.remove(shown.dataset.id)
    app.accounts.remove("Shop")
    app.config.apply(exported)
    assert app.config.export() == exported


def test_dry_run_lists_changes_without_making_them(app: App, text: str) -> None:
    assert [change.action for change in app.config.apply(text, dry_run=True).changes] == ["create"] * 4
    assert everything(app) == ((), [])
    app.config.apply(text)
    before = everything(app)
    dry_run = app.config.apply(text.replace("every 2 hours", "daily at 06:00").replace("hold = true", ""), dry_run=True)
    (change,) = (one for one in dry_run.changes if one.action != "none")
    assert (change.before, change.after) == (
        {"schedule": "every 2 hours", "hold": True},
        {"schedule": "daily at 06:00"},
    )
    assert everything(app) == before


def test_removed_field_restores_default(app: App, text: str) -> None:
    app.config.apply(text)
    lines = ("retry = 5\n", 'after = "Charges"\n', 'schedule = "every 2 hours"\n', "retry = false\n")
    for line in lines:
        text = text.replace(line, "", 1)
    app.config.apply(text)
    charges, refunds = (app.datasets.get(name) for name in ("Charges", "Refunds of the books"))
    assert (charges.retry.attempts, charges.next_due_at, refunds.after) == (3, None, None)
    assert refunds.retry == Retry()


def test_accounts_and_datasets_not_in_file_remain(app: App, text: str, sandbox: Sandbox) -> None:
    other = app.accounts.add("Other", FULL, api_base=sandbox.url)
    app.datasets.create("Mine", account="Other", report="coupons")
    applied = app.config.apply(text)
    assert applied.others == ("account Other", "dataset Mine")
    assert app.datasets.get("Mine").account == other.id


def test_changed_reference_is_tested_and_stored(app: App, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app.config.apply(text)
    monkeypatch.setenv("NEW_KEY", FULL)
    changed = app.config.apply(text.replace("env:SHOP_KEY", "env:NEW_KEY"))
    assert (changed.changes[0].before, changed.changes[0].after) == ({"key": "env:SHOP_KEY"}, {"key": "env:NEW_KEY"})
    monkeypatch.setenv("LIVE_KEY", LIVE)
    with pytest.raises(SettingsError, match=r"^\[accounts\.Shop\]: .* live key"):
        app.config.apply(text.replace("env:SHOP_KEY", "env:LIVE_KEY"))
    assert app.accounts.get("Shop").reference == "env:NEW_KEY"


def test_stored_key_is_not_exported(app: App, sandbox: Sandbox) -> None:
    app.accounts.add("Shop", FULL, api_base=sandbox.url)
    app.datasets.create("Coupons", account="Shop", report="coupons")
    exported = app.config.export()
    assert FULL not in exported
    assert app.config.stored_keys() == ("Shop",)
    assert {change.action for change in app.config.apply(exported).changes} == {"none"}
    app.accounts.remove("Shop", with_datasets=True)
    with pytest.raises(SettingsError, match=r"^\[accounts\.Shop\]: key is missing"):
        app.config.apply(exported)


_CYCLE = """
[datasets.A]
account = "x"
report = "charges"
after = "B"

[datasets.B]
account = "x"
report = "charges"
after = "A"
"""
_CHARGES = '[datasets.A]\naccount = "x"\nreport = "charges"'
INVALID = {
    "syntax": ("[accounts", "invalid TOML"),
    "unknown table": ("[account.x]", "unknown field 'account'"),
    "not a table": ("accounts = 3", "^accounts .* table$"),
    "unknown field": ('[accounts.Shop]\nkee = "env:X"', r"^\[accounts\.Shop\]: unknown field 'kee'"),
    "key in clear": ('[accounts.Shop]\nkey = "sk_live_Hidden4242"', r"^\[accounts\.Shop\]: key .* reference$"),
    "type of key": ("[accounts.Shop]\nkey = 3", r"^\[accounts\.Shop\]: key .* string$"),
    "no account": ('[datasets.A]\nreport = "charges"', r"^\[datasets\.A\]: account is missing"),
    "no report": ('[datasets.A]\naccount = "Shop"', r"^\[datasets\.A\]: report is missing"),
    "unknown report": ('[datasets.A]\naccount = "x"\nreport = "charge"', r"^\[datasets\.A\]: report 'charge'"),
    "method": (f'{_CHARGES}\nmethod = "upsert"', r"^\[datasets\.A\]: invalid method: 'upsert'"),
    "type of history": (f'{_CHARGES}\nhistory = "yes"', r"^\[datasets\.A\]: history .* boolean$"),
    "type of promote": (f'{_CHARGES}\npromote = ["a", 1]', r"^\[datasets\.A\]: promote .* list of strings$"),
    "schedule": (f'{_CHARGES}\nschedule = "now and then"', r"^\[datasets\.A\]: .*'now and then'"),
    "unknown account": (f"{_CHARGES.replace('x', 'unknown')}", r"^\[datasets\.A\]: account 'unknown'"),
    "cycle": (_CYCLE, "'A' after 'B' after 'A'"),
}


@pytest.mark.parametrize(("text", "expected"), INVALID.values(), ids=INVALID)
def test_invalid_file_changes_nothing(app: App, text: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected) as error:
        app.config.apply(text)
    assert error.value.hint
    assert "Hidden" not in f"{error.value} {error.value.hint} {error.value.__cause__} {error.value.__context__}"
    assert everything(app) == ((), [])


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ('[datasets.Zebra]\naccount = "Shop"\nreport = "charges"\nto = "duckdb:///shop.duckdb"', SettingsError),
        ('[accounts.Zebra]\nkey = "env:ZEBRA"\napi_base = "{url}"', KeyRejected),
    ],
    ids=["table of another dataset", "rejected key"],
)
def test_error_in_last_table_undoes_all_changes(
    app: App, text: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, table: str, error: type[CounterfoilError]
) -> None:
    monkeypatch.setenv("ZEBRA", "sk_test_nobody_knows_it")
    with pytest.raises(error, match=r"^\[(datasets|accounts)\.Zebra\]: "):
        app.config.apply(f"{text}\n{table.format(url=sandbox.url)}")
    assert everything(app) == ((), [])


def test_report_of_dataset_cannot_be_changed(app: App, text: str) -> None:
    app.config.apply(text)
    with pytest.raises(SettingsError, match=r"^\[datasets\.Charges\]: .*report .* charges$"):
        app.config.apply(text.replace('report = "charges"', 'report = "transfers"'))


def test_api_base_of_account_cannot_be_changed(app: App, text: str) -> None:
    app.config.apply(text)
    with pytest.raises(SettingsError, match=r"^\[accounts\.Shop\]: api_base .* http:"):
        app.config.apply(text.replace('api_base = "http', 'api_base = "https'))
