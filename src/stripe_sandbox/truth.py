"""Expected results for tests, computed independently of the endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from stripe_sandbox import truth_since as since
from stripe_sandbox.company import tables as t
from stripe_sandbox.company.discounts import in_force
from stripe_sandbox.company.invoices import bill
from stripe_sandbox.company.money import CURRENCIES, DISPUTE_FEES, SETTLEMENT_DAYS, localized, processing_fee
from stripe_sandbox.company.world import World
from stripe_sandbox.kinds import BY_NAME, Kind
from stripe_sandbox.objects.json import Json
from stripe_sandbox.store import Store

_DAY = 86400


Move = Callable[[int, int, int], None]


def balance(store: Store) -> Json:
    """The payments balance by currency, computed from income and expenses instead of the ledger."""
    world, now = store.world, store.world.now
    sums = {code: {"available": 0, "pending": 0} for code in CURRENCIES}

    def move(currency: int, amount: int, available_on: int) -> None:
        sums[CURRENCIES[currency]]["available" if available_on <= now else "pending"] += amount

    _sales(world, move)
    _platform(world, move)
    for n, amount in enumerate(world.payouts.amount):
        if world.payouts.status[n] != t.PAYOUT_FAILED:
            move(world.payouts.currency[n], -amount, world.payouts.created[n])
    for month in range(23):
        for currency in range(4):
            move(currency, -localized(1000, currency), world.start + (month + 1) * 30 * _DAY + currency)
    since.moved(store, move)
    return sums


def _sales(world: World, move: Move) -> None:
    charges = world.charges
    for n, status in enumerate(charges.status):
        if status == t.SUCCEEDED:
            currency, amount = charges.currency[n], charges.amount[n]
            days = SETTLEMENT_DAYS[currency] + (3 if charges.method[n] else 0)
            move(currency, amount - processing_fee(amount, currency), charges.created[n] + days * _DAY)
    for n, amount in enumerate(world.refunds.amount):
        if world.refunds.status[n] != t.REFUND_FAILED:
            move(charges.currency[world.refunds.charge[n]], -amount, world.refunds.created[n])
    for n, charge in enumerate(world.disputes.charge):
        currency = charges.currency[charge]
        lost = 0 if world.disputes.status[n] == t.WON else charges.amount[charge]
        move(currency, -lost - DISPUTE_FEES[currency], world.disputes.created[n])


def _platform(world: World, move: Move) -> None:
    transfers, fees, charges = world.transfers, world.fees, world.charges
    for n, amount in enumerate(transfers.amount):
        move(transfers.currency[n], -amount, transfers.created[n])
    for n, amount in enumerate(world.reversals.amount):
        move(transfers.currency[world.reversals.of[n]], amount, world.reversals.created[n])
    for n, amount in enumerate(fees.amount):
        move(charges.currency[fees.charge[n]], amount, fees.created[n] + 2 * _DAY)
    for n, amount in enumerate(world.fee_refunds.amount):
        move(charges.currency[fees.charge[world.fee_refunds.of[n]]], -amount, world.fee_refunds.created[n])


def revenue(store: Store) -> Json:
    """Captured amounts minus refunds, by the month of the sale (UTC) and by currency."""
    world, charges = store.world, store.world.charges
    kinds = BY_NAME["charge"], BY_NAME["refund"]
    sold: dict[str, tuple[str, str]] = {}
    sums: dict[tuple[str, str], int] = {}
    for n, status in enumerate(charges.status):
        if status == t.SUCCEEDED and not since.is_changed(store, "charge", n):
            of = sold[kinds[0].id_of(world, n)] = _month(charges.created[n]), CURRENCIES[charges.currency[n]]
            sums[of] = sums.get(of, 0) + charges.amount[n]
    for one in since.newer(store, "charge"):
        if one["status"] == "succeeded" and one["captured"]:
            of = sold[one["id"]] = _month(one["created"]), one["currency"]
            sums[of] = sums.get(of, 0) + one["amount_captured"]
    returned = [
        (kinds[0].id_of(world, world.refunds.charge[n]), amount)
        for n, amount in enumerate(world.refunds.amount)
        if world.refunds.status[n] != t.REFUND_FAILED and not since.is_changed(store, "refund", n)
    ]
    returned += [
        (one["charge"], one["amount"])
        for one in since.newer(store, "refund")
        if one["status"] not in ("failed", "canceled")
    ]
    for charge, amount in returned:
        if charge in sold:
            sums[sold[charge]] -= amount
    by_month: Json = {}
    for (month, currency), amount in sorted(sums.items()):
        by_month.setdefault(month, {})[currency] = amount
    return by_month


def _month(created: int) -> str:
    return f"{datetime.fromtimestamp(created, UTC):%Y-%m}"


def discounts(store: Store) -> list[str]:
    """Sorted ids of every discount that at least one object shows."""
    world, invoices = store.world, store.world.invoices
    of = world.ids["discount"].of
    billed: dict[tuple[str, int], list[int]] = {}
    for i, sub in enumerate(invoices.subscription):
        billed.setdefault(("subscription", sub), []).append(i)
        billed.setdefault(("customer", invoices.customer[i]), []).append(i)
    shown = {
        of(n)
        for n in range(len(world.discounts.place))
        if any(not since.is_changed(store, kind, at) for kind, at in _carriers(world, n, billed))
    }
    return sorted(shown | since.discounts(store))


def _carriers(world: World, n: int, billed: Mapping[tuple[str, int], list[int]]) -> Iterator[tuple[str, int]]:
    """Objects that show a discount: its owner, and the invoices on which it was used."""
    place, owner = world.discounts.place[n], world.discounts.owner[n]
    used_on: list[int] = []
    if place == t.ON_CUSTOMER:
        yield "customer", owner
        used_on = billed.get(("customer", owner), [])
    elif place in (t.ON_SUBSCRIPTION, t.ON_ITEM):
        sub = owner if place == t.ON_SUBSCRIPTION else owner >> 5
        if place == t.ON_ITEM or in_force(world, n, world.end):
            yield "subscription", sub
        used_on = billed.get(("subscription", sub), [])
    elif place == t.ON_INVOICE_ITEM:
        yield "invoiceitem", owner
        if world.invoice_items.invoice[owner] >= 0:
            yield "invoice", world.invoice_items.invoice[owner]
    else:
        yield "invoice", owner if place == t.ON_INVOICE else owner >> 6
    yield from (("invoice", i) for i in used_on if n in bill(world, i).totals())


def upcoming_invoices(store: Store) -> Json:
    """Subscriptions and schedules with an upcoming invoice (and subtotal, if known), and subscriptions without one."""
    world, subs = store.world, store.world.subscriptions
    kind, schedules = BY_NAME["subscription"], BY_NAME["subscription_schedule"]
    coming: list[Json] = []
    none: list[str] = []
    waiting = since.pending(store)
    for n, code in enumerate(subs.status):
        if since.is_changed(store, "subscription", n):
            continue
        id_ = kind.id_of(world, n)
        if code in (t.ACTIVE, t.TRIALING, t.PAST_DUE, t.UNPAID) and not subs.cancel_at_period_end[n]:
            own = waiting.get(world.ids["customer"].of(subs.customer[n]), ())
            extra = sum(amount for of, amount in own if of in (id_, None))
            coming.append({"subscription": id_, "subtotal": subs.amount[n] + extra})
        elif code != t.CANCELED:
            none.append(id_)
    for one in since.newer(store, "subscription"):
        if one["status"] in ("active", "trialing", "past_due", "unpaid") and not one["cancel_at_period_end"]:
            coming.append({"subscription": one["id"]})
        elif one["status"] != "canceled":
            none.append(one["id"])
    for n, status in enumerate(world.schedules.status):
        if status == t.NOT_STARTED and not since.is_changed(store, "subscription_schedule", n):
            coming.append({"schedule": schedules.id_of(world, n)})
    coming += [
        {"schedule": one["id"]} for one in since.newer(store, "subscription_schedule") if one["status"] == "not_started"
    ]
    return {"upcoming": coming, "none": none}


def ids(store: Store, kind: Kind, *, canceled_too: bool = False) -> list[str]:
    """Ids of all objects in the unfiltered list, newest first, found by checking every object.

    `canceled_too` includes canceled subscriptions, like `status=all`.
    """
    world, overlay = store.world, store.overlays[kind.name]
    kept = kind.since(world) if kind.since else 0
    canceled = set()
    if kind.name == "subscription" and not canceled_too:
        canceled = {one["id"] for one in since.newer(store, "subscription") if one["status"] == "canceled"}
        canceled |= {
            kind.id_of(world, n)
            for n, status in enumerate(world.subscriptions.status)
            if status == t.CANCELED and n not in overlay.changed
        }
    found = [(created, id_) for created, id_ in overlay.order if created >= kept and id_ not in canceled]
    for n, created in enumerate(kind.created(world)):
        if n not in overlay.gone and created >= kept and not (kind.hidden and kind.hidden(world, n)):
            found.append((created, kind.id_of(world, n)))
    return [id_ for _, id_ in sorted(found, reverse=True) if id_ not in canceled]
