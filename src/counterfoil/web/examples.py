"""Example queries by report: a title, and SQL valid for all destinations with a placeholder for the table name."""

from __future__ import annotations

#: Rows marked as deleted by a merge are excluded: they hold the last status before the deletion.
_BY_STATUS = """\
SELECT status, count(*) AS subscriptions
FROM {}
WHERE _deleted IS NOT TRUE
GROUP BY 1
ORDER BY subscriptions DESC"""

EXAMPLES = {
    "charges": (
        (
            "Revenue by month (USD, UTC)",
            """\
-- Captured minus refunded, by the month of the charge.
SELECT CAST(date_trunc('month', created AT TIME ZONE 'UTC') AS DATE) AS month,
       sum(amount_captured_major - amount_refunded_major) AS revenue
FROM {}
WHERE status = 'succeeded' AND captured AND currency = 'usd'
GROUP BY month
ORDER BY month""",
        ),
        (
            "Failed charges by reason",
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
            "New customers by month (UTC)",
            """\
SELECT CAST(date_trunc('month', created AT TIME ZONE 'UTC') AS DATE) AS month, count(*) AS customers
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
    "subscriptions": (("Subscriptions by status", _BY_STATUS),),
    "all_subscriptions": (("All subscriptions by status", _BY_STATUS),),
}
