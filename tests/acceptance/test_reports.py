"""Every report, pulled by the command, holds what a plain serial loop over the same Stripe finds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from counterfoil.cli import run
from counterfoil.reports.catalogue import REPORTS
from counterfoil.reports.report import Listing, Union
from tests.gate import sampled
from tests.objects import Objects

from .conftest import Stripe

LISTED = [report for report in REPORTS if isinstance(report.source, Listing | Union) and report.key != "recipients"]


def rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "x.duckdb"


def pull(*words: str) -> None:
    assert run(["pull", *words, "--to", "duckdb:///x.duckdb"]) == 0


@pytest.mark.parametrize("report", sampled(LISTED, key=lambda report: report.key))
def test_the_ids_of_a_listed_report_are_those_of_a_serial_loop(report: Any, connected: Stripe, database: Path) -> None:
    listings = report.source.listings.values() if isinstance(report.source, Union) else [report.source]
    expected = [one["id"] for each in listings for one in connected.all(each.path, list(each.params.items()))]
    pull(report.key)
    loaded = [identifier for (identifier,) in rows(database, f"SELECT id FROM {report.key}")]
    assert len(expected) > 0
    assert sorted(loaded) == sorted(expected)


def test_rows_stand_in_stripes_order_newest_first(connected: Stripe, database: Path) -> None:
    pull("charges")
    loaded = [identifier for (identifier,) in rows(database, "SELECT id FROM charges")]
    assert loaded == [one["id"] for one in connected.all("/v1/charges")]


def test_subscriptions_leave_out_canceled_ones_unless_all_are_asked_for(connected: Stripe, database: Path) -> None:
    pull("subscriptions")
    assert rows(database, "SELECT count(*) FROM subscriptions WHERE status = 'canceled'") == [(0,)]
    pull("subscriptions", "--option", "status=all")
    everything = connected.all("/v1/subscriptions", [("status", "all")])
    assert rows(database, "SELECT count(*) FROM subscriptions") == [(len(everything),)]
    assert rows(database, "SELECT count(*) > 0 FROM subscriptions WHERE status = 'canceled'") == [(True,)]


def test_each_subscription_item_has_its_subscription_in_all_subscriptions(connected: Stripe, database: Path) -> None:
    pull("all_subscriptions")
    pull("subscription_items")
    loaded = rows(database, "SELECT id FROM all_subscriptions ORDER BY id")
    assert [identifier for (identifier,) in loaded] == sorted(connected.control("truth/all_subscriptions")["ids"])
    assert rows(database, "SELECT count(*) > 0 FROM all_subscriptions WHERE status = 'canceled'") == [(True,)]
    orphans = """SELECT count(*) FROM subscription_items AS item
                 WHERE subscription NOT IN (SELECT id FROM all_subscriptions)"""
    assert rows(database, orphans) == [(0,)]


def test_the_account_is_the_sandboxs_own(connected: Stripe, database: Path) -> None:
    pull("account")
    identifier = connected.control("truth/account")["id"]
    assert rows(database, "SELECT id, _account FROM account") == [(identifier, identifier)]


def test_the_balance_is_the_sandboxs_own_and_the_sum_of_its_history(connected: Stripe, database: Path) -> None:
    pull("balance")
    pull("balance_transactions")
    truth = connected.control("truth/balance")
    expected = {(bucket, code, sums[bucket]) for code, sums in truth.items() for bucket in ("available", "pending")}
    loaded = rows(database, "SELECT _bucket, currency, amount FROM balance WHERE _bucket IN ('available', 'pending')")
    assert set(loaded) == expected
    sums = rows(
        database,
        """SELECT currency, sum(net_major) FROM balance_transactions WHERE balance_type = 'payments'
           GROUP BY currency ORDER BY currency""",
    )
    balance = rows(
        database,
        """SELECT currency, sum(amount_major) FROM balance WHERE _bucket IN ('available', 'pending')
           GROUP BY currency ORDER BY currency""",
    )
    assert {currency for currency, _ in balance} >= {"usd", "eur", "jpy", "kwd"}
    assert sums == balance


def test_discounts_are_collected_from_everywhere_once(connected: Stripe, database: Path) -> None:
    pull("discounts")
    loaded = [identifier for (identifier,) in rows(database, "SELECT id FROM discounts")]
    assert sorted(loaded) == connected.control("truth/discounts")["ids"]
    hanging = """SELECT count(customer), count(subscription), count(subscription_item), count(invoice),
                        count(invoice_item) FROM discounts"""
    assert all(count > 0 for count in rows(database, hanging)[0])


def test_upcoming_invoices_are_those_of_what_will_be_invoiced(connected: Stripe, database: Path) -> None:
    pull("upcoming_invoices")
    truth = connected.control("truth/upcoming_invoices")
    loaded = dict(rows(database, "SELECT preview_of, subtotal FROM upcoming_invoices"))
    expected = {one.get("subscription") or one["schedule"]: one.get("subtotal") for one in truth["upcoming"]}
    assert set(loaded) == set(expected)
    assert {kind.rsplit("_", 1)[0] for kind in loaded} == {"sub", "sub_sched"}
    assert {one: loaded[one] for one, subtotal in expected.items() if subtotal is not None} == {
        one: subtotal for one, subtotal in expected.items() if subtotal is not None
    }
    assert truth["none"]


def test_recipients_are_read_under_the_old_version_or_retired(
    own_stripe: Stripe, database: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_demo")
    monkeypatch.setenv("STRIPE_API_BASE", own_stripe.url)
    own_stripe.control("recipients", {"mode": "list"})
    pull("recipients")
    expected = own_stripe.all("/v1/recipients", version="2020-08-27")
    loaded = [identifier for (identifier,) in rows(database, "SELECT id FROM recipients")]
    assert sorted(loaded) == sorted(one["id"] for one in expected)
    assert expected
    own_stripe.control("recipients", {"mode": "404"})
    pull("recipients")
    assert rows(database, "SELECT count(*) FROM recipients") == [(0,)]
    assert "retired by Stripe, use connected accounts" in capsys.readouterr().err


def test_a_list_of_lines_has_all_of_its_lines(connected: Stripe, database: Path) -> None:
    pull("invoices")
    loaded = dict(rows(database, "SELECT id, len(json_extract(lines, '$.data[*]')) FROM invoices"))
    longest = max(loaded, key=lambda identifier: loaded[identifier])
    assert loaded[longest] > 10
    assert loaded[longest] == len(connected.all(f"/v1/invoices/{longest}/lines"))
    assert rows(database, "SELECT count(*) FROM invoices WHERE (lines->>'has_more')::BOOLEAN") == [(0,)]


def test_an_amount_is_in_major_units_what_its_currency_says(connected: Stripe, database: Path) -> None:
    pull("charges")
    loaded = rows(database, "SELECT amount, currency, amount_major FROM charges")
    digits = {"usd": 2, "eur": 2, "jpy": 0, "kwd": 3}
    assert {currency for _, currency, _ in loaded} == set(digits)
    assert all(major == Decimal(amount).scaleb(-digits[currency]) for amount, currency, major in loaded)


def test_append_keeps_each_snapshot_told_apart_by_its_run(connected: Stripe, database: Path) -> None:
    pull("balance", "--method", "append")
    pull("balance", "--method", "append")
    counted = rows(database, "SELECT count(*), count(DISTINCT _run) FROM balance")
    assert counted == [(2 * rows(database, "SELECT count(*) FROM balance GROUP BY _run LIMIT 1")[0][0], 2)]


def test_a_window_and_a_limit_narrow_what_is_read(connected: Stripe, database: Path) -> None:
    everything = connected.all("/v1/charges")
    middle = everything[len(everything) // 2]["created"]
    pull("charges", "--table", "newer", "--since", f"{_instant(middle)}")
    pull("charges", "--table", "older", "--until", f"{_instant(middle)}")
    pull("charges", "--table", "newest", "--limit", "7")
    newer = [identifier for (identifier,) in rows(database, "SELECT id FROM newer")]
    older = [identifier for (identifier,) in rows(database, "SELECT id FROM older")]
    assert newer + older == [one["id"] for one in everything]
    assert [identifier for (identifier,) in rows(database, "SELECT id FROM newest")] == [
        one["id"] for one in everything[:7]
    ]


def _instant(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat()


def test_pull_all_makes_a_table_of_each_report(
    own_stripe: Stripe, database: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_demo")
    monkeypatch.setenv("STRIPE_API_BASE", own_stripe.url)
    pull("all", "--json")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["report"] for one in told] == [report.key for report in REPORTS]
    assert all(one["error"] is None and one["requests"] > 0 for one in told)
    tables = {name for (name,) in rows(database, "SELECT table_name FROM information_schema.tables")}
    assert tables >= {report.key for report in REPORTS}
    # What no column holds is kept in _extra: the sandbox sends nothing that is not declared.
    beside = {report.key: rows(database, f"SELECT any_value(_extra)::VARCHAR FROM {report.key}") for report in REPORTS}
    assert {key for key, extra in beside.items() if extra != [(None,)]} == set()


def test_parquet_holds_the_same_rows(connected: Stripe, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["pull", "charges", "--to", "parquet:///books"]) == 0
    with duckdb.connect() as connection:
        loaded = connection.execute("SELECT id FROM 'books/charges/*.parquet'").fetchall()
    assert sorted(identifier for (identifier,) in loaded) == sorted(one["id"] for one in connected.all("/v1/charges"))


def test_a_pull_puts_rows_into_the_months_that_they_were_created_in(
    connected: Stripe, tmp_path: Path, objects: Objects, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    bucket = objects.bucket()
    assert run(["pull", "charges", "--to", "parquet:///books?partition=month"]) == 0
    assert run(["pull", "charges", "--to", f"s3://{bucket}/books?partition=month&endpoint={objects.endpoint}"]) == 0
    months = {f"{datetime.fromtimestamp(one['created'], UTC):%Y-%m}" for one in connected.all("/v1/charges")}
    here = {path.parent.name for path in (tmp_path / "books/charges").rglob("*.parquet")}
    there = {path.split("/")[-2] for path in objects.files.find(bucket) if path.endswith(".parquet")}
    assert here == there == {f"created_month={month}" for month in months}
