"""The kinds of simulated activity: the frequency of each activity, and the function that performs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stripe_sandbox.life import (
    catalogue,
    charges,
    customers,
    discounts,
    invoice_items,
    invoices,
    payouts,
    platform,
    refunds,
    schedules,
    subscriptions,
)
from stripe_sandbox.life.scene import Scene


@dataclass(frozen=True, slots=True)
class Happening:
    """One kind of activity. `does` returns False if it found no suitable object."""

    kind: str
    name: str
    #: Frequency relative to the other activities.
    weight: int
    does: Callable[[Scene], bool]


HAPPENINGS: tuple[Happening, ...] = (
    Happening("account", "updated", 5, platform.account_updated),
    Happening("application_fee", "refunded", 10, platform.fee_refunded),
    Happening("application_fee", "refund_updated", 4, platform.fee_refund_updated),
    Happening("charge", "sold", 220, charges.sold),
    Happening("charge", "updated", 50, charges.updated),
    Happening("coupon", "created", 8, discounts.coupon_created),
    Happening("coupon", "updated", 8, discounts.coupon_updated),
    Happening("coupon", "deleted", 4, discounts.coupon_deleted),
    Happening("customer", "created", 70, customers.created),
    Happening("customer", "updated", 120, customers.updated),
    Happening("customer", "deleted", 12, customers.deleted),
    Happening("discount", "given_to_customer", 15, discounts.customer_discounted),
    Happening("discount", "taken_from_customer", 8, discounts.customer_undiscounted),
    Happening("discount", "given_to_subscription", 15, discounts.subscription_discounted),
    Happening("discount", "taken_from_subscription", 8, discounts.subscription_undiscounted),
    Happening("dispute", "opened", 12, refunds.dispute_opened),
    Happening("invoice", "drafted", 45, invoices.drafted),
    Happening("invoice", "amended", 10, invoices.amended),
    Happening("invoice", "discarded", 6, invoices.discarded),
    Happening("invoice", "settled", 40, invoices.settled),
    Happening("invoiceitem", "created", 45, invoice_items.created),
    Happening("invoiceitem", "revised", 15, invoice_items.revised),
    Happening("invoiceitem", "deleted", 8, invoice_items.deleted),
    Happening("payout", "updated", 5, payouts.updated),
    Happening("plan", "created", 6, catalogue.plan_created),
    Happening("plan", "updated", 8, catalogue.plan_updated),
    Happening("plan", "deleted", 3, catalogue.plan_deleted),
    Happening("product", "updated", 4, catalogue.product_updated),
    Happening("refund", "created", 70, refunds.created),
    Happening("refund", "updated", 15, refunds.updated),
    Happening("subscription", "started", 40, subscriptions.started),
    Happening("subscription", "updated", 60, subscriptions.updated),
    Happening("subscription", "paused", 12, subscriptions.paused),
    Happening("subscription", "canceled", 25, subscriptions.canceled),
    Happening("subscription_schedule", "created", 10, schedules.created),
    Happening("subscription_schedule", "changed", 10, schedules.changed),
    Happening("transfer", "made", 20, platform.transferred),
    Happening("transfer", "reversed", 14, platform.transfer_reversed),
    Happening("transfer", "updated", 6, platform.transfer_updated),
)

#: Functions that schedule follow-ups of generated objects when activity starts, by kind.
BEGINNINGS: dict[str, tuple[Callable[[Scene], None], ...]] = {
    "charge": (charges.generated_waits,),
    "discount": (discounts.generated_ends,),
    "invoice": (invoices.generated_waits,),
    "invoiceitem": (invoice_items.generated_waiting,),
    "payout": (payouts.generated_waits,),
    "refund": (refunds.generated_waits,),
    "subscription": (subscriptions.generated_waits,),
    "subscription_schedule": (schedules.generated_waits,),
}

NAMES = tuple(dict.fromkeys(one.kind for one in HAPPENINGS))
