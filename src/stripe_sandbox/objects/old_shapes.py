"""Objects in the shape of API version 2020-08-27, with fields that later versions renamed, moved or removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from stripe_sandbox.objects import catalogue
from stripe_sandbox.objects.charges import refunds_of
from stripe_sandbox.objects.json import Json, nested

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World


class Surroundings(Protocol):
    """Access to related objects that old shapes include. Ids and objects are None if there are none."""

    def refunds_of(self, charge: Json) -> list[Json]: ...
    def invoice_of(self, charge: str) -> str | None: ...
    def charge_of(self, invoice: str) -> str | None: ...
    def intent_of(self, charge: str) -> str | None: ...
    def coupon(self, id_: str) -> Json | None: ...
    def price(self, id_: str) -> Json | None: ...
    def plan(self, id_: str) -> Json | None: ...


class Generated:
    """Related objects in their generated state."""

    def __init__(self, world: World) -> None:
        self._world = world

    def refunds_of(self, charge: Json) -> list[Json]:
        n = self._world.ids["charge"].index(charge["id"])
        return refunds_of(self._world, n) if n is not None else []

    def invoice_of(self, charge: str) -> str | None:
        n = self._world.ids["charge"].index(charge)
        invoice = self._world.charges.invoice[n] if n is not None else -1
        return self._world.ids["invoice"].of(invoice) if invoice >= 0 else None

    def charge_of(self, invoice: str) -> str | None:
        n = self._world.ids["invoice"].index(invoice)
        charge = self._world.invoices.charge[n] if n is not None else -1
        return self._world.ids["charge"].of(charge) if charge >= 0 else None

    def intent_of(self, charge: str) -> str | None:
        n = self._world.ids["charge"].index(charge)
        return self._world.ids["payment_intent"].of(n) if n is not None else None

    def coupon(self, id_: str) -> Json | None:
        n = self._world.catalogue.coupon_index(id_)
        return catalogue.coupon(self._world, n) if n is not None else None

    def price(self, id_: str) -> Json | None:
        n = self._world.ids["price"].index(id_)
        return catalogue.price(self._world, n) if n is not None else None

    def plan(self, id_: str) -> Json | None:
        """Also returns None if the price is not recurring."""
        n = self._world.ids["price"].index(id_)
        recurring = n is not None and self._world.catalogue.prices[n].interval is not None
        return catalogue.plan(self._world, n) if n is not None and recurring else None


def old(around: Surroundings, one: Json) -> Json:
    change = _CHANGES.get(one["object"])
    return change(around, one) if change else one


def _charge(around: Surroundings, one: Json) -> Json:
    made = _without(one, "radar_options", "presentment_details")
    made["invoice"] = around.invoice_of(one["id"])
    made["refunds"] = nested(f"/v1/charges/{one['id']}/refunds", around.refunds_of(one))
    return made


def _customer(around: Surroundings, one: Json) -> Json:
    made = _without(one, "customer_account")
    if made.get("discount"):
        made["discount"] = _discount(around, made["discount"])
    return made


def _discount(around: Surroundings, one: Json) -> Json:
    made = _without(one, "source", "customer_account", "subscription_item")
    made["coupon"] = around.coupon(str(one["source"]["coupon"]))
    return made


def _subscription(_: Surroundings, one: Json) -> Json:
    items = one["items"]["data"]
    made = _without(one, "billing_mode", "billing_schedules", "customer_account", "managed_payments", "discounts")
    made |= {
        "current_period_end": items[0]["current_period_end"],
        "current_period_start": items[0]["current_period_start"],
        "discount": None,
        "items": one["items"] | {"data": [_item(item) for item in items], "total_count": len(items)},
        "plan": items[0]["plan"] if len(items) == 1 else None,
        "quantity": items[0].get("quantity") if len(items) == 1 else None,
    }
    return made


def _item(one: Json) -> Json:
    return _without(one, "current_period_end", "current_period_start", "discounts")


def _invoice(around: Surroundings, one: Json) -> Json:
    charge = around.charge_of(one["id"])
    parent = one["parent"] or {}
    made = _without(one, "parent", "amount_overpaid", "amount_paid_off_stripe", "customer_account", "total_taxes")
    made |= {
        "charge": charge,
        "discount": None,
        "lines": one["lines"] | {"data": [_line(around, line) for line in one["lines"]["data"]]},
        "paid": one["status"] == "paid",
        "payment_intent": around.intent_of(charge) if charge else None,
        "subscription": (parent.get("subscription_details") or {}).get("subscription"),
        "tax": None,
        "total_tax_amounts": [],
    }
    return made


def _line(around: Surroundings, one: Json) -> Json:
    made = _without(one, "parent", "pricing", "subtotal", "taxes", "quantity_decimal", "pretax_credit_amounts")
    price = one["pricing"]["price_details"]["price"]
    made["price"], made["plan"] = around.price(price), around.plan(price)
    made["type"] = "subscription" if one["parent"]["type"] == "subscription_item_details" else "invoiceitem"
    return made


def _invoice_item(around: Surroundings, one: Json) -> Json:
    made = _without(one, "parent", "pricing", "net_amount", "quantity_decimal", "customer_account")
    made["price"] = around.price(one["pricing"]["price_details"]["price"])
    made["subscription"] = ((one["parent"] or {}).get("subscription_details") or {}).get("subscription")
    made["unit_amount"] = made["price"] and made["price"]["unit_amount"]
    return made


def _without(one: Json, *names: str) -> Json:
    return {name: value for name, value in one.items() if name not in names}


_CHANGES: dict[str, Any] = {
    "charge": _charge,
    "customer": _customer,
    "discount": _discount,
    "subscription": _subscription,
    "invoice": _invoice,
    "invoiceitem": _invoice_item,
}
