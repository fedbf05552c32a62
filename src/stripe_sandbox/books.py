"""The records of a change: its event and, if money moves, its balance transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stripe_sandbox.kinds import BY_NAME
from stripe_sandbox.objects import events, old_shapes
from stripe_sandbox.objects.json import Json
from stripe_sandbox.store import Store

_FEES = "Stripe processing fees"


class Books:
    def __init__(self, store: Store) -> None:
        self.store = store
        self._around = _Now(store)

    def event(self, what: str, one: Json, *, at: int, previous: Mapping[str, Any] | None = None) -> Json:
        """An event, not stored yet. The payload is the object in an old API version's shape, with lists cut at ten."""
        data: Json = {"object": old_shapes.old(self._around, self.store.cut(one))}
        if previous is not None:
            data["previous_attributes"] = dict(previous)
        return events.wrapped(self.store.new_id("event"), what, at, data, None)

    def keep(self, event: Json) -> None:
        self.store.add(BY_NAME["event"], event)

    def transaction(
        self, what: tuple[str, str], one: Json, amount: int, *, at: int, available_on: int, fee: int = 0
    ) -> Json:
        """Adds a balance transaction; `what` is its type and reporting category, `one` its source."""
        kind, category = what
        taken = {"amount": fee, "application": None, "currency": one["currency"], "description": _FEES}
        made: Json = {
            "id": self.store.new_id("balance_transaction"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": available_on,
            "balance_type": "payments",
            "created": at,
            "currency": one["currency"],
            "description": one.get("description"),
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [taken | {"type": "stripe_fee"}] if fee else [],
            "net": amount - fee,
            "reporting_category": category,
            "source": one["id"],
            "status": "available" if available_on <= at else "pending",
            "type": kind,
        }
        self.store.add(BY_NAME["balance_transaction"], made)
        return made


class _Now(old_shapes.Generated):
    """Related objects in their current state, for event payloads."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.world)
        self._store = store

    def refunds_of(self, charge: Json) -> list[Json]:
        return self._store.refunds_of(charge)

    def invoice_of(self, charge: str) -> str | None:
        return self._store.invoice_of_charge.get(charge) or super().invoice_of(charge)

    def charge_of(self, invoice: str) -> str | None:
        return self._store.charge_of_invoice.get(invoice) or super().charge_of(invoice)

    def intent_of(self, charge: str) -> str | None:
        one = self._store.find(charge)
        return one["payment_intent"] if one else None

    def coupon(self, id_: str) -> Json | None:
        return self._store.find(id_)

    def price(self, id_: str) -> Json | None:
        return self._store.find(id_)

    def plan(self, id_: str) -> Json | None:
        kind = BY_NAME["plan"]
        return self._store.get(kind, id_) or self._store.deleted(kind, id_)
