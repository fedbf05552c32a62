"""The catalogue of reports, in the order of the menu."""

from __future__ import annotations

import re
from difflib import get_close_matches

from counterfoil.columns.column import Column
from counterfoil.columns.system import SYSTEM_COLUMNS
from counterfoil.errors import SettingsError
from counterfoil.reports.lists import balance, billing, connect, embedded, payments, products
from counterfoil.reports.report import Report

REPORTS: tuple[Report, ...] = (
    connect.ACCOUNT,
    connect.APPLICATION_FEES,
    balance.BALANCE,
    balance.BALANCE_TRANSACTIONS,
    payments.CHARGES,
    products.COUPONS,
    payments.CUSTOMERS,
    products.DISCOUNTS,
    payments.EVENTS,
    billing.INVOICES,
    billing.INVOICE_ITEMS,
    billing.UPCOMING_INVOICES,
    products.PLANS,
    connect.RECIPIENTS,
    payments.REFUNDS,
    connect.TRANSFERS,
    billing.SUBSCRIPTIONS,
    billing.ALL_SUBSCRIPTIONS,
    embedded.INVOICE_LINE_ITEMS,
    embedded.SUBSCRIPTION_ITEMS,
    embedded.APPLICATION_FEE_REFUNDS,
    embedded.TRANSFER_REVERSALS,
)


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_BY_NAME = {name: report for report in REPORTS for name in (_folded(report.title), _folded(report.key))}


def report(key: str) -> Report:
    """The report with a key or title, regardless of case and spacing; SettingsError suggests similar keys."""
    key = str(key)  # programs pass values of any type
    found = _BY_NAME.get(_folded(key))
    if found is not None:
        return found
    near = get_close_matches(_folded(key), _BY_NAME, n=3, cutoff=0.5)
    keys = list(dict.fromkeys(_BY_NAME[name].key for name in near))
    raise SettingsError(
        f"report {key!r} not found",
        hint=f"Did you mean {' or '.join(keys)}?" if keys else "List the reports with: counterfoil reports",
        code="report_not_found",
    )


def columns_of(report: Report) -> tuple[Column, ...]:
    """All columns of the report's table in order, including the system columns."""
    return (*report.columns, *SYSTEM_COLUMNS)
