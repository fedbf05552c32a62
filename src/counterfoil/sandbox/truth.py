"""What is true of the company, found by another way than the endpoints find it: for tests to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from counterfoil.sandbox.company import tables as t
from counterfoil.sandbox.company.discounts import in_force
from counterfoil.sandbox.company.invoices import bill
from counterfoil.sandbox.company.money import CURRENCIES, DISPUTE_FEES, SETTLEMENT_DAYS, localized, processing_fee
from counterfoil.sandbox.company.world import World
from counterfoil.sandbox.kinds import BY_NAME, Kind
from counterfoil.sandbox.objects.json import Json
from counterfoil.sandbox.store import Store

_DAY = 86400


def balance(store: Store) -> Json:
    """The payments balance by currency, from what the company earned and spent instead of from the ledger."""
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
    for one in store.overlays["balance_transaction"].added.values():
        sums[one["currency"]]["available" if one["available_on"] <= now else "pending"] += one["net"]
    return sums


def _sales(world: World, move: Callable[[int, int, int], None]) -> None:
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


def _platform(world: World, move: Callable[[int, int, int], None]) -> None:
    transfers, fees, charges = world.transfers, world.fees, world.charges
    for n, amount in enumerate(transfers.amount):
        move(transfers.currency[n], -amount, transfers.created[n])
    for n, amount in enumerate(world.reversals.amount):
        move(transfers.currency[world.reversals.of[n]], amount, world.reversals.created[n])
    for n, amount in enumerate(fees.amount):
        move(charges.currency[fees.charge[n]], amount, fees.created[n] + 2 * _DAY)
    for n, amount in enumerate(world.fee_refunds.amount):
        move(charges.currency[fees.charge[world.fee_refunds.of[n]]], -amount, world.fee_refunds.created[n])


def discounts(store: Store) -> list[str]:
    """Ids of every discount that some object still shows, sorted."""
    world, invoices = store.world, store.world.invoices
    of = world.ids["discount"].of
    billed: dict[tuple[str, int], list[int]] = {}
    for i, sub in enumerate(invoices.subscription):
        billed.setdefault(("subscription", sub), []).append(i)
        billed.setdefault(("customer", invoices.customer[i]), []).append(i)
    shown = {
        of(n)
        for n in range(len(world.discounts.place))
        if any(not _changed(store, kind, at) for kind, at in _carriers(world, n, billed))
    }
    for name, overlay in store.overlays.items():
        if name != "event":
            for one in [*overlay.changed.values(), *overlay.added.values()]:
                shown |= {text for text in _texts(one) if text.startswith("di_1")}
    return sorted(shown)


def _carriers(world: World, n: int, billed: Mapping[tuple[str, int], list[int]]) -> Iterator[tuple[str, int]]:
    """Objects that show a discount: what it was given to, and the invoices that it was used on."""
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


def _changed(store: Store, kind: str, n: int) -> bool:
    overlay = store.overlays[kind]
    return n in overlay.gone or n in overlay.changed


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)


def upcoming_invoices(store: Store) -> Json:
    """What has an invoice to come, with its subtotal where the ledger knows it, and what has none."""
    world, subs = store.world, store.world.subscriptions
    kind, schedules = BY_NAME["subscription"], BY_NAME["subscription_schedule"]
    coming: list[Json] = []
    none: list[str] = []
    for n, code in enumerate(subs.status):
        if _changed(store, "subscription", n):
            continue
        id_ = kind.id_of(world, n)
        if code in (t.ACTIVE, t.TRIALING, t.PAST_DUE, t.UNPAID) and not subs.cancel_at_period_end[n]:
            waiting = world.invoice_items.pending.get(subs.customer[n], ())
            extra = sum(
                world.invoice_items.amount[i] for i in waiting if world.invoice_items.subscription[i] in (n, -1)
            )
            coming.append({"subscription": id_, "subtotal": subs.amount[n] + extra})
        elif code != t.CANCELED:
            none.append(id_)
    overlay = store.overlays["subscription"]
    for one in [*overlay.changed.values(), *overlay.added.values()]:
        if one["status"] in ("active", "trialing", "past_due", "unpaid") and not one["cancel_at_period_end"]:
            coming.append({"subscription": one["id"]})
        elif one["status"] != "canceled":
            none.append(one["id"])
    for n, status in enumerate(world.schedules.status):
        if status == t.NOT_STARTED and not _changed(store, "subscription_schedule", n):
            coming.append({"schedule": schedules.id_of(world, n)})
    return {"upcoming": coming, "none": none}


def ids(store: Store, kind: Kind) -> list[str]:
    """Ids of everything that the list shows without filters, newest first, by looking at every object."""
    world, overlay = store.world, store.overlays[kind.name]
    found = [(one[kind.time_field], id_) for id_, one in overlay.added.items() if not _left_out(kind, one)]
    for n, created in enumerate(kind.created(world)):
        if (
            n not in overlay.gone
            and not (kind.hidden and kind.hidden(world, n))
            and not _left_out(kind, store.at(kind, n))
        ):
            found.append((created, kind.id_of(world, n)))
    return [id_ for _, id_ in sorted(found, reverse=True)]


def _left_out(kind: Kind, one: Json) -> bool:
    return kind.name == "subscription" and one["status"] == "canceled"
