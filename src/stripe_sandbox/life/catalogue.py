"""Creates, renames and deletes plans together with their prices, and renames products."""

from __future__ import annotations

from stripe_sandbox.company.money import CURRENCIES, localized
from stripe_sandbox.company.people import TRADES, WORDS
from stripe_sandbox.life.scene import Scene, metadata
from stripe_sandbox.objects.json import Json

#: Plans are deleted only while there are more than this.
_KEPT = 30


def plan_created(scene: Scene) -> bool:
    """Creates a plan with its price and, sometimes, with a new product."""
    dice, world = scene.dice, scene.world
    currency, interval = dice.below(len(CURRENCIES)), dice.pick(("month", "month", "year"))
    amount = localized(dice.pick((700, 1900, 3900, 5900, 12900)) * (10 if interval == "year" else 1), currency)
    id_, name = scene.new_id("price"), f"{dice.pick(WORDS)} {dice.pick(TRADES)}"
    if dice.chance(0.4):
        product = scene.new_id("product")
        scene.add(
            scene.like("product")
            | {
                "id": product,
                "active": True,
                "created": scene.at,
                "default_price": id_,
                "description": None,
                "metadata": {"sku": f"SKU-{scene.number():05d}"},
                "name": name,
                "unit_label": "seat",
                "updated": scene.at,
            },
            tell="product.created",
        )
    else:
        product = world.ids["product"].of(dice.below(8))
    own = {
        "id": id_,
        "active": True,
        "created": scene.at,
        "currency": CURRENCIES[currency],
        "nickname": f"{name}, {interval}ly",
        "product": product,
    }
    recurring = {
        "interval": interval,
        "interval_count": 1,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }
    units = {"unit_amount": amount, "unit_amount_decimal": str(amount), "lookup_key": None, "tiers_mode": None}
    each = {"billing_scheme": "per_unit", "type": "recurring", "recurring": recurring}
    scene.add(scene.like("price") | own | units | each, tell="price.created")
    amounts = {"amount": amount, "amount_decimal": str(amount), "tiers_mode": None, "trial_period_days": None}
    kind = {"billing_scheme": "per_unit", "interval": interval, "usage_type": "licensed"}
    scene.add(scene.like("plan") | own | amounts | kind, tell="plan.created")
    return True


def plan_updated(scene: Scene) -> bool:
    """Renames, archives or reactivates a plan."""
    plan = scene.pick("plan")
    price = scene.get("price", plan["id"]) if plan else None
    if plan is None or price is None:
        return False
    fields: Json = {"nickname": f"Plan {scene.number()}"}
    if scene.dice.chance(0.2):
        fields = {"active": not plan["active"]}
    scene.change(plan, fields, tell="plan.updated")
    scene.change(price, fields, tell="price.updated")
    return True


def plan_deleted(scene: Scene) -> bool:
    """Deletes a plan; existing subscriptions keep it (docs: delete a plan)."""
    overlay = scene.store.overlays["plan"]
    generated = sum(price.interval is not None for price in scene.world.catalogue.prices)
    plan = scene.pick("plan")
    price = scene.get("price", plan["id"]) if plan else None
    if plan is None or price is None or generated - len(overlay.gone) + len(overlay.added) <= _KEPT:
        return False
    scene.remove(price, tell="price.deleted")
    scene.remove(plan, tell="plan.deleted")
    return True


def product_updated(scene: Scene) -> bool:
    one = scene.pick("product")
    if one is None:
        return False
    fields: Json = {"metadata": metadata(scene, one["metadata"]), "updated": scene.at}
    if scene.dice.chance(0.4):
        fields = {"name": f"{one['name'].split(' no.')[0]} no. {scene.number()}", "updated": scene.at}
    scene.change(one, fields, tell="product.updated")
    return True
