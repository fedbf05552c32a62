"""Expected results for changes since generation, computed from the changed objects instead of the ledger."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain

import orjson

from stripe_sandbox.company.money import CURRENCIES, DISPUTE_FEES, processing_fee
from stripe_sandbox.kinds import BY_NAME
from stripe_sandbox.objects.json import Json
from stripe_sandbox.store import Store

_DISCOUNT = re.compile(rb'"(di_1\w+)"')
#: Kinds of object that can have discounts.
_CARRIERS = ("customer", "subscription", "invoice", "invoiceitem")

#: (source, amount, transaction): one effect of an object on the balance.
Movement = tuple[str, int, str | None]


def is_changed(store: Store, kind: str, n: int) -> bool:
    overlay = store.overlays[kind]
    return n in overlay.gone or n in overlay.changed


def newer(store: Store, name: str) -> Iterator[Json]:
    """Changed generated objects and added objects, with complete embedded lists."""
    kind, overlay = BY_NAME[name], store.overlays[name]
    for n in overlay.changed:
        if n not in overlay.gone and (one := store.whole(kind, kind.id_of(store.world, n))) is not None:
            yield one
    yield from overlay.each()


def discounts(store: Store) -> set[str]:
    """Ids of the discounts of changed and added objects."""
    found: set[bytes] = set()
    for name in _CARRIERS:
        kind, overlay = BY_NAME[name], store.overlays[name]
        for n in overlay.changed:
            if n not in overlay.gone:
                found.update(_DISCOUNT.findall(orjson.dumps(store.whole(kind, kind.id_of(store.world, n)))))
        for data in overlay.added.values():
            found.update(_DISCOUNT.findall(overlay.packing.text(data)))
    return {id_.decode() for id_ in found}


def pending(store: Store) -> dict[str, list[tuple[str | None, int]]]:
    """Pending invoice items by customer: the subscription of each, or None, and its amount."""
    world, kind = store.world, BY_NAME["invoiceitem"]
    items = [
        kind.render(world, n)
        for own in world.invoice_items.pending.values()
        for n in own
        if not is_changed(store, "invoiceitem", n)
    ]
    waiting: dict[str, list[tuple[str | None, int]]] = {}
    for one in [*items, *newer(store, "invoiceitem")]:
        if one["invoice"] is None:
            of = one["parent"]["subscription_details"]["subscription"] if one["parent"] else None
            waiting.setdefault(one["customer"], []).append((of, one["amount"]))
    return waiting


def moved(store: Store, move: Callable[[int, int, int], None]) -> None:
    """Applies the effects of objects to the balance; only the availability date comes from the ledger."""
    generated, seen = store.world.ids["balance_transaction"].index, set()
    for name, movements in _MOVEMENTS.items():
        overlay = store.overlays[name]
        removed = (overlay.packing.unpack(data) for data in overlay.removed.values())
        for one in chain(newer(store, name), removed):
            for source, amount, transaction in movements(one):
                entry = store.find(transaction) if transaction and generated(transaction) is None else None
                if entry is not None:
                    seen.add(source)
                    move(CURRENCIES.index(one["currency"]), amount, entry["available_on"])
    # Some transactions were created directly, not through their source.
    for entry in store.overlays["balance_transaction"].each():
        if entry["source"] not in seen and entry["balance_type"] == "payments":
            move(CURRENCIES.index(entry["currency"]), entry["net"], entry["available_on"])


def _of_charge(one: Json) -> Iterator[Movement]:
    fee = processing_fee(one["amount"], CURRENCIES.index(one["currency"]))
    yield one["id"], one["amount"] - fee, one["balance_transaction"]


def _of_payment(one: Json) -> Iterator[Movement]:
    """Effects of a refund or a payout."""
    yield one["id"], -one["amount"], one["balance_transaction"]
    yield one["id"], one["amount"], one.get("failure_balance_transaction")


def _of_dispute(one: Json) -> Iterator[Movement]:
    moved = [entry["id"] for entry in one["balance_transactions"]]
    yield one["id"], -one["amount"] - DISPUTE_FEES[CURRENCIES.index(one["currency"])], moved[0]
    if one["status"] == "won":
        yield one["id"], one["amount"], moved[-1]


def _of_transfer(one: Json) -> Iterator[Movement]:
    yield one["id"], -one["amount"], one["balance_transaction"]
    for back in one["reversals"]["data"]:
        yield back["id"], back["amount"], back["balance_transaction"]


def _of_fee(one: Json) -> Iterator[Movement]:
    yield one["id"], one["amount"], one["balance_transaction"]
    for back in one["refunds"]["data"]:
        yield back["id"], -back["amount"], back["balance_transaction"]


_MOVEMENTS: dict[str, Callable[[Json], Iterator[Movement]]] = {
    "charge": _of_charge,
    "refund": _of_payment,
    "payout": _of_payment,
    "dispute": _of_dispute,
    "transfer": _of_transfer,
    "application_fee": _of_fee,
}
