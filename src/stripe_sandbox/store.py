"""The current state of the company: the generated objects, overlaid with all later changes."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from stripe_sandbox.clock import Clock
from stripe_sandbox.company.world import World
from stripe_sandbox.funds import Funds
from stripe_sandbox.ids import FIRST_ADDED, Ids
from stripe_sandbox.kinds import BY_NAME, KINDS, Kind
from stripe_sandbox.objects import discounts
from stripe_sandbox.objects.json import Json, nested
from stripe_sandbox.overlay import Overlay, Packing

#: Objects that exist only in a list of another object: the kind and the field of that object.
ENTRIES = {
    "subscription_item": ("subscription", "items"),
    "transfer_reversal": ("transfer", "reversals"),
    "fee_refund": ("application_fee", "refunds"),
}


class Position(NamedTuple):
    """The position of an object in its list, by time and id. `at` is its index, or -1 for an added object."""

    created: int
    id: str
    at: int


class Store:
    """Objects by kind and id. Returned objects may be shared and must never be changed in place."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world, self.clock = world, clock
        self.overlays = {kind.name: Overlay(Packing(_sample(world, kind))) for kind in KINDS}
        self.funds = Funds(world)
        #: Charges by the invoice that they pay, and the reverse, for charges made after generation.
        self.charge_of_invoice: dict[str, str] = {}
        self.invoice_of_charge: dict[str, str] = {}
        self._discounts: dict[str, Json] = {}
        #: Ids of the parents of added list entries.
        self._owners: dict[str, str] = {}
        self._families = sorted(((ids.prefix, name) for name, ids in world.ids.items()), key=lambda pair: -len(pair[0]))
        self._keys = {
            kind.name: [(name, one.key) for name, one in kind.filters.items() if one.key is not None] for kind in KINDS
        }
        self._added = 0

    def new_id(self, family: str) -> str:
        ids: Ids = self.world.ids[family]
        self._added += 1
        return ids.of(FIRST_ADDED + self._added)

    def position(self, kind: Kind, id_: str) -> Position | None:
        """None if the object does not exist or was deleted."""
        overlay = self.overlays[kind.name]
        if id_ in overlay.added:
            return Position(overlay.get(id_)[kind.time_field], id_, -1)
        n = kind.index(self.world, id_)
        if n is None or n in overlay.gone:
            return None
        return Position(kind.created(self.world)[n], id_, n)

    def get(self, kind: Kind, id_: str) -> Json | None:
        """The object, or the stub of a deleted customer; None if the object does not exist."""
        one = self.whole(kind, id_, complete=False)
        if one is not None and kind.since and one[kind.time_field] < kind.since(self.world):
            return None
        if one is None:
            deleted = kind.name == "customer" and (
                id_ in self.overlays["customer"].removed or kind.index(self.world, id_) is not None
            )
            return {"id": id_, "object": "customer", "deleted": True} if deleted else None
        return self._cut(kind, one)

    def whole(self, kind: Kind, id_: str, *, complete: bool = True) -> Json | None:
        """The object with complete embedded lists; None if it does not exist."""
        overlay = self.overlays[kind.name]
        if id_ in overlay.added:
            return self._current(kind, overlay.get(id_))
        n = kind.index(self.world, id_)
        if n is None or n in overlay.gone:
            return None
        one = self._generated(kind, n)
        for name, entries in kind.lists.items() if complete else ():
            if one.get(name, {}).get("has_more"):
                one = one | {name: one[name] | {"data": entries(self.world, n), "has_more": False}}
        return one

    def at(self, kind: Kind, n: int) -> Json:
        """A generated object by index, in its current state."""
        return self._cut(kind, self._generated(kind, n))

    def added(self, kind: Kind, id_: str) -> Json:
        """An object that was added after generation."""
        return self._cut(kind, self._current(kind, self.overlays[kind.name].get(id_)))

    def entries(self, kind: Kind, parent: Json, name: str) -> list[Json]:
        """All entries of a list embedded in an object."""
        one = self.whole(kind, parent["id"]) if parent[name]["has_more"] else None
        found: list[Json] = (one or parent)[name]["data"]
        return found

    def _generated(self, kind: Kind, n: int) -> Json:
        changed = self.overlays[kind.name].changed
        return kind.render(self.world, n) | changed[n] if n in changed else kind.render(self.world, n)

    def _current(self, kind: Kind, one: Json) -> Json:
        if kind.name == "balance_transaction":
            one["status"] = "available" if one["available_on"] <= self.world.now else "pending"
        return one

    def _cut(self, kind: Kind, one: Json) -> Json:
        """Cuts embedded lists after ten entries."""
        for name in kind.lists:
            inner = one.get(name)
            if inner is not None and len(inner["data"]) > 10:
                one = one | {name: nested(inner["url"], inner["data"])}
        return one

    def cut(self, one: Json) -> Json:
        """An object of any kind as the API shows it, with embedded lists cut."""
        kind = BY_NAME.get(one["object"])
        return self._cut(kind, one) if kind else one

    def find(self, id_: str) -> Json | None:
        """The object with this id, of any kind; a deleted object in its last state."""
        family = self.family(id_)
        if family in ENTRIES:
            return self.entry(family, id_)
        if family == "discount":
            return self.discount(id_)
        kind = BY_NAME.get(family or "coupon")
        if kind is None:
            return None
        return self.get(kind, id_) or self.deleted(kind, id_)

    def deleted(self, kind: Kind, id_: str) -> Json | None:
        """The last state of a deleted object."""
        overlay = self.overlays[kind.name]
        if id_ in overlay.removed:
            return overlay.packing.unpack(overlay.removed[id_])
        n = kind.index(self.world, id_)
        return self.at(kind, n) if n is not None and n in overlay.gone else None

    def family(self, id_: str) -> str | None:
        return next((name for prefix, name in self._families if id_.startswith(prefix)), None)

    def entry(self, family: str, id_: str) -> Json | None:
        """An object that exists only in a list of another object."""
        parent, name = ENTRIES[family]
        kind = BY_NAME[parent]
        one = self.whole(kind, owner) if (owner := self._owner(family, id_)) else None
        return next((entry for entry in one[name]["data"] if entry["id"] == id_), None) if one else None

    def _owner(self, family: str, id_: str) -> str | None:
        n, world = self.world.ids[family].index(id_), self.world
        if n is None:
            return self._owners.get(id_)
        if family == "subscription_item":
            return world.ids["subscription"].of(n >> 5)
        table, parents = (
            (world.reversals, "transfer") if family == "transfer_reversal" else (world.fee_refunds, "application_fee")
        )
        return world.ids[parents].of(table.of[n]) if n < len(table.of) else None

    def discount(self, id_: str) -> Json | None:
        """A discount by id. No Stripe endpoint accepts this id, but `expand` needs it."""
        if id_ in self._discounts:
            return self._discounts[id_]
        n = self.world.ids["discount"].index(id_)
        known = n is not None and n < len(self.world.discounts.place)
        return discounts.discount(self.world, n) if n is not None and known else None

    def give(self, discount: Json) -> None:
        """Stores a discount, to which other objects refer by id."""
        self._discounts[discount["id"]] = discount

    def refunds_of(self, charge: Json) -> list[Json]:
        """All refunds of a charge in their current state, newest first."""
        kind, n = BY_NAME["refund"], BY_NAME["charge"].index(self.world, charge["id"])
        overlay = self.overlays["refund"]
        generated = self.world.charges.refunds.get(n, ()) if n is not None else ()
        places = overlay.referring.get(("charge", charge["id"]), ())
        return [
            *(self.added(kind, id_) for _, id_ in reversed(places)),
            *(self.at(kind, i) for i in reversed(generated) if i not in overlay.gone),
        ]

    def payments_of(self, invoice: Json) -> list[Json]:
        """All payments of an invoice, newest first."""
        kind, n = BY_NAME["invoice_payment"], BY_NAME["invoice"].index(self.world, invoice["id"])
        places = self.overlays["invoice_payment"].referring.get(("invoice", invoice["id"]), ())
        charge = self.world.invoices.charge[n] if n is not None else -1
        return [
            *(self.added(kind, id_) for _, id_ in reversed(places)),
            *([self.at(kind, charge)] if charge >= 0 else ()),
        ]

    def add(self, kind: Kind, one: Json) -> None:
        """Adds an object, which must have complete embedded lists."""
        overlay, place = self.overlays[kind.name], (one[kind.time_field], one["id"])
        overlay.added[one["id"]] = overlay.packing.pack(one)
        insort(overlay.order, place)
        for name, key in self._keys[kind.name]:
            overlay.refer(name, key(one), place)
        if kind.name == "balance_transaction":
            self.funds.add(one)
        self._own(one)

    def patch(self, kind: Kind, id_: str, fields: Mapping[str, Any]) -> None:
        """Replaces fields of an object; embedded lists must be complete."""
        overlay = self.overlays[kind.name]
        if id_ in overlay.added:
            before = overlay.get(id_)
            after = before | dict(fields)
            place = (before[kind.time_field], id_)
            overlay.added[id_] = overlay.packing.pack(after)
            for name, key in self._keys[kind.name]:
                if (old := key(before)) != (new := key(after)):
                    overlay.unrefer(name, old, place)
                    overlay.refer(name, new, place)
        else:
            n = kind.index(self.world, id_)
            if n is None or n in overlay.gone:
                raise KeyError(id_)
            overlay.changed[n] = overlay.changed.get(n, {}) | dict(fields)
        self._own({"id": id_, "object": kind.name, **fields})

    def _own(self, one: Json) -> None:
        for family, (parent, name) in ENTRIES.items():
            if one["object"] == parent and name in one:
                generated = self.world.ids[family].index
                entries = one[name]["data"]
                self._owners |= {entry["id"]: one["id"] for entry in entries if generated(entry["id"]) is None}

    def remove(self, kind: Kind, id_: str) -> None:
        overlay = self.overlays[kind.name]
        if id_ in overlay.added:
            one = overlay.get(id_)
            place = (one[kind.time_field], id_)
            overlay.removed[id_] = overlay.added[id_]
            overlay.leave(place)
            for name, key in self._keys[kind.name]:
                overlay.unrefer(name, key(one), place)
            if kind.name == "balance_transaction":
                self.funds.remove(one)
            return
        n = kind.index(self.world, id_)
        if n is None or n in overlay.gone:
            raise KeyError(id_)
        overlay.gone.add(n)

    def paid_out(self, transaction: str, payout: str) -> None:
        """Records the payout of a balance transaction."""
        kind = BY_NAME["balance_transaction"]
        place = self.position(kind, transaction)
        if place is None:
            raise KeyError(transaction)
        if place.at >= 0:
            self.world.transactions.paid_later[place.at] = payout
        else:
            self.overlays[kind.name].refer("payout", payout, (place.created, place.id))


def _sample(world: World, kind: Kind) -> bytes:
    """Typical JSON of a kind, for compression. Events resemble the objects in their payload."""
    names = ("customer", "invoice", "charge") if kind.name == "event" else (kind.name,)
    kinds = [one for one in KINDS if one.name in names]
    return b"".join(orjson.dumps(one.render(world, len(one.created(world)) - 1)) for one in kinds if one.created(world))
