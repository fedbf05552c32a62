"""Every example query returns the result of a recount, in any time zone of the session.

The recounts use the objects as Stripe lists them, page by page, and the sandbox's truth. They do not use SQL.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from counterfoil.cli.demo.once import QUESTIONS
from counterfoil.destinations.latest_view import latest_of
from counterfoil.destinations.postgres.url import postgres_address
from counterfoil.state.datasets import Merge, Target
from counterfoil.web.examples import EXAMPLES
from stripe_sandbox import Sandbox
from tests.postgres import Server, binaries
from tests.runs.conftest import FILE, Center

from .conftest import Stripe

ROOT = Path(__file__).parents[2]
DIGITS = {"usd": 2, "eur": 2, "jpy": 0, "kwd": 3}
#: Time zones in which months begin 14 hours before and 10 hours after they begin in UTC.
ZONES = ("Pacific/Kiritimati", "Pacific/Honolulu")
METHODS = {
    "charges": {"method": "merge", "merge": Merge(history=True)},
    "customers": {"method": "merge"},
    "balance": {"method": "replace"},
    "balance_transactions": {"method": "append"},
    "subscriptions": {"method": "merge"},
    "all_subscriptions": {"method": "merge"},
}

#: The fixture simulates two weeks of activity before the first test.
pytestmark = pytest.mark.timeout(300)

Rows = list[tuple[Any, ...]]


@dataclass
class Company:
    """A company after two weeks of activity, its tables, and its objects as a serial loop reads them."""

    center: Center
    postgres: str | None
    folder: Path
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def objects(self, path: str, **params: str) -> list[dict[str, Any]]:
        if path not in self.lists:
            self.lists[path] = Stripe(self.center.stripe.url).all(path, list(params.items()))
        return self.lists[path]

    @property
    def sales(self) -> list[dict[str, Any]]:
        """Captured charges."""
        return [one for one in self.objects("/v1/charges") if one["status"] == "succeeded" and one["captured"]]

    @property
    def revenue(self) -> dict[tuple[str, str], Decimal]:
        """Revenue by month and currency."""
        truth: dict[str, dict[str, int]] = self.center.stripe.ask("truth/revenue")
        return {(month, code): major(sums[code], code) for month, sums in truth.items() for code in sums}


def major(amount: int, currency: str) -> Decimal:
    return Decimal(amount).scaleb(-DIGITS[currency])


def month_of(one: dict[str, Any]) -> str:
    return f"{datetime.fromtimestamp(one['created'], UTC):%Y-%m}"


def first_of(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("examples")
    server: Server | None = None if binaries() is None else request.getfixturevalue("postgres")
    for name in ("files", "months"):
        (folder / name).mkdir()
    with Sandbox(scale=0.05) as stripe:
        center = Center(folder / "home", stripe)
        url = None if server is None else server.url()
        for report, options in METHODS.items():
            urls = [f"duckdb:///{FILE}", *([url] if url else [])]
            if report == "charges":
                folders = (f"parquet:///{folder}/files/stripe", f"parquet:///{folder}/months/stripe?partition=month")
                files = tuple(Target(url=one, table=report) for one in folders)
                center.dataset(report, "files", method="replace", targets=files)
            center.dataset(report, targets=tuple(Target(url=one, table=report) for one in urls), **options)
        stripe.control("life", per_day=40)
        for days in (0, 14):
            center.later(days=days)
            for one in center.datasets.list():
                run = center.run(one.name)
                assert run.status == "succeeded", run.error
        yield Company(center, url, folder)
        center.state.close()


def in_duckdb(company: Company, sql: str, zone: str) -> Rows:
    with duckdb.connect(str(company.center.settings.home / FILE), read_only=True) as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        return connection.execute(sql).fetchall()


def in_postgres(company: Company, sql: str, zone: str) -> Rows:
    if company.postgres is None:
        pytest.skip("Postgres is not installed")
    address = postgres_address(company.postgres)
    with psycopg.connect(**address.connection()) as connection:
        connection.execute(f'SET search_path TO "{address.schema}"; SET TimeZone TO "{zone}"')
        return connection.execute(sql).fetchall()


def revenue(company: Company) -> Rows:
    return sorted(((*key, amount) for key, amount in company.revenue.items()), key=lambda row: (row[0], row[1]))


def revenue_in_usd(company: Company) -> Rows:
    return [(first_of(month), amount) for (month, code), amount in company.revenue.items() if code == "usd"]


def newest_revenue(company: Company) -> Rows:
    counts = Counter((month_of(one), one["currency"]) for one in company.sales)
    rows = [(month, code, counts[month, code], amount) for month, code, amount in revenue(company)]
    return sorted(rows, key=lambda row: (-int(row[0].replace("-", "")), row[1]))[:12]


def revenue_of_october(company: Company) -> Rows:
    return [(code, amount) for (month, code), amount in company.revenue.items() if month == "2026-10"]


def top_customers(company: Company) -> Rows:
    # Stripe no longer lists deleted customers; the table retains their names.
    names = dict(company.center.rows("SELECT id, coalesce(name, email) FROM customers WHERE _deleted"))
    names |= {one["id"]: one["name"] or one["email"] for one in company.objects("/v1/customers")}
    sums: dict[str, list[int]] = {}
    for one in company.sales:
        if one["currency"] == "usd" and one["customer"] is not None:
            sums.setdefault(one["customer"], []).append(one["amount_captured"] - one["amount_refunded"])
    rows = [(names.get(who, who), len(each), major(sum(each), "usd")) for who, each in sums.items()]
    return sorted(rows, key=lambda row: (-row[2], row[0]))[:8]


def balance(company: Company) -> Rows:
    truth = company.center.stripe.ask("truth/balance")
    totals = {code: major(sums["available"] + sums["pending"], code) for code, sums in truth.items()}
    return [(code, totals[code], totals[code], Decimal(0)) for code in sorted(totals)]


def failures(company: Company) -> Rows:
    charges = company.objects("/v1/charges")
    return list(Counter(one["failure_code"] for one in charges if one["status"] == "failed").items())


def new_customers(company: Company) -> Rows:
    """Counts customers deleted since the first run, which stay in the table."""
    deleted = company.center.rows("SELECT count(*) FROM customers WHERE _deleted")[0][0]
    counts = Counter(month_of(one) for one in company.objects("/v1/customers"))
    times = company.center.rows("SELECT epoch(created)::BIGINT FROM customers WHERE _deleted")
    assert len(times) == deleted
    counts.update(month_of({"created": created}) for (created,) in times)
    return [(first_of(month), customers) for month, customers in counts.items()]


def fees(company: Company) -> Rows:
    sums: dict[tuple[str, str], int] = {}
    for one in company.objects("/v1/balance_transactions"):
        key = one["type"], one["currency"]
        sums[key] = sums.get(key, 0) + one["fee"]
    return [(kind, code, major(amount, code)) for (kind, code), amount in sums.items()]


def statuses(company: Company) -> Rows:
    return list(Counter(one["status"] for one in company.objects("/v1/subscriptions")).items())


def all_statuses(company: Company) -> Rows:
    listed = Stripe(company.center.stripe.url).all("/v1/subscriptions", [("status", "all")])
    assert {one["id"] for one in listed} == set(company.center.truth("all_subscriptions"))
    return list(Counter(one["status"] for one in listed).items())


def captured(company: Company) -> Rows:
    return list(Counter(one["currency"] for one in company.objects("/v1/charges") if one["captured"]).items())


def charge_statuses(company: Company) -> Rows:
    return list(Counter(one["status"] for one in company.objects("/v1/charges")).items())


Recount = Callable[[Company], Rows]
PAGE: dict[str, tuple[Recount, ...]] = {
    "charges": (revenue_in_usd, failures),
    "customers": (new_customers,),
    "balance_transactions": (fees,),
    "subscriptions": (statuses,),
    "all_subscriptions": (all_statuses,),
}
DEMO: tuple[Recount, ...] = (newest_revenue, top_customers, balance)
#: Recounts of the queries in the documentation, by a part of each query.
DOCUMENTED: dict[str, Recount] = {
    "AS revenue\nFROM charges": revenue,
    "AS revenue\nFROM read_parquet('stripe/charges/**": revenue_of_october,
    "FROM reader WHERE captured": captured,
    "FROM charges WHERE captured GROUP BY 1": captured,
    "charges__as_of(": charge_statuses,
    "FROM balance_transactions__latest": fees,
}
#: Queries that return rows instead of figures, and have a separate test.
ROWS = ("WHERE NOT _deleted ORDER BY", "FROM charges__history", "read_parquet('stripe/charges/*.parquet')")
#: Queries that other tests run: the query of a manifest, in `tests/destinations/test_objects.py`.
ELSEWHERE = ("getvariable('charges')",)


def documented() -> list[str]:
    """Every SELECT of README and docs, in a block of SQL or between double quotes."""
    found = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text()
        for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL):
            found += [part.strip() for part in block.split(";") if re.match(r"(--.*\n)*\s*SELECT ", part.strip())]
        found += re.findall(r'"(SELECT [^"]+)"', text)
    return found


def query_with(part: str) -> str:
    (sql,) = (one for one in documented() if part in one)
    return sql


def test_every_documented_query_has_a_recount() -> None:
    known = (*DOCUMENTED, *ROWS, *ELSEWHERE)
    assert [sql for sql in documented() if sum(part in sql for part in known) != 1] == []
    assert all(query_with(part) for part in known)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("part", DOCUMENTED)
def test_documented_query_equals_recount(company: Company, part: str, zone: str) -> None:
    sql = (
        query_with(part).replace("FROM reader", "FROM charges").replace("'stripe/", f"'{company.folder}/months/stripe/")
    )
    found = in_duckdb(company, sql, zone)
    assert sorted(found) == sorted(DOCUMENTED[part](company))
    assert found


@pytest.mark.parametrize("number", range(len(QUESTIONS)))
@pytest.mark.parametrize("zone", ZONES)
def test_demo_query_equals_recount(company: Company, number: int, zone: str) -> None:
    # The demo's tables contain each row once.
    sql = QUESTIONS[number][1].replace("FROM balance_transactions", f"FROM {latest_of('balance_transactions')}")
    found = in_duckdb(company, sql, zone)
    assert found == DEMO[number](company)
    assert found


def test_every_demo_and_page_query_has_a_recount() -> None:
    assert len(DEMO) == len(QUESTIONS)
    assert {report: len(PAGE[report]) for report in PAGE} == {report: len(EXAMPLES[report]) for report in EXAMPLES}


@pytest.mark.parametrize(
    ("report", "number"), [(report, number) for report in PAGE for number in range(len(PAGE[report]))]
)
@pytest.mark.parametrize("execute", [in_duckdb, in_postgres])
@pytest.mark.parametrize("zone", ZONES)
def test_page_example_equals_recount(
    company: Company, report: str, number: int, execute: Callable[[Company, str, str], Rows], zone: str
) -> None:
    table = latest_of(report) if METHODS[report]["method"] == "append" else report
    found = execute(company, EXAMPLES[report][number][1].format(table), zone)
    assert sorted(found) == sorted(PAGE[report][number](company))
    assert found


def test_company_contains_edge_cases_of_the_examples(company: Company) -> None:
    charges = company.objects("/v1/charges")
    assert any(one["status"] == "succeeded" and not one["captured"] and not one["amount_refunded"] for one in charges)
    assert any(not one["captured"] and one["amount_refunded"] for one in charges), "a released authorization"
    assert any(one["amount_refunded"] for one in company.sales)
    assert company.center.rows("SELECT count(DISTINCT _run) FROM balance_transactions") == [(2,)]
    assert company.center.rows("SELECT count(*) > 0 FROM subscriptions WHERE _deleted") == [(True,)]


def test_row_queries_return_the_rows_of_stripe(company: Company) -> None:
    charges = company.objects("/v1/charges")
    ids = [one["id"] for one in charges]
    path = str(company.folder / "files" / "stripe")
    newest = in_duckdb(company, query_with(ROWS[0]).replace("*", "id"), "UTC")
    newest_first = sorted(charges, key=lambda one: (one["created"], one["id"]), reverse=True)
    assert [id_ for (id_,) in newest] == [one["id"] for one in newest_first]
    files = in_duckdb(
        company, query_with(ROWS[2]).replace("SELECT *", "SELECT id").replace("'stripe", f"'{path}"), "UTC"
    )
    assert sorted(id_ for (id_,) in files) == sorted(ids)
    ((changed, *_),) = company.center.rows(
        "SELECT id FROM charges__history WHERE _valid_to IS NOT NULL ORDER BY id LIMIT 1"
    )
    versions = in_duckdb(company, query_with(ROWS[1]).replace("'ch_1'", f"'{changed}'"), "UTC")
    now = next(one for one in charges if one["id"] == changed)
    assert [until for _, until, *_ in versions] == [since for since, *_ in versions[1:]] + [None]
    assert versions[-1][2:] == (now["status"], now["amount"])
