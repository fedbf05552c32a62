"""Events that lead to a customer, for the reports that are read again customer by customer."""

from __future__ import annotations

from collections.abc import Iterable

from counterfoil.reports.report import EventType


def customer_events(prefix: str, whats: Iterable[str], *path: str) -> tuple[EventType, ...]:
    """`prefix.what` for each of them, with the id at the path; the object's own without one."""
    return tuple(EventType(type=f"{prefix}.{what}", path=path or ("id",)) for what in whats)


INVOICES_OF_CUSTOMERS = customer_events(
    "invoice", ("created", "updated", "deleted", "finalized", "paid", "voided", "marked_uncollectible"), "customer"
)
INVOICE_ITEMS_OF_CUSTOMERS = customer_events("invoiceitem", ("created", "deleted"), "customer")
#: What can carry a discount, or bring one to an invoice.
DISCOUNTS_OF_CUSTOMERS = (
    *customer_events("customer", ("created", "updated", "deleted")),
    *customer_events("customer.discount", ("created", "updated", "deleted"), "customer"),
    *customer_events(
        "customer.subscription",
        ("created", "updated", "deleted", "paused", "resumed", "pending_update_applied", "pending_update_expired"),
        "customer",
    ),
    *INVOICES_OF_CUSTOMERS,
    *INVOICE_ITEMS_OF_CUSTOMERS,
)
#: What has a say in a customer's next invoices.
NEXT_INVOICES_OF_CUSTOMERS = (
    *DISCOUNTS_OF_CUSTOMERS,
    *customer_events(
        "subscription_schedule",
        ("created", "updated", "canceled", "released", "completed", "aborted", "expiring"),
        "customer",
    ),
    *customer_events("customer.tax_id", ("created", "updated", "deleted"), "customer"),
    *customer_events("billing.credit_grant", ("created", "updated"), "customer"),
)
