"""Creates, renames and deletes coupons, and gives and ends discounts."""

from __future__ import annotations

from stripe_sandbox.company.calendar import months_later
from stripe_sandbox.company.money import CURRENCIES, localized
from stripe_sandbox.company.people import WORDS
from stripe_sandbox.company.tables import ON_SUBSCRIPTION
from stripe_sandbox.life.scene import Scene, metadata
from stripe_sandbox.objects.json import Json

#: Coupons are deleted only while there are more than this.
_KEPT = 12


def coupon_created(scene: Scene) -> bool:
    dice = scene.dice
    word, percent = dice.pick(WORDS), 5.0 + dice.below(40) / 2
    currency = dice.below(len(CURRENCIES)) if dice.chance(0.3) else None
    duration = dice.pick(("once", "forever", "repeating"))
    off = f"{CURRENCIES[currency].upper()}" if currency is not None else f"{int(percent)}"
    scene.add(
        scene.like("coupon")
        | {
            "id": f"{word.upper()}{off}-{scene.number()}",
            "amount_off": None if currency is None else localized(300 + dice.below(9) * 100, currency),
            "created": scene.at,
            "currency": None if currency is None else CURRENCIES[currency],
            "duration": duration,
            "duration_in_months": 1 + dice.below(6) if duration == "repeating" else None,
            "metadata": {"campaign": word} if dice.chance(0.5) else {},
            "name": f"{word} {dice.pick(('season', 'launch', 'partner', 'weekend'))}",
            "percent_off": percent if currency is None else None,
            "times_redeemed": 0,
            "valid": True,
        },
        tell="coupon.created",
    )
    return True


def coupon_updated(scene: Scene) -> bool:
    one = scene.pick("coupon")
    if one is None:
        return False
    fields: Json = {"name": f"{one['name'][:28]} {scene.number()}"}
    if scene.dice.chance(0.3):
        fields = {"metadata": metadata(scene, one["metadata"])}
    scene.change(one, fields, tell="coupon.updated")
    return True


def coupon_deleted(scene: Scene) -> bool:
    """Deletes a coupon; its discounts stay in force."""
    overlay = scene.store.overlays["coupon"]
    one = scene.pick("coupon")
    left = len(scene.world.catalogue.coupons) - len(overlay.gone) + len(overlay.added)
    if one is None or left <= _KEPT:
        return False
    scene.remove(one, tell="coupon.deleted")
    return True


def customer_discounted(scene: Scene) -> bool:
    one = scene.pick("customer", lambda customer: customer["discount"] is None)
    given = give(scene, one["currency"], customer=one["id"]) if one else None
    if one is None or given is None:
        return False
    scene.tell("customer.discount.created", given)
    scene.change(one, {"discount": given}, tell="customer.updated")
    if given["end"]:
        scene.later(given["end"] - scene.at, customer_discount_ends, one["id"], given["id"])
    return True


def customer_undiscounted(scene: Scene) -> bool:
    one = scene.pick("customer", lambda customer: customer["discount"] is not None, tries=60)
    return one is not None and customer_discount_ends(scene, one["id"], one["discount"]["id"])


def customer_discount_ends(scene: Scene, customer: str, discount: str) -> bool:
    one = scene.get("customer", customer)
    if one is None or (one["discount"] or {}).get("id") != discount:
        return False
    scene.tell("customer.discount.deleted", one["discount"])
    scene.change(one, {"discount": None}, tell="customer.updated")
    return True


def subscription_discounted(scene: Scene) -> bool:
    """Discounts a subscription or one of its items."""
    one = scene.pick("subscription", lambda sub: is_live(sub) and len(sub["discounts"]) < 2)
    if one is None:
        return False
    items = one["items"]["data"]
    item = scene.dice.pick(items) if scene.dice.chance(0.3) else None
    if item is not None and item["discounts"]:
        return False
    given = give(
        scene, one["currency"], customer=one["customer"], subscription=one["id"], item=item["id"] if item else None
    )
    if given is None:
        return False
    scene.tell("customer.discount.created", given)
    if item is None:
        scene.change(one, {"discounts": [*one["discounts"], given["id"]]}, tell="customer.subscription.updated")
    else:
        changed = item | {"discounts": [given["id"]]}
        data = [changed if other["id"] == item["id"] else other for other in items]
        scene.change(one, {"items": one["items"] | {"data": data}}, tell="customer.subscription.updated")
    if given["end"]:
        scene.later(given["end"] - scene.at, subscription_discount_ends, one["id"], given["id"])
    return True


def subscription_undiscounted(scene: Scene) -> bool:
    one = scene.pick("subscription", lambda sub: is_live(sub) and bool(discounts_of(sub)), tries=60)
    return one is not None and subscription_discount_ends(scene, one["id"], scene.dice.pick(discounts_of(one)))


def subscription_discount_ends(scene: Scene, subscription: str, discount: str) -> bool:
    one, given = scene.get("subscription", subscription), scene.store.discount(discount)
    if one is None or given is None or not is_live(one) or discount not in discounts_of(one):
        return False
    data = [
        item | {"discounts": [other for other in item["discounts"] if other != discount]}
        for item in one["items"]["data"]
    ]
    left = [other for other in one["discounts"] if other != discount]
    fields: Json = {"discounts": left} if left != one["discounts"] else {"items": one["items"] | {"data": data}}
    scene.tell("customer.discount.deleted", given)
    scene.change(one, fields, tell="customer.subscription.updated")
    return True


def discounts_of(sub: Json) -> list[str]:
    """The discounts of a subscription and of its items."""
    return [*sub["discounts"], *(discount for item in sub["items"]["data"] for discount in item["discounts"])]


def is_live(sub: Json) -> bool:
    return sub["status"] in ("active", "trialing", "past_due")


def give(
    scene: Scene, currency: str, *, customer: str, subscription: str | None = None, item: str | None = None,
    invoice: str | None = None, invoice_item: str | None = None,
) -> Json | None:  # fmt: skip
    """A discount from a coupon that fits the currency; None if none was found. No event reports the redemption."""

    def works(one: Json) -> bool:
        return one["valid"] and one["currency"] in (None, currency)

    coupon = scene.pick("coupon", works, tries=8)
    if coupon is None:
        return None
    end = None
    if coupon["duration"] == "repeating":
        end = months_later(scene.at, coupon["duration_in_months"])
    given: Json = {
        "id": scene.new_id("discount"),
        "object": "discount",
        "checkout_session": None,
        "customer": customer,
        "customer_account": None,
        "end": end,
        "invoice": invoice,
        "invoice_item": invoice_item,
        "promotion_code": None,
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": scene.at,
        "subscription": subscription,
        "subscription_item": item,
    }
    scene.store.give(given)
    scene.change_silently(coupon, {"times_redeemed": coupon["times_redeemed"] + 1})
    return given


def generated_ends(scene: Scene) -> None:
    """Schedules the end of generated subscription discounts."""
    table, ids = scene.world.discounts, scene.world.ids
    for n, end in enumerate(table.end):
        if end > scene.at and table.place[n] == ON_SUBSCRIPTION:
            sub = ids["subscription"].of(table.owner[n])
            scene.later(end - scene.at, subscription_discount_ends, sub, ids["discount"].of(n))
