"""Event types that identify a customer, for reports that are updated customer by customer."""

from __future__ import annotations

from collections.abc import Iterable

from counterfoil.reports.report import EventType


def customer_events(prefix: str, whats: Iterable[str], *path: str) -> tuple[EventType, ...]:
    """The event types `prefix.what`, with the customer's id at the path; by default the object's own id."""
    return tuple(EventType(type=f"{prefix}.{what}", path=path or ("id",)) for what in whats)


INVOICES_OF_CUSTOMERS = customer_events(
    "invoice", ("created", "updated", "deleted", "finalized", "paid", "voided", "marked_uncollectible"), "customer"
)
INVOICE_ITEMS_OF_CUSTOMERS = customer_events("invoiceitem", ("created", "deleted"), "customer")
#: Events of objects that can have a discount or add one to an invoice.
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
#: Events that can change a customer's next invoices.
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
