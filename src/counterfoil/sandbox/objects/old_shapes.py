"""Objects as API version 2020-08-27 shows them: what later versions renamed, moved or left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from counterfoil.sandbox.objects.catalogue import coupon
from counterfoil.sandbox.objects.charges import refunds_of
from counterfoil.sandbox.objects.json import Json, nested

if TYPE_CHECKING:
    from counterfoil.sandbox.company.world import World


def old(world: World, one: Json) -> Json:
    change = _CHANGES.get(one["object"])
    return change(world, one) if change else one


def _charge(world: World, one: Json) -> Json:
    n = world.ids["charge"].index(one["id"])
    refunds = refunds_of(world, n) if n is not None else []
    invoice = world.charges.invoice[n] if n is not None else -1
    made = _without(one, "radar_options", "presentment_details")
    made["invoice"] = world.ids["invoice"].of(invoice) if invoice >= 0 else None
    made["refunds"] = nested(f"/v1/charges/{one['id']}/refunds", refunds)
    return made


def _customer(world: World, one: Json) -> Json:
    made = _without(one, "customer_account")
    if made.get("discount"):
        made["discount"] = _discount(world, made["discount"])
    return made


def _discount(world: World, one: Json) -> Json:
    made = _without(one, "source", "customer_account", "subscription_item")
    index = world.catalogue.coupon_index(str(one["source"]["coupon"]))
    made["coupon"] = coupon(world, index) if index is not None else None
    return made


def _subscription(_: World, one: Json) -> Json:
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


def _invoice(world: World, one: Json) -> Json:
    n = world.ids["invoice"].index(one["id"])
    charge = world.invoices.charge[n] if n is not None else -1
    parent = one["parent"] or {}
    paid = one["status"] == "paid"
    made = _without(one, "parent", "amount_overpaid", "amount_paid_off_stripe", "customer_account", "total_taxes")
    made |= {
        "charge": world.ids["charge"].of(charge) if charge >= 0 else None,
        "discount": None,
        "lines": one["lines"] | {"data": [_line(world, line) for line in one["lines"]["data"]]},
        "paid": paid,
        "payment_intent": world.ids["payment_intent"].of(charge) if charge >= 0 else None,
        "subscription": (parent.get("subscription_details") or {}).get("subscription"),
        "tax": None,
        "total_tax_amounts": [],
    }
    return made


def _line(world: World, one: Json) -> Json:
    from counterfoil.sandbox.objects.catalogue import plan, price

    made = _without(one, "parent", "pricing", "subtotal", "taxes", "quantity_decimal", "pretax_credit_amounts")
    index = world.ids["price"].index(one["pricing"]["price_details"]["price"])
    recurring = index is not None and world.catalogue.prices[index].interval is not None
    made["price"] = price(world, index) if index is not None else None
    made["plan"] = plan(world, index) if index is not None and recurring else None
    made["type"] = "subscription" if one["parent"]["type"] == "subscription_item_details" else "invoiceitem"
    return made


def _invoice_item(world: World, one: Json) -> Json:
    from counterfoil.sandbox.objects.catalogue import price

    made = _without(one, "parent", "pricing", "net_amount", "quantity_decimal", "customer_account")
    index = world.ids["price"].index(one["pricing"]["price_details"]["price"])
    made["price"] = price(world, index) if index is not None else None
    made["subscription"] = ((one["parent"] or {}).get("subscription_details") or {}).get("subscription")
    made["unit_amount"] = None if index is None else world.catalogue.prices[index].amount
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
