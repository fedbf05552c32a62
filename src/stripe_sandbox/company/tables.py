"""The company's data: one table for each kind of object, with compact arrays as columns, in order of creation.

References between tables are indexes; -1 is none. All other fields of an object are derived from its index.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field


def _seconds() -> array[int]:
    return array("q")


def _amounts() -> array[int]:
    return array("q")


def _indexes() -> array[int]:
    return array("i")


def _codes() -> array[int]:
    return array("B")


@dataclass(slots=True)
class Customers:
    created: array[int] = field(default_factory=_seconds)
    currency: array[int] = field(default_factory=_codes)
    deleted: array[int] = field(default_factory=_codes)


SUBSCRIPTION_STATUSES = (
    "active", "trialing", "past_due", "unpaid", "paused", "incomplete", "incomplete_expired", "canceled",
)  # fmt: skip
ACTIVE, TRIALING, PAST_DUE, UNPAID, PAUSED, INCOMPLETE, INCOMPLETE_EXPIRED, CANCELED = range(8)


@dataclass(slots=True)
class Subscriptions:
    created: array[int] = field(default_factory=_seconds)
    customer: array[int] = field(default_factory=_indexes)
    #: Index of its first price in the catalogue's list for its currency and interval.
    first_price: array[int] = field(default_factory=_codes)
    yearly: array[int] = field(default_factory=_codes)
    items: array[int] = field(default_factory=_codes)
    quantity: array[int] = field(default_factory=_codes)
    status: array[int] = field(default_factory=_codes)
    cancel_at_period_end: array[int] = field(default_factory=_codes)
    ended: array[int] = field(default_factory=_seconds)
    period_start: array[int] = field(default_factory=_seconds)
    period_end: array[int] = field(default_factory=_seconds)
    #: Number of invoices so far.
    cycles: array[int] = field(default_factory=_codes)
    #: The cost of one period before discounts.
    amount: array[int] = field(default_factory=_amounts)
    latest_invoice: array[int] = field(default_factory=_indexes)
    schedule: array[int] = field(default_factory=_indexes)


SCHEDULE_STATUSES = ("not_started", "active", "completed", "released", "canceled")
NOT_STARTED, SCHEDULE_ACTIVE, COMPLETED, RELEASED, SCHEDULE_CANCELED = range(5)


@dataclass(slots=True)
class Schedules:
    created: array[int] = field(default_factory=_seconds)
    customer: array[int] = field(default_factory=_indexes)
    subscription: array[int] = field(default_factory=_indexes)
    status: array[int] = field(default_factory=_codes)
    start: array[int] = field(default_factory=_seconds)


INVOICE_STATUSES = ("draft", "open", "paid", "uncollectible", "void")
DRAFT, OPEN, PAID, UNCOLLECTIBLE, VOID = range(5)


@dataclass(slots=True)
class Invoices:
    created: array[int] = field(default_factory=_seconds)
    customer: array[int] = field(default_factory=_indexes)
    subscription: array[int] = field(default_factory=_indexes)
    cycle: array[int] = field(default_factory=_codes)
    status: array[int] = field(default_factory=_codes)
    subtotal: array[int] = field(default_factory=_amounts)
    total: array[int] = field(default_factory=_amounts)
    #: The charge that paid it, or that failed.
    charge: array[int] = field(default_factory=_indexes)
    #: Invoice items by the index of their invoice; most invoices have none.
    items: dict[int, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class InvoiceItems:
    created: array[int] = field(default_factory=_seconds)
    customer: array[int] = field(default_factory=_indexes)
    invoice: array[int] = field(default_factory=_indexes)
    subscription: array[int] = field(default_factory=_indexes)
    price: array[int] = field(default_factory=_codes)
    quantity: array[int] = field(default_factory=_codes)
    proration: array[int] = field(default_factory=_codes)
    amount: array[int] = field(default_factory=_amounts)
    #: Pending invoice items by customer.
    pending: dict[int, list[int]] = field(default_factory=dict)


ON_CUSTOMER, ON_SUBSCRIPTION, ON_ITEM, ON_INVOICE, ON_LINE, ON_INVOICE_ITEM = range(6)


@dataclass(slots=True)
class Discounts:
    """`owner` is an index into the table that `place` names; for items and lines it is parent and position."""

    place: array[int] = field(default_factory=_codes)
    owner: array[int] = field(default_factory=_indexes)
    coupon: array[int] = field(default_factory=_codes)
    start: array[int] = field(default_factory=_seconds)
    #: 0 if it has no end.
    end: array[int] = field(default_factory=_seconds)
    #: Discounts by owner, for each place.
    at: tuple[dict[int, int], ...] = field(default_factory=lambda: tuple({} for _ in range(6)))


CHARGE_STATUSES = ("succeeded", "failed", "pending", "succeeded")
SUCCEEDED, FAILED, PENDING, UNCAPTURED = range(4)
CARD, SEPA_DEBIT, US_BANK_ACCOUNT = range(3)


@dataclass(slots=True)
class Charges:
    created: array[int] = field(default_factory=_seconds)
    amount: array[int] = field(default_factory=_amounts)
    currency: array[int] = field(default_factory=_codes)
    status: array[int] = field(default_factory=_codes)
    method: array[int] = field(default_factory=_codes)
    customer: array[int] = field(default_factory=_indexes)
    invoice: array[int] = field(default_factory=_indexes)
    transaction: array[int] = field(default_factory=_indexes)
    refunds: dict[int, list[int]] = field(default_factory=dict)
    dispute: dict[int, int] = field(default_factory=dict)
    fee: dict[int, int] = field(default_factory=dict)


REFUND_STATUSES = ("succeeded", "pending", "failed")
REFUND_SUCCEEDED, REFUND_PENDING, REFUND_FAILED = range(3)


@dataclass(slots=True)
class Refunds:
    created: array[int] = field(default_factory=_seconds)
    charge: array[int] = field(default_factory=_indexes)
    amount: array[int] = field(default_factory=_amounts)
    status: array[int] = field(default_factory=_codes)
    transaction: array[int] = field(default_factory=_indexes)
    failure_transaction: dict[int, int] = field(default_factory=dict)


DISPUTE_STATUSES = ("lost", "won", "needs_response", "under_review")
LOST, WON, NEEDS_RESPONSE, UNDER_REVIEW = range(4)


@dataclass(slots=True)
class Disputes:
    created: array[int] = field(default_factory=_seconds)
    charge: array[int] = field(default_factory=_indexes)
    status: array[int] = field(default_factory=_codes)
    transaction: array[int] = field(default_factory=_indexes)
    reversal: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Fees:
    created: array[int] = field(default_factory=_seconds)
    charge: array[int] = field(default_factory=_indexes)
    amount: array[int] = field(default_factory=_amounts)
    account: array[int] = field(default_factory=_codes)
    transaction: array[int] = field(default_factory=_indexes)
    refunds: dict[int, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Transfers:
    created: array[int] = field(default_factory=_seconds)
    amount: array[int] = field(default_factory=_amounts)
    currency: array[int] = field(default_factory=_codes)
    account: array[int] = field(default_factory=_codes)
    transaction: array[int] = field(default_factory=_indexes)
    refunds: dict[int, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class PartialReturns:
    """Refunds of application fees, or reversals of transfers."""

    created: array[int] = field(default_factory=_seconds)
    of: array[int] = field(default_factory=_indexes)
    amount: array[int] = field(default_factory=_amounts)
    transaction: array[int] = field(default_factory=_indexes)


PAYOUT_STATUSES = ("paid", "in_transit", "failed")
PAYOUT_PAID, PAYOUT_IN_TRANSIT, PAYOUT_FAILED = range(3)


@dataclass(slots=True)
class Payouts:
    created: array[int] = field(default_factory=_seconds)
    amount: array[int] = field(default_factory=_amounts)
    currency: array[int] = field(default_factory=_codes)
    status: array[int] = field(default_factory=_codes)
    transaction: array[int] = field(default_factory=_indexes)
    failure_transaction: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Transactions:
    """The ledger. `kind` is an index into `ledger.KINDS`, `source` one into the table of that kind."""

    created: array[int] = field(default_factory=_seconds)
    available_on: array[int] = field(default_factory=_seconds)
    kind: array[int] = field(default_factory=_codes)
    source: array[int] = field(default_factory=_indexes)
    amount: array[int] = field(default_factory=_amounts)
    fee: array[int] = field(default_factory=_indexes)
    currency: array[int] = field(default_factory=_codes)
    payout: array[int] = field(default_factory=_indexes)
    #: Ids of payouts created after generation, by transaction.
    paid_later: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Events:
    """Events of the last thirty days. `kind` is an index into `history.KINDS`, `subject` one into its table."""

    created: array[int] = field(default_factory=_seconds)
    kind: array[int] = field(default_factory=_codes)
    subject: array[int] = field(default_factory=_indexes)
