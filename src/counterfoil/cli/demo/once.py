"""`counterfoil demo --once`: loads every report of a simulated Stripe and runs SQL queries on the tables."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from counterfoil.cli.sandbox import checked_port, port_taken
from counterfoil.cli.terminal.screen import watching

if TYPE_CHECKING:
    from rich.console import Console

    from counterfoil.runs.pull import Pulled

DATABASE = "demo.duckdb"

QUESTIONS = (
    (
        "Revenue (captured minus refunded) by month in UTC and currency",
        """
        SELECT strftime(created AT TIME ZONE 'UTC', '%Y-%m') AS month, currency, count(*) AS charges,
               sum(amount_captured_major - amount_refunded_major) AS revenue
        FROM charges WHERE status = 'succeeded' AND captured
        GROUP BY ALL ORDER BY month DESC, currency LIMIT 12
        """,
    ),
    (
        "Top customers by revenue in usd",
        """
        SELECT coalesce(customers.name, customers.email, charges.customer) AS customer, count(*) AS charges,
               sum(amount_captured_major - amount_refunded_major) AS revenue
        FROM charges LEFT JOIN customers ON customers.id = charges.customer
        WHERE charges.status = 'succeeded' AND captured AND charges.currency = 'usd' AND charges.customer IS NOT NULL
        GROUP BY charges.customer, 1 ORDER BY revenue DESC, customer LIMIT 8
        """,
    ),
    (
        "Balance: reported by Stripe, and computed from the balance history",
        """
        WITH stripe AS (
            SELECT currency, sum(amount_major) AS reported FROM balance
            WHERE _bucket IN ('available', 'pending') GROUP BY currency
        ), history AS (
            SELECT currency, sum(net_major) AS computed FROM balance_transactions
            WHERE balance_type = 'payments' GROUP BY currency
        )
        SELECT currency, reported, computed, reported - computed AS difference
        FROM stripe FULL JOIN history USING (currency) ORDER BY currency
        """,
    ),
)


def read_everything(port: int) -> None:
    """Loads every report of a simulated Stripe on the port into demo.duckdb and runs the queries."""
    from rich.console import Console

    from counterfoil.app.connection import catalogue, connect, working_folder
    from counterfoil.settings import load_settings
    from stripe_sandbox import Sandbox

    to, folder = f"duckdb:///{DATABASE}", working_folder()
    console = Console()
    started = time.monotonic()
    # The sandbox has no rate limits, so Stripe's limits do not apply.
    settings = load_settings().model_copy(update={"rate_global": 10_000.0, "rate_endpoint": 10_000.0})
    with ExitStack() as stack:
        with port_taken(port):
            sandbox = stack.enter_context(Sandbox(port=checked_port(port)))
        connection = stack.enter_context(connect("sk_test_demo", api_base=sandbox.url, settings=settings))
        console.print(f"Simulated Stripe ready at {sandbox.url}\nLoading all {len(catalogue())} reports.\n")
        done = []
        for key in catalogue():
            with watching() as screen:
                done.append(connection.pull(key, to=to, overwrite=True, observe=screen.observe))
        _print_results(console, done, time.monotonic() - started)
    from counterfoil.destinations import open_destination

    destination = open_destination(to, relative_to=folder, settings=settings)
    try:
        for title, sql in QUESTIONS:
            _print_answer(console, title, destination.query(sql).read_all().to_pylist())
    finally:
        destination.close()
    console.print(f"\nAll tables are in {DATABASE}. Open it with DuckDB, DBeaver, Python or another tool.")


def _print_results(console: Console, done: list[Pulled], seconds: float) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("report")
    for name in ("rows", "columns", "requests", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("notes", style="dim")
    for one in done:
        counts = (f"{one.rows:,}", f"{one.columns:,}", f"{one.requests:,}", f"{one.seconds:.2f}")
        table.add_row(one.report, *counts, "; ".join(one.warnings))
    requests = sum(one.requests for one in done)
    table.add_section()
    table.add_row(f"{len(done)} reports", f"{sum(one.rows for one in done):,}", "", f"{requests:,}", f"{seconds:.2f}")
    console.print(table)


def _print_answer(console: Console, title: str, rows: list[dict[str, object]]) -> None:
    from decimal import Decimal

    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, value in (rows[0] if rows else {}).items():
        table.add_column(name, justify="right" if isinstance(value, int | Decimal) else "left")
    for row in rows:
        table.add_row(*(_cell(value, str(row.get("currency", "usd"))) for value in row.values()))
    console.print(f"\n[bold]{title}[/bold]")
    console.print(table)


def _cell(value: object, currency: str) -> str:
    """Amounts have the digits of their currency."""
    from decimal import Decimal

    from counterfoil.app.export.amounts import amount_text

    if isinstance(value, Decimal):
        return f"{Decimal(amount_text(value, currency)):,}"
    return f"{value:,}" if isinstance(value, int) else str(value)
