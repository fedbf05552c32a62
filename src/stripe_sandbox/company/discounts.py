"""Discounts, in every place where Stripe allows one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.calendar import months_later

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World


def give(world: World, place: int, owner: int, coupon: int, start: int) -> int:
    """Adds a discount to an owner; a coupon with the duration `once` ends with the first invoice."""
    table, terms = world.discounts, world.catalogue.coupons[coupon]
    end = 0
    if terms.duration == "once":
        end = start + 1
    elif terms.duration == "repeating":
        end = months_later(start, terms.months or 1)
    n = len(table.place)
    table.place.append(place)
    table.owner.append(owner)
    table.coupon.append(coupon)
    table.start.append(start)
    table.end.append(end)
    table.at[place][owner] = n
    return n


def _coupon(dice: int, currency: int, *, lasting: bool) -> int:
    """Picks a coupon that fits the currency; a lasting coupon never ends."""
    choices = (1, 3, 7 + currency, 11 + dice % 19) if lasting else (0, 1, 2, 4, 5, 7 + currency)
    return choices[(dice >> 24) % len(choices)]


def give_lasting(world: World) -> None:
    """Adds discounts to customers, subscriptions and their items."""
    customers, subs, chance = world.customers, world.subscriptions, world.chance("discount")
    for n in range(7, len(customers.created), 24):
        if not customers.deleted[n]:
            coupon = _coupon(chance.of(n), customers.currency[n], lasting=True)
            give(world, t.ON_CUSTOMER, n, coupon, customers.created[n] + 5)
    for n in range(len(subs.created)):
        dice = chance.of(n ^ 0x5000000)
        currency = customers.currency[subs.customer[n]]
        if dice % 10 == 0 or n == 3:
            # Some start after the last invoice, so no invoice shows them.
            late = (dice >> 4) % 3 == 0 and subs.status[n] == t.ACTIVE and subs.period_start[n] + 7200 < world.end
            start = subs.period_start[n] + 7200 if late else subs.created[n]
            give(world, t.ON_SUBSCRIPTION, n, _coupon(dice, currency, lasting=late), start)
        if dice % 16 == 1 or n == 3:
            # In a large subscription, the last item is not among the ten that the embedded list shows.
            owner = n * 32 + subs.items[n] - 1
            give(world, t.ON_ITEM, owner, _coupon(dice >> 8, currency, lasting=True), subs.created[n])


def give_once(world: World) -> None:
    """Adds discounts to manual invoices, to single lines of them, and to invoice items."""
    invoices, items, chance = world.invoices, world.invoice_items, world.chance("once")
    for n, own in invoices.items.items():
        dice = chance.of(n)
        currency = world.customers.currency[invoices.customer[n]]
        if invoices.subscription[n] < 0 and dice % 3 == 0:
            give(world, t.ON_INVOICE, n, _coupon(dice, currency, lasting=True), invoices.created[n])
        if invoices.subscription[n] < 0 and dice % 4 == 1:
            line = n * 64 + len(own) - 1
            give(world, t.ON_LINE, line, _coupon(dice >> 4, currency, lasting=True), invoices.created[n])
    for n in range(2, len(items.created), 9):
        if items.amount[n] > 0:
            currency = world.customers.currency[items.customer[n]]
            give(world, t.ON_INVOICE_ITEM, n, _coupon(chance.of(~n), currency, lasting=True), items.created[n])


def in_force(world: World, discount: int | None, at: int) -> bool:
    if discount is None or world.discounts.start[discount] > at:
        return False
    return not 0 < world.discounts.end[discount] <= at
