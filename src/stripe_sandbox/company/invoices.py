"""Invoices: one for each period of a subscription, manual invoices, and invoice items."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stripe_sandbox.chance import mix
from stripe_sandbox.company import tables as t
from stripe_sandbox.company.calendar import DAY, growing, months_later
from stripe_sandbox.company.discounts import in_force
from stripe_sandbox.company.money import rounded

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

_MANUAL = 1 << 39


class Line(NamedTuple):
    price: int
    quantity: int
    amount: int
    #: Position of the subscription item, or -1.
    item: int
    #: Index of the invoice item, or -1.
    invoice_item: int
    discounts: tuple[int, ...]


class Bill(NamedTuple):
    """Lines, and the amount that each discount took off each line."""

    lines: list[Line]
    discounts: list[int]
    taken: list[dict[int, int]]

    def totals(self) -> dict[int, int]:
        """Every discount of the invoice and its lines, with its total amount."""
        sums = dict.fromkeys(self.discounts, 0)
        for line, taken in zip(self.lines, self.taken, strict=True):
            for discount in line.discounts:
                sums.setdefault(discount, 0)
            for discount, amount in taken.items():
                sums[discount] += amount
        return sums


def invoice(world: World) -> None:
    """Fills the invoices in order of creation, and all invoice items, including pending ones."""
    subs, invoices = world.subscriptions, world.invoices
    keys: list[int] = []
    for n in range(len(subs.created)):
        created, months = subs.created[n], 12 if subs.yearly[n] else 1
        keys.extend(months_later(created, cycle * months) << 40 | n << 8 | cycle for cycle in range(subs.cycles[n]))
    chance = world.chance("manual")
    manual = max(12, round(60 * world.scale))
    for n in range(manual):
        share = (chance.of(n) >> 32) / (1 << 32)
        keys.append(
            growing(n, manual, share, world.start + 20 * DAY, world.end - world.start - 20 * DAY, 0.7) << 40
            | _MANUAL
            | n << 8
        )
    keys.sort()
    items: list[tuple[int, ...]] = []
    for key in keys:
        number = (key & (_MANUAL - 1)) >> 8
        invoices.created.append(key >> 40)
        if key & _MANUAL:
            _by_hand(world, items, number, chance.of(number))
        else:
            _of_period(world, items, number, key & 0xFF)
    _leave_pending(world, items)
    _keep_items(world, items)


def _by_hand(world: World, items: list[tuple[int, ...]], number: int, dice: int) -> None:
    invoices = world.invoices
    n, created = len(invoices.created) - 1, invoices.created[-1]
    customer = _payer(world, created, dice)
    status = (t.PAID, t.PAID, t.OPEN, t.PAID, t.VOID, t.PAID, t.DRAFT, t.UNCOLLECTIBLE)[number % 8]
    if status == t.DRAFT and created < world.end - 300 * DAY:
        status = t.PAID
    _append(world, customer, -1, 0, status)
    count = 11 + (dice >> 8) % 27 if number % 9 == 2 else 1 + (dice >> 8) % 5
    items.extend(_item(world, created - 1, customer, n, -1, mix(dice + at), at) for at in range(count))


def _of_period(world: World, items: list[tuple[int, ...]], sub: int, cycle: int) -> None:
    subs, invoices = world.subscriptions, world.invoices
    n, created = len(invoices.created) - 1, invoices.created[-1]
    last = subs.cycles[sub] - 1
    status = t.PAID
    state = subs.status[sub]
    if state == t.INCOMPLETE:
        status = t.OPEN
    elif state == t.INCOMPLETE_EXPIRED:
        status = t.VOID
    elif state == t.PAST_DUE and cycle == last:
        status = t.OPEN
    elif state == t.UNPAID and cycle >= last - 1:
        status = t.OPEN if cycle == last else t.UNCOLLECTIBLE
    elif state == t.CANCELED and cycle == last and sub % 4 == 0:
        status = t.UNCOLLECTIBLE
    elif created > world.end - 3600:
        status = t.DRAFT
    _append(world, subs.customer[sub], sub, cycle, status)
    subs.latest_invoice[sub] = n
    dice = world.invoice_chance.of(n)
    if cycle and dice % 20 == 3:
        items.append(_item(world, created - DAY, subs.customer[sub], n, sub, dice, 0))


def _append(world: World, customer: int, sub: int, cycle: int, status: int) -> None:
    invoices = world.invoices
    invoices.customer.append(customer)
    invoices.subscription.append(sub)
    invoices.cycle.append(cycle)
    invoices.status.append(status)
    invoices.charge.append(-1)


def _payer(world: World, at: int, dice: int) -> int:
    customer = dice % max(1, world.customers_before(at))
    while world.customers.deleted[customer]:
        customer -= 1
    return customer


def _item(world: World, at: int, customer: int, n: int, sub: int, dice: int, position: int) -> tuple[int, ...]:
    """(date, invoice, position, customer, subscription, price, quantity, proration, amount), sortable by date."""
    currency = world.customers.currency[customer]
    goods = world.catalogue.goods[currency]
    price = goods[dice % len(goods)]
    cost = world.catalogue.prices[price].amount or 0
    quantity = 1 + (dice >> 10) % 4
    if sub >= 0 and dice & 1:
        # A credit for the unused part of a plan: at most a tenth of the period, so that no invoice is negative.
        credit = rounded(world.subscriptions.amount[sub] // 10, currency)
        return at, n, position, customer, sub, price, 1, 1, -credit
    return at, n, position, customer, sub, price, quantity, 0, cost * quantity


def _leave_pending(world: World, items: list[tuple[int, ...]]) -> None:
    subs, chance = world.subscriptions, world.chance("pending")
    live = [n for n, status in enumerate(subs.status) if status == t.ACTIVE]
    for n in range(max(4, round(40 * world.scale))):
        dice = chance.of(n)
        at = world.end - (dice >> 32) % (25 * DAY) - 60
        if n % 3 and live:
            sub = live[dice % len(live)]
            items.append(_item(world, at, subs.customer[sub], -1, sub, dice & ~1, n))
        else:
            items.append(_item(world, at, _payer(world, at, dice), -1, -1, dice, n))


def _keep_items(world: World, rows: list[tuple[int, ...]]) -> None:
    rows.sort()
    table = world.invoice_items
    for n, (date, owner, _, customer, sub, price, quantity, proration, amount) in enumerate(rows):
        table.created.append(date)
        table.invoice.append(owner)
        table.customer.append(customer)
        table.subscription.append(sub)
        table.price.append(price)
        table.quantity.append(quantity)
        table.proration.append(proration)
        table.amount.append(amount)
        if owner < 0:
            table.pending.setdefault(customer, []).append(n)
        else:
            world.invoices.items.setdefault(owner, []).append(n)


def total(world: World) -> None:
    """Fills the subtotal and the total of each invoice."""
    invoices, subs = world.invoices, world.subscriptions
    at_items, at_subs, at_customers = (
        world.discounts.at[t.ON_ITEM],
        world.discounts.at[t.ON_SUBSCRIPTION],
        world.discounts.at[0],
    )
    with_items = {owner >> 5 for owner in at_items}
    for n, sub in enumerate(invoices.subscription):
        plain = sub >= 0 and subs.status[sub] != t.TRIALING and sub not in at_subs and sub not in with_items
        if plain and n not in invoices.items and invoices.customer[n] not in at_customers:
            subtotal = amount = subs.amount[sub]
        else:
            done = bill(world, n)
            subtotal = sum(line.amount for line in done.lines)
            amount = subtotal - sum(done.totals().values())
        invoices.subtotal.append(subtotal)
        invoices.total.append(amount)


def lines_of(world: World, n: int) -> list[Line]:
    invoices, sub = world.invoices, world.invoices.subscription[n]
    lines = [item_line(world, item) for item in invoices.items.get(n, ())]
    if lines and (own := world.discounts.at[t.ON_LINE].get(n * 64 + len(lines) - 1)) is not None:
        lines[-1] = lines[-1]._replace(discounts=(*lines[-1].discounts, own))
    if sub >= 0:
        lines += period_lines(world, sub, free=world.subscriptions.status[sub] == t.TRIALING)
    return lines


def item_line(world: World, item: int) -> Line:
    items = world.invoice_items
    own = world.discounts.at[t.ON_INVOICE_ITEM].get(item)
    return Line(items.price[item], items.quantity[item], items.amount[item], -1, item, () if own is None else (own,))


def period_lines(world: World, sub: int, *, free: bool = False) -> list[Line]:
    lines = []
    for position in range(world.subscriptions.items[sub]):
        own = world.discounts.at[t.ON_ITEM].get(sub * 32 + position)
        amount = 0 if free else world.item_cost(sub, position)
        discounts = () if own is None else (own,)
        lines.append(
            Line(world.item_price(sub, position), world.item_quantity(sub, position), amount, position, -1, discounts)
        )
    return lines


def bill(world: World, n: int) -> Bill:
    """The lines of an invoice, with the discounts in force at its creation."""
    invoices, at = world.invoices, world.discounts.at
    created, sub = invoices.created[n], invoices.subscription[n]
    own = at[t.ON_INVOICE].get(n)
    of_sub = at[t.ON_SUBSCRIPTION].get(sub) if sub >= 0 else None
    of_customer = at[t.ON_CUSTOMER].get(invoices.customer[n])
    found = [d for d in (own, of_sub) if d is not None and in_force(world, d, created)]
    if not found and of_customer is not None and in_force(world, of_customer, created):
        found = [of_customer]
    return discounted(world, lines_of(world, n), found, world.customers.currency[invoices.customer[n]])


def discounted(world: World, lines: list[Line], discounts: list[int], currency: int) -> Bill:
    taken: list[dict[int, int]] = [{} for _ in lines]
    left = [max(0, line.amount) for line in lines]
    for position, line in enumerate(lines):
        for discount in line.discounts:
            _take(world, discount, [position], lines, left, taken, currency)
    for discount in discounts:
        _take(world, discount, list(range(len(lines))), lines, left, taken, currency)
    return Bill(lines, discounts, taken)


def _take(
    world: World, discount: int, positions: list[int], lines: list[Line], left: list[int],
    taken: list[dict[int, int]], currency: int,
) -> None:  # fmt: skip
    coupon = world.catalogue.coupons[world.discounts.coupon[discount]]
    purse = coupon.amount or 0
    for position in positions:
        if coupon.applies_to and world.catalogue.prices[lines[position].price].product not in coupon.applies_to:
            continue
        if coupon.percent is not None:
            amount = rounded(int(left[position] * coupon.percent) // 100, currency)
        else:
            amount = min(purse, left[position])
            purse -= amount
        if amount:
            left[position] -= amount
            taken[position][discount] = amount
