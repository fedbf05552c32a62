"""Questions to begin with, by report: a title, and SQL of all destinations with a place for the table's name."""

from __future__ import annotations

EXAMPLES = {
    "charges": (
        (
            "Revenue by month",
            """\
SELECT left(CAST(created AS VARCHAR), 7) AS month,
       sum(amount_captured_major - amount_refunded_major) AS net
FROM {}
WHERE status = 'succeeded' AND currency = 'usd'
GROUP BY month
ORDER BY month""",
        ),
        (
            "What fails, and why",
            """\
SELECT failure_code, count(*) AS charges
FROM {}
WHERE status = 'failed'
GROUP BY 1
ORDER BY charges DESC""",
        ),
    ),
    "customers": (
        (
            "New customers by month",
            """\
SELECT left(CAST(created AS VARCHAR), 7) AS month, count(*) AS customers
FROM {}
GROUP BY month
ORDER BY month""",
        ),
    ),
    "balance_transactions": (
        (
            "Fees by type",
            """\
SELECT type, currency, sum(fee_major) AS fees
FROM {}
GROUP BY 1, 2
ORDER BY fees DESC""",
        ),
    ),
    "subscriptions": (
        (
            "Subscriptions by status",
            """\
SELECT status, count(*) AS subscriptions
FROM {}
GROUP BY 1
ORDER BY subscriptions DESC""",
        ),
    ),
}
