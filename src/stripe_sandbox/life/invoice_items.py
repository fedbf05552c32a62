"""Invoice items: amounts that are pending until a customer's next invoice."""

from __future__ import annotations

from stripe_sandbox import billing
from stripe_sandbox.company.money import CURRENCIES
from stripe_sandbox.life.discounts import give, is_live
from stripe_sandbox.life.scene import Scene, currency_of
from stripe_sandbox.objects.json import Json


def created(scene: Scene) -> bool:
    """Creates an item for the customer's next invoice or, as often, for the next invoice of a subscription."""
    sub = scene.pick("subscription", is_live) if scene.dice.chance(0.5) else None
    customer = scene.get("customer", sub["customer"]) if sub else scene.pick("customer")
    if customer is None:
        return False
    add(scene, customer, subscription=sub["id"] if sub else None)
    return True


def add(scene: Scene, customer: Json, *, subscription: str | None = None) -> Json:
    """Bills an extra product to a customer, rarely with a discount."""
    dice, world = scene.dice, scene.world
    index = dice.pick(world.catalogue.goods[currency_of(customer)])
    price = world.catalogue.prices[index]
    units, name = 1 + dice.below(4), world.catalogue.products[price.product].name
    made = new(scene, customer, world.ids["price"].of(index), units, price.cost(units), name, subscription)
    if dice.chance(0.1):
        given = give(scene, customer["currency"], customer=customer["id"], invoice_item=made["id"])
        made |= {"discounts": [given["id"]] if given else []}
    return _kept(scene, made)


def prorate(scene: Scene, sub: Json, price: str, units: int, amount: int, name: str) -> None:
    """Bills a part of a period or, if `amount` is negative, credits it."""
    customer = scene.get("customer", sub["customer"])
    if customer is None or not amount:
        return
    made = new(scene, customer, price, units, amount, name, sub["id"])
    _kept(scene, made | {"discountable": False, "proration": True})


def _kept(scene: Scene, item: Json) -> Json:
    scene.pending_items.append(item["id"])
    return scene.add(item, tell="invoiceitem.created")


def new(scene: Scene, customer: Json, price: str, units: int, amount: int, name: str, subscription: str | None) -> Json:
    """A pending invoice item that is not stored yet."""
    found = scene.store.find(price) or {}
    details = {"subscription": subscription} if subscription else None
    return scene.like("invoiceitem") | {
        "id": scene.new_id("invoiceitem"),
        "amount": amount,
        "currency": CURRENCIES[currency_of(customer)],
        "customer": customer["id"],
        "date": scene.at,
        "description": name,
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "net_amount": amount,
        "parent": {"subscription_details": details, "type": "subscription_details"} if details else None,
        "period": {"end": scene.at, "start": scene.at},
        "pricing": {
            "price_details": {"price": price, "product": found["product"]},
            "type": "price_details",
            "unit_amount_decimal": found["unit_amount_decimal"],
        },
        "proration": False,
        "quantity": units,
        "quantity_decimal": str(units),
    }


def _is_waiting(item: Json) -> bool:
    return item["invoice"] is None


def revised(scene: Scene) -> bool:
    """Changes the quantity. Stripe has no event for this (no invoiceitem.updated)."""
    one = scene.take("invoiceitem", scene.pending_items, _is_waiting)
    if one is None or one["proration"]:
        return False
    units = one["quantity"] + 1
    price = scene.store.find(one["pricing"]["price_details"]["price"])
    amount = billing.cost(scene.store, price, units) if price else one["amount"]
    scene.change_silently(
        one, {"amount": amount, "net_amount": amount, "quantity": units, "quantity_decimal": str(units)}
    )
    return True


def deleted(scene: Scene) -> bool:
    one = scene.take("invoiceitem", scene.pending_items, _is_waiting)
    if one is None:
        return False
    scene.remove(one, tell="invoiceitem.deleted")
    return True


def generated_waiting(scene: Scene) -> None:
    table, of = scene.world.invoice_items, scene.world.ids["invoiceitem"].of
    scene.pending_items += [of(n) for n, invoice in enumerate(table.invoice) if invoice < 0]
