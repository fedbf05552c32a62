"""Charges: paid invoices, failed attempts and one-off sales; then refunds, disputes, application fees and transfers.

Two bursts put more than a hundred charges into one second, and one gap of two weeks has no charges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.calendar import DAY, growing
from stripe_sandbox.company.money import EUR, USD, localized, rounded

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

_SALE, _PAID, _ATTEMPT = range(3)
#: The number of partial refunds of a few objects, so that their nested lists exceed ten entries.
MANY = 12
ACCOUNTS = 120


def charge(world: World) -> None:
    keys = _billed(world)
    keys += _sold(world, max(round(600 * world.scale), round(3000 * world.scale) - len(keys)))
    keys.sort()
    returned: list[int] = []
    disputed: list[int] = []
    for key in keys:
        _charge(world, key, returned, disputed)
    _refund(world, returned)
    _dispute(world, disputed)


def _billed(world: World) -> list[int]:
    invoices, keys = world.invoices, []
    for n, status in enumerate(invoices.status):
        if invoices.total[n] <= 0 or status in (t.DRAFT, t.VOID):
            continue
        failed = status != t.PAID
        if failed and invoices.subscription[n] < 0:
            continue
        at = _outside_gap(world, min(invoices.created[n] + 3600, world.end - 1))
        keys.append(at << 34 | (_ATTEMPT if failed else _PAID) << 32 | n)
    return keys


def _outside_gap(world: World, at: int) -> int:
    first, last = world.gap
    return last + at % 3600 if first <= at < last else at


def _sold(world: World, count: int) -> list[int]:
    chance, keys = world.chance("sale"), []
    burst = min(150, count // 8)
    for n in range(count):
        if n < 2 * burst:
            at = world.bursts[n // burst]
        else:
            share = chance.of(n) / (1 << 64)
            at = _outside_gap(
                world, growing(n, count, share, world.start + DAY, world.end - world.start - DAY - 1, 0.7)
            )
        keys.append(at << 34 | n)
    return keys


def _charge(world: World, key: int, returned: list[int], disputed: list[int]) -> None:
    table = world.charges
    at, what, number = key >> 34, key >> 32 & 3, key & 0xFFFFFFFF
    n = len(table.created)
    dice = world.charge_chance.of(n)
    method, status = t.CARD, t.SUCCEEDED
    if what == _SALE:
        invoice = -1
        known = world.customers_before(at)
        customer = -1 if dice % 11 == 0 or not known else (dice >> 8) % known
        currency = world.customers.currency[customer] if customer >= 0 else (dice >> 4) % 4
        amount = localized(_price(dice), currency)
        if currency == EUR and dice % 8 == 1:
            method = t.SEPA_DEBIT
        elif currency == USD and dice % 25 == 1:
            method = t.US_BANK_ACCOUNT
        status = _sale_status(world, at, dice, method)
    else:
        invoice = number
        world.invoices.charge[invoice] = n
        customer, amount = world.invoices.customer[invoice], world.invoices.total[invoice]
        currency = world.customers.currency[customer]
        status = t.SUCCEEDED if what == _PAID else t.FAILED
    table.created.append(at)
    table.amount.append(amount)
    table.currency.append(currency)
    table.status.append(status)
    table.method.append(method)
    table.customer.append(customer)
    table.invoice.append(invoice)
    table.transaction.append(-1)
    if status == t.SUCCEEDED:
        _happens_later(world, n, at, dice, returned, disputed, sale=what == _SALE)


def _price(dice: int) -> int:
    """US cents: mostly small, sometimes large."""
    cents = 500 + (dice >> 16) % 9500
    return cents * 20 if (dice >> 40) % 50 == 0 else cents


def _sale_status(world: World, at: int, dice: int, method: int) -> int:
    if method != t.CARD:
        return t.PENDING if at > world.end - 4 * DAY else t.SUCCEEDED
    if (dice >> 48) % 20 == 0:
        return t.FAILED
    return t.UNCAPTURED if at > world.end - 6 * DAY and (dice >> 52) % 8 == 0 else t.SUCCEEDED


def _happens_later(
    world: World, n: int, at: int, dice: int, returned: list[int], disputed: list[int], *, sale: bool
) -> None:
    later = at + DAY + (dice >> 20) % (40 * DAY)
    if (dice >> 10) % 18 == 0:
        parts = MANY if (dice >> 14) % 24 == 0 or len(returned) == 5 else 1
        returned.extend(
            (later + part * 60) << 36 | n << 4 | (0 if parts == 1 else part + 1)
            for part in range(parts)
            if later + part * 60 < world.end
        )
    elif (dice >> 10) % 18 == 1 and (dice >> 14) % 8 == 0:
        if later < world.end:
            disputed.append(later << 32 | n)
    elif sale and (dice >> 10) % 18 == 2:
        _take_fee(world, n, dice)


def _take_fee(world: World, n: int, dice: int) -> None:
    fees, charges = world.fees, world.charges
    charges.fee[n] = len(fees.created)
    fees.created.append(charges.created[n])
    fees.charge.append(n)
    fees.amount.append(rounded(charges.amount[n] // 10, charges.currency[n]))
    fees.account.append(dice % ACCOUNTS)
    fees.transaction.append(-1)


def _refund(world: World, keys: list[int]) -> None:
    keys.sort()
    refunds, charges = world.refunds, world.charges
    for key in keys:
        at, charge_, part = key >> 36, key >> 4 & 0xFFFFFFFF, key & 15
        dice = world.charge_chance.of(~charge_)
        whole = charges.amount[charge_]
        share = whole // 20 if part else (whole, whole // 2)[dice & 1]
        amount = max(1, rounded(share, charges.currency[charge_]))
        status = t.REFUND_SUCCEEDED
        if not part and (dice >> 8) % 30 == 0:
            status = t.REFUND_FAILED if at < world.end - 9 * DAY else t.REFUND_PENDING
        n = len(refunds.created)
        refunds.created.append(at)
        refunds.charge.append(charge_)
        refunds.amount.append(amount)
        refunds.status.append(status)
        refunds.transaction.append(-1)
        charges.refunds.setdefault(charge_, []).append(n)


def _dispute(world: World, keys: list[int]) -> None:
    keys.sort()
    disputes = world.disputes
    for n, key in enumerate(keys):
        at, charge_ = key >> 32, key & 0xFFFFFFFF
        dice = world.charge_chance.of(charge_ ^ 0x7000000)
        old = at < world.end - 45 * DAY
        disputes.created.append(at)
        disputes.charge.append(charge_)
        disputes.status.append((t.LOST, t.WON)[dice & 1] if old else (t.NEEDS_RESPONSE, t.UNDER_REVIEW)[dice & 1])
        disputes.transaction.append(-1)
        world.charges.dispute[charge_] = n


def transfer(world: World) -> None:
    """Fills the transfers to connected accounts, their reversals, and the refunds of application fees."""
    table, chance = world.transfers, world.chance("transfer")
    count = max(12, round(80 * world.scale))
    reversals: list[int] = []
    for n in range(count):
        dice = chance.of(n)
        at = growing(
            n, count, (dice >> 32) / (1 << 32), world.start + 100 * DAY, world.end - world.start - 101 * DAY, 0.8
        )
        currency = (0, 0, 1, 2, 3)[dice % 5]
        table.created.append(at)
        table.currency.append(currency)
        table.amount.append(localized(500 + (dice >> 8) % 3000, currency))
        table.account.append((dice >> 20) % ACCOUNTS)
        table.transaction.append(-1)
        _come_back(world, reversals, n, at, dice, often=8)
    _keep(world, reversals, world.reversals, table)
    returned: list[int] = []
    for n, at in enumerate(world.fees.created):
        _come_back(world, returned, n, at, world.charge_chance.of(n ^ 0x3000000), often=6)
    _keep(world, returned, world.fee_refunds, world.fees)


def _come_back(world: World, keys: list[int], n: int, at: int, dice: int, *, often: int) -> None:
    if n == 1 or (dice >> 30) % often == 0:
        parts = MANY if n == 1 or (dice >> 40) % 6 == 0 else 1
        later = at + DAY + dice % (20 * DAY)
        keys += [
            (later + 30 * part) << 36 | n << 4 | (part + 1 if parts > 1 else 0)
            for part in range(parts)
            if later + 30 * part < world.end
        ]


def _keep(world: World, keys: list[int], table: t.PartialReturns, parents: t.Transfers | t.Fees) -> None:
    keys.sort()
    for n, key in enumerate(keys):
        parent, part = key >> 4 & 0xFFFFFFFF, key & 15
        whole = parents.amount[parent]
        currency = (
            parents.currency[parent]
            if isinstance(parents, t.Transfers)
            else world.charges.currency[parents.charge[parent]]
        )
        table.created.append(key >> 36)
        table.of.append(parent)
        table.amount.append(max(1, rounded(whole // 20 if part else whole, currency)))
        table.transaction.append(-1)
        parents.refunds.setdefault(parent, []).append(n)
