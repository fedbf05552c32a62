"""Creates, updates and deletes objects, and records the balance transactions and events of these changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stripe_sandbox.books import Books
from stripe_sandbox.company.money import CURRENCIES, processing_fee
from stripe_sandbox.kinds import BY_NAME, Kind
from stripe_sandbox.objects.json import Json
from stripe_sandbox.store import Store

#: Event types of a creation, update and deletion, by kind; None if Stripe sends no event.
_EVENTS: dict[str, tuple[str | None, str | None, str | None]] = {
    "account": (None, "account.updated", None),
    "application_fee": ("application_fee.created", "application_fee.refunded", None),
    "charge": ("charge.succeeded", "charge.updated", None),
    "coupon": ("coupon.created", "coupon.updated", "coupon.deleted"),
    "customer": ("customer.created", "customer.updated", "customer.deleted"),
    "dispute": ("charge.dispute.created", "charge.dispute.updated", None),
    "invoice": ("invoice.created", "invoice.updated", "invoice.deleted"),
    "invoiceitem": ("invoiceitem.created", None, "invoiceitem.deleted"),
    "payout": ("payout.created", "payout.updated", None),
    "plan": ("plan.created", "plan.updated", "plan.deleted"),
    "price": ("price.created", "price.updated", "price.deleted"),
    "product": ("product.created", "product.updated", "product.deleted"),
    "refund": ("refund.created", "refund.updated", None),
    "subscription": ("customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted"),
    "subscription_schedule": ("subscription_schedule.created", "subscription_schedule.updated", None),
    "transfer": ("transfer.created", "transfer.updated", None),
}
_FAILED = {"failed": "charge.failed", "pending": "charge.pending"}
#: Effect on the balance (+1 adds the amount, -1 subtracts it) and type of the transaction, by kind.
_MOVES = {
    "charge": (1, "charge"), "refund": (-1, "refund"), "payout": (-1, "payout"), "transfer": (-1, "transfer"),
    "application_fee": (1, "application_fee"),
}  # fmt: skip


class Changes:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._books = Books(store)

    def create(self, name: str, fields: Mapping[str, Any], created: int | None = None) -> Json:
        """Adds a copy of the kind's newest object with `fields` replaced, its event and its balance transaction."""
        kind = BY_NAME[name]
        one = self._modelled(kind) | {kind.time_field: self._store.clock.now() if created is None else created}
        one = _fresh(self._store, one, self._store.new_id(kind.family or name)) | dict(fields)
        if name in _MOVES and one.get("status") not in ("failed", "pending"):
            one = self._moved(one)
        self._store.add(kind, one)
        what = _FAILED.get(one.get("status", "")) if name == "charge" else None
        self._tell(what or _EVENTS.get(name, (None, None, None))[0], one, at=one[kind.time_field])
        if name == "refund":
            self._refunded(one)
        return one

    def update(self, name: str, id_: str, fields: Mapping[str, Any], event: str | None = None) -> Json:
        kind = BY_NAME[name]
        before = self._there(kind, id_)
        if kind.time_field in fields:
            raise ValueError(f"field {kind.time_field} cannot be changed")
        self._store.patch(kind, id_, fields)
        after = before | dict(fields)
        previous = {field: before.get(field) for field in fields}
        self._tell(event or _EVENTS.get(name, (None, None, None))[1], after, previous=previous)
        return after

    def delete(self, name: str, id_: str) -> None:
        """Deletes an object. A subscription is canceled and stays in its list, as in Stripe."""
        kind = BY_NAME[name]
        before = self._there(kind, id_)
        if name == "subscription":
            now = self._store.clock.now()
            ended = {"status": "canceled", "canceled_at": now, "ended_at": now}
            self._store.patch(kind, id_, ended)
            before = before | ended
        else:
            self._store.remove(kind, id_)
        self._tell(_EVENTS.get(name, (None, None, None))[2], before)

    def _there(self, kind: Kind, id_: str) -> Json:
        one = self._store.get(kind, id_)
        if one is None or one.get("deleted"):
            raise KeyError(id_)
        return one

    def _modelled(self, kind: Kind) -> Json:
        world = self._store.world
        for n in range(len(kind.created(world)) - 1, -1, -1):
            if not (kind.hidden and kind.hidden(world, n)):
                return kind.render(world, n)
        raise LookupError(f"no {kind.name} to copy")

    def _moved(self, one: Json) -> Json:
        """The object with a new balance transaction, which is added to the ledger."""
        sign, kind = _MOVES[one["object"]]
        amount = sign * one["amount"]
        fee = processing_fee(one["amount"], CURRENCIES.index(one["currency"])) if kind == "charge" else 0
        transaction = self._books.transaction(
            (kind, kind),
            one,
            amount,
            at=one["created"],
            available_on=one["created"] + (2 * 86400 if sign > 0 else 0),
            fee=fee,
        )
        return one | {"balance_transaction": transaction["id"]}

    def _refunded(self, refund: Json) -> None:
        """Updates the charge of a refund."""
        charge = self._store.get(BY_NAME["charge"], str(refund["charge"]))
        if charge is not None:
            total = charge["amount_refunded"] + refund["amount"]
            fields = {"amount_refunded": total, "refunded": total >= charge["amount"]}
            self.update("charge", charge["id"], fields, event="charge.refunded")

    def _tell(self, what: str | None, one: Json, *, at: int | None = None, previous: Json | None = None) -> None:
        """Records the event of a change. The event of an object created in the past has the time of its creation."""
        if what is None:
            return
        now = self._store.clock.now()
        self._books.keep(self._books.event(what, one, at=now if at is None else min(at, now), previous=previous))


#: A new object does not copy the discounts of its model.
_NOT_COPIED: Json = {"discount": None, "discounts": [], "total_discount_amounts": []}


def _fresh(store: Store, one: Json, id_: str) -> Json:
    """A copy with a new id; its embedded lists are complete and get new ids and URLs."""
    made = one | {"id": id_}
    for name, value in one.items():
        if not (isinstance(value, dict) and value.get("object") == "list"):
            continue
        kept = value["data"] if name in ("lines", "items") else []
        entries = [_owned(store, entry, one["id"], id_) for entry in kept]
        made[name] = value | {"data": entries, "has_more": False, "url": value["url"].replace(one["id"], id_)}
    made |= {name: empty for name, empty in _NOT_COPIED.items() if name in one}
    if one["object"] == "charge":
        made |= {"amount_refunded": 0, "refunded": False, "disputed": False, "application_fee": None}
    return made


def _owned(store: Store, entry: Json, old: str, new: str) -> Json:
    made = entry | {"id": store.new_id(entry["object"])}
    made |= {name: [] for name in ("discounts", "discount_amounts") if name in entry}
    return made | {name: new for name in ("invoice", "subscription") if entry.get(name) == old}
