"""Subscriptions with their statuses and periods, and subscription schedules."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from stripe_sandbox.chance import mix
from stripe_sandbox.company import tables as t
from stripe_sandbox.company.calendar import DAY, growing, months_later

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

#: The percentage of subscriptions with each status.
_SHARES = ((t.ACTIVE, 44), (t.TRIALING, 6), (t.PAST_DUE, 4), (t.UNPAID, 2), (t.PAUSED, 2), (t.INCOMPLETE, 2))
_ENDED = ((t.INCOMPLETE_EXPIRED, 3), (t.CANCELED, 37))
_STATUS_OF = [status for status, share in _SHARES + _ENDED for _ in range(share)]
TRIAL_DAYS = 14


def subscribe(world: World) -> None:
    """Fills the subscriptions, in order of creation."""
    count = max(16, round(250 * world.scale))
    chance = world.chance("subscription")
    starts = sorted((_start(world, n, count, chance.of(n)) << 32) | n for n in range(count))
    for key in starts:
        n, created = key & 0xFFFFFFFF, key >> 32
        _add(world, created, _status(n, chance.of(n)), mix(chance.of(n)))


def _status(n: int, dice: int) -> int:
    return n if n < 8 else _STATUS_OF[dice % 100]


def _start(world: World, n: int, count: int, dice: int) -> int:
    share = (dice >> 32) / (1 << 32)
    status = _status(n, dice)
    end = world.end
    if status == t.TRIALING:
        created = end - int(share * (TRIAL_DAYS - 1) * DAY) - 60
    elif status == t.INCOMPLETE:
        created = end - int(share * 22 * 3600) - 60
    else:
        quiet = {t.CANCELED: 40, t.PAST_DUE: 35, t.UNPAID: 70, t.PAUSED: 45}.get(status, 2) * DAY
        created = growing(n, count, share, world.start, end - world.start - quiet, 0.6)
    return max(created, world.customers.created[0] + 60)


def _add(world: World, created: int, status: int, dice: int) -> None:
    subs, customers = world.subscriptions, world.customers
    customer = dice % bisect_right(customers.created, created)
    while customers.deleted[customer] and status != t.CANCELED:
        customer -= 1
    yearly = int((dice >> 20) % 5 == 0 and status in (t.ACTIVE, t.CANCELED))
    currency = customers.currency[customer]
    prices = (world.catalogue.yearly if yearly else world.catalogue.monthly)[currency]
    wide = (dice >> 26) % 32 == 0 or len(subs.created) in (3, 9)
    items = 11 + (dice >> 40) % 4 if wide and not yearly else (1, 1, 1, 1, 1, 1, 2, 3)[(dice >> 44) % 8]
    n = len(subs.created)
    subs.created.append(created)
    subs.customer.append(customer)
    subs.yearly.append(yearly)
    subs.first_price.append((dice >> 32) % len(prices))
    subs.items.append(items)
    subs.quantity.append(1 + (dice >> 50) % 5)
    subs.status.append(status)
    subs.cancel_at_period_end.append(int(status in (t.ACTIVE, t.TRIALING) and (dice >> 54) % 12 == 0))
    subs.latest_invoice.append(-1)
    subs.schedule.append(-1)
    _run_periods(world, n, dice)
    subs.amount.append(sum(world.item_cost(n, position) for position in range(items)))


def _run_periods(world: World, n: int, dice: int) -> None:
    """Fills the number of invoices, and the current or last period."""
    subs = world.subscriptions
    created, status, months = subs.created[n], subs.status[n], 12 if subs.yearly[n] else 1
    if status == t.TRIALING:
        ended, cycles, end = 0, 1, created + TRIAL_DAYS * DAY
        start = created
    elif status in (t.INCOMPLETE, t.INCOMPLETE_EXPIRED):
        ended = created + 23 * 3600 if status == t.INCOMPLETE_EXPIRED else 0
        cycles, start, end = 1, created, months_later(created, months)
    else:
        ended = 0
        if status == t.CANCELED:
            last = world.end - 3600 - created
            ended = created + min(last, DAY + (dice >> 8) % (500 * DAY) if dice % 16 else last - dice % (20 * DAY))
        until = (ended or world.end) - 1
        cycles, start = 1, created
        while (end := months_later(created, cycles * months)) <= until:
            start = end
            cycles += 1
    subs.ended.append(ended)
    subs.cycles.append(cycles)
    subs.period_start.append(start)
    subs.period_end.append(end)


def schedule(world: World) -> None:
    """Fills the subscription schedules: some have not started, some are active, some have ended."""
    count = max(10, round(20 * world.scale))
    chance, subs, table = world.chance("schedule"), world.subscriptions, world.schedules
    running = [n for n, status in enumerate(subs.status) if status == t.ACTIVE and not subs.cancel_at_period_end[n]]
    over = [n for n, status in enumerate(subs.status) if status == t.CANCELED]
    for n in range(count):
        dice = chance.of(n)
        created = growing(n, count, (dice >> 32) / (1 << 32), world.end - 60 * DAY, 60 * DAY - 3600, 1.0)
        status = (t.NOT_STARTED, t.SCHEDULE_ACTIVE, t.NOT_STARTED, t.COMPLETED, t.RELEASED, t.SCHEDULE_CANCELED)[n % 6]
        sub = -1
        if status == t.SCHEDULE_ACTIVE and running:
            sub = running[dice % len(running)]
            if subs.schedule[sub] >= 0 or subs.created[sub] > created:
                status, sub = t.NOT_STARTED, -1
            else:
                subs.schedule[sub] = n
        elif status in (t.COMPLETED, t.RELEASED) and over:
            sub = over[dice % len(over)]
        customer = dice % bisect_right(world.customers.created, created)
        while world.customers.deleted[customer]:
            customer -= 1
        table.created.append(created)
        table.customer.append(subs.customer[sub] if sub >= 0 else customer)
        table.subscription.append(sub)
        table.status.append(status)
        table.start.append(world.end + (1 + dice % 40) * DAY if status == t.NOT_STARTED else created)
