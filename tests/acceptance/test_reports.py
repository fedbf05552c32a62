"""Every report that the command pulls contains the same objects as a plain serial loop over the same Stripe."""

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


def pull(*arguments: str) -> None:
    assert run(["pull", *arguments, "--to", "duckdb:///x.duckdb"]) == 0


@pytest.mark.parametrize("report", sampled(LISTED, key=lambda report: report.key))
def test_listed_report_has_the_ids_of_a_serial_loop(report: Any, connected: Stripe, database: Path) -> None:
    listings = report.source.listings.values() if isinstance(report.source, Union) else [report.source]
    expected = [one["id"] for each in listings for one in connected.all(each.path, list(each.params.items()))]
    pull(report.key)
    loaded = [identifier for (identifier,) in rows(database, f"SELECT id FROM {report.key}")]
    assert len(expected) > 0
    assert sorted(loaded) == sorted(expected)


def test_rows_are_in_the_order_of_stripe(connected: Stripe, database: Path) -> None:
    pull("charges")
    loaded = [identifier for (identifier,) in rows(database, "SELECT id FROM charges")]
    assert loaded == [one["id"] for one in connected.all("/v1/charges")]


def test_subscriptions_exclude_canceled_by_default(connected: Stripe, database: Path) -> None:
    pull("subscriptions")
    assert rows(database, "SELECT count(*) FROM subscriptions WHERE status = 'canceled'") == [(0,)]
    pull("subscriptions", "--option", "status=all")
    everything = connected.all("/v1/subscriptions", [("status", "all")])
    assert rows(database, "SELECT count(*) FROM subscriptions") == [(len(everything),)]
    assert rows(database, "SELECT count(*) > 0 FROM subscriptions WHERE status = 'canceled'") == [(True,)]


def test_all_subscriptions_contain_the_subscription_of_each_item(connected: Stripe, database: Path) -> None:
    pull("all_subscriptions")
    pull("subscription_items")
    loaded = rows(database, "SELECT id FROM all_subscriptions ORDER BY id")
    assert [identifier for (identifier,) in loaded] == sorted(connected.control("truth/all_subscriptions")["ids"])
    assert rows(database, "SELECT count(*) > 0 FROM all_subscriptions WHERE status = 'canceled'") == [(True,)]
    orphans = """SELECT count(*) FROM subscription_items AS item
                 WHERE subscription NOT IN (SELECT id FROM all_subscriptions)"""
    assert rows(database, orphans) == [(0,)]


def test_account_report_has_the_id_of_the_account(connected: Stripe, database: Path) -> None:
    pull("account")
    identifier = connected.control("truth/account")["id"]
    assert rows(database, "SELECT id, _account FROM account") == [(identifier, identifier)]


def test_balance_equals_stripe_and_sum_of_history(connected: Stripe, database: Path) -> None:
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


def test_discounts_are_collected_from_all_objects_once(connected: Stripe, database: Path) -> None:
    pull("discounts")
    loaded = [identifier for (identifier,) in rows(database, "SELECT id FROM discounts")]
    assert sorted(loaded) == connected.control("truth/discounts")["ids"]
    counts = """SELECT count(customer), count(subscription), count(subscription_item), count(invoice),
                        count(invoice_item) FROM discounts"""
    assert all(count > 0 for count in rows(database, counts)[0])


def test_upcoming_invoices_cover_subscriptions_and_schedules(connected: Stripe, database: Path) -> None:
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


def test_recipients_use_old_api_version_or_are_retired(
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
    assert "retired by Stripe" in capsys.readouterr().err


def test_invoices_contain_all_of_their_lines(connected: Stripe, database: Path) -> None:
    pull("invoices")
    loaded = dict(rows(database, "SELECT id, len(json_extract(lines, '$.data[*]')) FROM invoices"))
    longest = max(loaded, key=lambda identifier: loaded[identifier])
    assert loaded[longest] > 10
    assert loaded[longest] == len(connected.all(f"/v1/invoices/{longest}/lines"))
    assert rows(database, "SELECT count(*) FROM invoices WHERE (lines->>'has_more')::BOOLEAN") == [(0,)]


def test_major_amounts_use_the_digits_of_the_currency(connected: Stripe, database: Path) -> None:
    pull("charges")
    loaded = rows(database, "SELECT amount, currency, amount_major FROM charges")
    digits = {"usd": 2, "eur": 2, "jpy": 0, "kwd": 3}
    assert {currency for _, currency, _ in loaded} == set(digits)
    assert all(major == Decimal(amount).scaleb(-digits[currency]) for amount, currency, major in loaded)


def test_append_keeps_snapshots_of_each_run(connected: Stripe, database: Path) -> None:
    pull("balance", "--method", "append")
    pull("balance", "--method", "append")
    counted = rows(database, "SELECT count(*), count(DISTINCT _run) FROM balance")
    assert counted == [(2 * rows(database, "SELECT count(*) FROM balance GROUP BY _run LIMIT 1")[0][0], 2)]


def test_range_and_limit_restrict_the_rows(connected: Stripe, database: Path) -> None:
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


def test_pull_all_creates_a_table_for_each_report(
    own_stripe: Stripe, database: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_demo")
    monkeypatch.setenv("STRIPE_API_BASE", own_stripe.url)
    pull("all", "--json")
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["report"] for one in results] == [report.key for report in REPORTS]
    assert all(one["error"] is None and one["requests"] > 0 for one in results)
    tables = {name for (name,) in rows(database, "SELECT table_name FROM information_schema.tables")}
    assert tables >= {report.key for report in REPORTS}
    # _extra stores fields without a column. The sandbox sends no undeclared fields.
    extras = {report.key: rows(database, f"SELECT any_value(_extra)::VARCHAR FROM {report.key}") for report in REPORTS}
    assert {key for key, extra in extras.items() if extra != [(None,)]} == set()


def test_parquet_contains_the_same_rows(connected: Stripe, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["pull", "charges", "--to", "parquet:///books"]) == 0
    with duckdb.connect() as connection:
        loaded = connection.execute("SELECT id FROM 'books/charges/*.parquet'").fetchall()
    assert sorted(identifier for (identifier,) in loaded) == sorted(one["id"] for one in connected.all("/v1/charges"))


def test_monthly_partition_uses_the_month_of_creation(
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
