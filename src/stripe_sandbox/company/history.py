"""The events that Stripe would have created in the company's last thirty days."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.calendar import DAY
from stripe_sandbox.company.money import ARRIVAL_DAYS

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

#: (event type, kind of the object in its payload).
KINDS: tuple[tuple[str, str], ...] = (
    ("customer.created", "customer"),
    ("customer.deleted", "customer"),
    ("customer.subscription.created", "subscription"),
    ("customer.subscription.updated", "subscription"),
    ("customer.subscription.deleted", "subscription"),
    ("invoice.created", "invoice"),
    ("invoice.finalized", "invoice"),
    ("invoice.paid", "invoice"),
    ("invoice.payment_failed", "invoice"),
    ("invoiceitem.created", "invoiceitem"),
    ("charge.succeeded", "charge"),
    ("charge.failed", "charge"),
    ("charge.pending", "charge"),
    ("charge.refunded", "charge"),
    ("refund.created", "refund"),
    ("charge.dispute.created", "dispute"),
    ("payout.created", "payout"),
    ("payout.paid", "payout"),
    ("payout.failed", "payout"),
    ("transfer.created", "transfer"),
    ("transfer.reversed", "transfer"),
    ("application_fee.created", "application_fee"),
    ("application_fee.refunded", "application_fee"),
    ("customer.discount.created", "discount"),
    ("subscription_schedule.created", "subscription_schedule"),
    ("charge.dispute.closed", "dispute"),
    ("refund.failed", "refund"),
)
_CODE = {kind: code for code, (kind, _) in enumerate(KINDS)}
KEPT_DAYS = 30

Happening = tuple[int, str, int]


def record(world: World) -> None:
    since = world.end - KEPT_DAYS * DAY
    keys = sorted(
        at << 40 | _CODE[what] << 34 | subject
        for at, what, subject in _happenings(world, since)
        if since <= at <= world.end
    )
    table = world.events
    for key in keys:
        table.created.append(key >> 40)
        table.kind.append(key >> 34 & 63)
        table.subject.append(key & 0x3FFFFFFFF)


def _happenings(world: World, since: int) -> Iterator[Happening]:
    yield from _of_customers(world, since)
    yield from _of_invoices(world, since)
    yield from _of_charges(world, since)
    yield from _of_money(world, since)


def _of_customers(world: World, since: int) -> Iterator[Happening]:
    customers, subs, discounts = world.customers, world.subscriptions, world.discounts
    for n in range(bisect_left(customers.created, since), len(customers.created)):
        yield customers.created[n], "customer.created", n
        if customers.deleted[n]:
            yield min(world.end, customers.created[n] + DAY), "customer.deleted", n
    for n, created in enumerate(subs.created):
        yield created, "customer.subscription.created", n
        if subs.ended[n] and subs.status[n] == t.CANCELED:
            yield subs.ended[n], "customer.subscription.deleted", n
        elif subs.cycles[n] > 1:
            yield subs.period_start[n], "customer.subscription.updated", n
    for n, start in enumerate(discounts.start):
        if discounts.place[n] in (t.ON_CUSTOMER, t.ON_SUBSCRIPTION):
            yield start, "customer.discount.created", n
    for n, created in enumerate(world.schedules.created):
        yield created, "subscription_schedule.created", n


def _of_invoices(world: World, since: int) -> Iterator[Happening]:
    invoices, items = world.invoices, world.invoice_items
    for n in range(bisect_left(invoices.created, since - DAY), len(invoices.created)):
        created, status = invoices.created[n], invoices.status[n]
        yield created, "invoice.created", n
        if status != t.DRAFT:
            yield created + 3600, "invoice.finalized", n
        if status == t.PAID:
            charge = invoices.charge[n]
            yield (world.charges.created[charge] if charge >= 0 else created + 3600), "invoice.paid", n
        elif invoices.charge[n] >= 0:
            yield world.charges.created[invoices.charge[n]], "invoice.payment_failed", n
    for n in range(bisect_left(items.created, since), len(items.created)):
        yield items.created[n], "invoiceitem.created", n


def _of_charges(world: World, since: int) -> Iterator[Happening]:
    charges, refunds, disputes = world.charges, world.refunds, world.disputes
    for n in range(bisect_left(charges.created, since), len(charges.created)):
        what = ("charge.succeeded", "charge.failed", "charge.pending", "charge.succeeded")[charges.status[n]]
        yield charges.created[n], what, n
    for n in range(bisect_left(refunds.created, since - 5 * DAY), len(refunds.created)):
        yield refunds.created[n], "refund.created", n
        yield refunds.created[n], "charge.refunded", refunds.charge[n]
        if refunds.status[n] == t.REFUND_FAILED:
            yield refunds.created[n] + 5 * DAY, "refund.failed", n
    for n, created in enumerate(disputes.created):
        yield created, "charge.dispute.created", n
        if disputes.status[n] in (t.WON, t.LOST):
            yield created + 40 * DAY, "charge.dispute.closed", n


def _of_money(world: World, since: int) -> Iterator[Happening]:
    payouts = world.payouts
    for n in range(bisect_left(payouts.created, since - 7 * DAY), len(payouts.created)):
        yield payouts.created[n], "payout.created", n
        if payouts.status[n] == t.PAYOUT_PAID:
            yield payouts.created[n] + ARRIVAL_DAYS[payouts.currency[n]] * DAY, "payout.paid", n
        elif payouts.status[n] == t.PAYOUT_FAILED:
            yield payouts.created[n] + 3 * DAY, "payout.failed", n
    for n in range(bisect_left(world.transfers.created, since), len(world.transfers.created)):
        yield world.transfers.created[n], "transfer.created", n
    for n in range(bisect_left(world.reversals.created, since), len(world.reversals.created)):
        yield world.reversals.created[n], "transfer.reversed", world.reversals.of[n]
    for n in range(bisect_left(world.fees.created, since), len(world.fees.created)):
        yield world.fees.created[n], "application_fee.created", n
    for n in range(bisect_left(world.fee_refunds.created, since), len(world.fee_refunds.created)):
        yield world.fee_refunds.created[n], "application_fee.refunded", world.fee_refunds.of[n]
