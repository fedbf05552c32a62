"""The ledger: a balance transaction for every movement of money, and weekly payouts of available funds."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.calendar import DAY
from stripe_sandbox.company.money import ARRIVAL_DAYS, DISPUTE_FEES, SETTLEMENT_DAYS, localized, processing_fee

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

WEEK = 7 * DAY


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of transaction: Stripe's type and reporting category, and the kind of its source."""

    type: str
    category: str
    source: str | None
    balance: str = "payments"


KINDS = (
    Kind("charge", "charge", "charge"),
    Kind("refund", "refund", "refund"),
    Kind("refund_failure", "refund_failure", "refund"),
    Kind("adjustment", "dispute", "dispute"),
    Kind("adjustment", "dispute_reversal", "dispute"),
    Kind("payout", "payout", "payout"),
    Kind("payout_failure", "payout_reversal", "payout"),
    Kind("transfer", "transfer", "transfer"),
    Kind("transfer_refund", "transfer_reversal", "transfer_reversal"),
    Kind("application_fee", "platform_earning", "application_fee"),
    Kind("application_fee_refund", "platform_earning_refund", "fee_refund"),
    Kind("stripe_fee", "fee", None),
    Kind("topup", "topup", None, "refund_and_dispute_prefunding"),
    Kind("issuing_transaction", "issuing_transaction", None, "issuing"),
)
(
    CHARGE, REFUND, REFUND_FAILURE, DISPUTE, DISPUTE_WON, PAYOUT, PAYOUT_FAILURE,
    TRANSFER, REVERSAL, FEE, FEE_REFUND, STRIPE_FEE, TOPUP, ISSUING,
) = range(14)  # fmt: skip

_TOPUPS = (500_00, 250_00, 125_00)
_ISSUED = (-19_90, -4_50, -120_00, 30_00, -7_25)


def entry(world: World, kind: int, source: int) -> tuple[int, int, int, int]:
    """(amount, fee, currency, seconds until available) of one transaction."""
    if kind == CHARGE:
        charges = world.charges
        amount, currency = charges.amount[source], charges.currency[source]
        days = SETTLEMENT_DAYS[currency] + (3 if charges.method[source] else 0)
        return amount, processing_fee(amount, currency), currency, days * DAY
    if kind in (REFUND, REFUND_FAILURE):
        amount = world.refunds.amount[source]
        return -amount if kind == REFUND else amount, 0, world.charges.currency[world.refunds.charge[source]], 0
    if kind in (DISPUTE, DISPUTE_WON):
        charge = world.disputes.charge[source]
        amount, currency = world.charges.amount[charge], world.charges.currency[charge]
        return (-amount, DISPUTE_FEES[currency], currency, 0) if kind == DISPUTE else (amount, 0, currency, 0)
    if kind in (PAYOUT, PAYOUT_FAILURE):
        amount = world.payouts.amount[source]
        return -amount if kind == PAYOUT else amount, 0, world.payouts.currency[source], 0
    return _smaller_entry(world, kind, source)


def _smaller_entry(world: World, kind: int, source: int) -> tuple[int, int, int, int]:
    if kind == TRANSFER:
        return -world.transfers.amount[source], 0, world.transfers.currency[source], 0
    if kind == REVERSAL:
        return world.reversals.amount[source], 0, world.transfers.currency[world.reversals.of[source]], 0
    if kind == FEE:
        return world.fees.amount[source], 0, world.charges.currency[world.fees.charge[source]], 2 * DAY
    if kind == FEE_REFUND:
        fee = world.fee_refunds.of[source]
        return -world.fee_refunds.amount[source], 0, world.charges.currency[world.fees.charge[fee]], 0
    if kind == STRIPE_FEE:
        return -localized(1000, source % 4), 0, source % 4, 0
    return (_TOPUPS[source] if kind == TOPUP else _ISSUED[source]), 0, 0, 0


def settle(world: World) -> None:
    """Fills payouts and transactions, and writes the index of each transaction to its source."""
    keys = _movements(world)
    _pay_out(world, keys)
    keys.sort()
    table, end = world.transactions, world.end
    created, available, kinds, sources = table.created, table.available_on, table.kind, table.source
    amounts, fees, currencies, payouts = table.amount, table.fee, table.currency, table.payout
    for key in keys:
        at, kind, source = key >> 38, key >> 33 & 31, key & 0x1FFFFFFFF
        amount, fee, currency, delay = entry(world, kind, source)
        created.append(at)
        available.append(at + delay)
        kinds.append(kind)
        sources.append(source)
        amounts.append(amount)
        fees.append(fee)
        currencies.append(currency)
        if kind == PAYOUT:
            payouts.append(source)
        elif KINDS[kind].balance == "payments" and at + delay <= end:
            payouts.append(world.payout_of(currency, at + delay))
        else:
            payouts.append(-1)
    _write_back(world)


def _key(kind: int, created: int, source: int) -> int:
    """A key that sorts by time and encodes the transaction."""
    return created << 38 | kind << 33 | source


def _movements(world: World) -> list[int]:
    """Keys of all transactions except those of payouts."""
    created = world.charges.created
    keys = [_key(CHARGE, created[n], n) for n, status in enumerate(world.charges.status) if status == t.SUCCEEDED]
    created, refunds = world.refunds.created, world.refunds.status
    keys += [_key(REFUND, at, n) for n, at in enumerate(created)]
    failed = [n for n, status in enumerate(refunds) if status == t.REFUND_FAILED]
    keys += [_key(REFUND_FAILURE, created[n] + 5 * DAY, n) for n in failed]
    created, disputes = world.disputes.created, world.disputes.status
    keys += [_key(DISPUTE, at, n) for n, at in enumerate(created)]
    keys += [_key(DISPUTE_WON, created[n] + 40 * DAY, n) for n, status in enumerate(disputes) if status == t.WON]
    for kind, created_at in (
        (TRANSFER, world.transfers.created), (REVERSAL, world.reversals.created),
        (FEE, world.fees.created), (FEE_REFUND, world.fee_refunds.created),
    ):  # fmt: skip
        keys += [_key(kind, at, n) for n, at in enumerate(created_at)]
    keys += [_key(STRIPE_FEE, world.start + (n // 4 + 1) * 30 * DAY + n % 4, n) for n in range(4 * 23)]
    keys += [_key(TOPUP, world.start + (200 + 90 * n) * DAY, n) for n in range(len(_TOPUPS))]
    keys += [_key(ISSUING, world.end - (7 * n + 3) * DAY, n) for n in range(len(_ISSUED))]
    return keys


def _pay_out(world: World, keys: list[int]) -> None:
    """Pays out newly available funds every Monday, in each currency, if they are at least 1,000 minor units."""
    weeks = (world.end - world.first_payout) // WEEK + 1
    sums = [[0] * (weeks + 1) for _ in range(4)]
    for key in keys:
        kind = key >> 33 & 31
        if KINDS[kind].balance == "payments":
            amount, fee, currency, delay = entry(world, kind, key & 0x1FFFFFFFF)
            week = world.payout_week((key >> 38) + delay)
            if week < weeks:
                sums[currency][week] += amount - fee
    chance, table = world.chance("payout"), world.payouts
    for week in range(weeks):
        at = world.first_payout + week * WEEK
        for currency in range(4):
            amount = sums[currency][week]
            if amount < 1000:
                sums[currency][week + 1] += amount
                continue
            n = len(table.created)
            arrival = at + ARRIVAL_DAYS[currency] * DAY
            fails = chance.of(n) % 40 == 5 and at + 3 * DAY < world.end
            status = t.PAYOUT_FAILED if fails else t.PAYOUT_PAID if arrival <= world.end else t.PAYOUT_IN_TRANSIT
            table.created.append(at)
            table.amount.append(amount)
            table.currency.append(currency)
            table.status.append(status)
            table.transaction.append(-1)
            world.payouts_by_week[currency][week] = n
            keys.append(_key(PAYOUT, at, n))
            if fails:
                sums[currency][week + 1] += amount
                keys.append(_key(PAYOUT_FAILURE, at + 3 * DAY, n))


def _write_back(world: World) -> None:
    first = {
        CHARGE: world.charges.transaction, REFUND: world.refunds.transaction, DISPUTE: world.disputes.transaction,
        PAYOUT: world.payouts.transaction, TRANSFER: world.transfers.transaction,
        REVERSAL: world.reversals.transaction, FEE: world.fees.transaction, FEE_REFUND: world.fee_refunds.transaction,
    }  # fmt: skip
    second = {
        REFUND_FAILURE: world.refunds.failure_transaction, DISPUTE_WON: world.disputes.reversal,
        PAYOUT_FAILURE: world.payouts.failure_transaction,
    }  # fmt: skip
    sources = world.transactions.source
    for n, kind in enumerate(world.transactions.kind):
        if (column := first.get(kind)) is not None:
            column[sources[n]] = n
        elif (also := second.get(kind)) is not None:
            also[sources[n]] = n


def balance(world: World, now: int, *, until: int | None = None) -> dict[str, tuple[list[int], list[int]]]:
    """The available and pending amounts per currency, by balance type, of transactions created up to `until`."""
    sums: dict[str, tuple[list[int], list[int]]] = {
        name: ([0] * 4, [0] * 4) for name in ("payments", "issuing", "refund_and_dispute_prefunding")
    }
    table = world.transactions
    count = len(table.created) if until is None else bisect_right(table.created, until)
    rows = zip(table.kind, table.available_on, table.amount, table.fee, table.currency, strict=True)
    for kind, available_on, amount, fee, currency in islice(rows, count):
        sums[KINDS[kind].balance][available_on > now][currency] += amount - fee
    return sums
