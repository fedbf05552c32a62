"""Creates, updates and deletes customers."""

from __future__ import annotations

from stripe_sandbox import billing
from stripe_sandbox.company.money import CURRENCIES
from stripe_sandbox.company.people import PLACES
from stripe_sandbox.life import schedules, subscription_status, subscriptions
from stripe_sandbox.life.scene import Scene, currency_of, metadata
from stripe_sandbox.objects.customers import identity, remembered
from stripe_sandbox.objects.json import Json

#: Currencies of new customers, in the same proportions as for generated customers.
_CURRENCIES = (0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3)


def created(scene: Scene) -> bool:
    dice, currency = scene.dice, scene.dice.pick(_CURRENCIES)
    bits = dice.bits()
    name, mail, phone, address = identity(currency, bits)
    id_ = scene.new_id("customer")
    template = remembered(scene.world, dice.below(len(scene.world.customers.created)))
    scene.add(
        template
        | {
            "id": id_,
            "address": address if dice.chance(0.9) else None,
            "balance": 0,
            "created": scene.at,
            "currency": CURRENCIES[currency],
            "delinquent": False,
            "description": None,
            "discount": None,
            "email": mail,
            "invoice_prefix": f"{bits >> 32:08X}",
            "invoice_settings": template["invoice_settings"]
            | {"default_payment_method": scene.new_id("payment_method")},
            "metadata": {"crm_id": f"crm-{scene.number():07d}", "segment": dice.pick(("smb", "enterprise", "edu"))},
            "name": name,
            "next_invoice_sequence": 1,
            "phone": phone if dice.chance(0.6) else None,
            "preferred_locales": [dice.pick(PLACES[currency]).locale] if dice.chance(0.5) else [],
            "shipping": {"address": address, "name": name, "phone": phone} if dice.chance(0.25) else None,
            "tax_exempt": "none",
        },
        tell="customer.created",
    )
    return True


def updated(scene: Scene) -> bool:
    one = scene.pick("customer")
    if one is None:
        return False
    name, mail, phone, address = identity(currency_of(one), scene.dice.bits())
    fields: Json = scene.dice.pick(
        (
            {"email": mail},
            {"email": mail},
            {"address": address},
            {"address": address, "shipping": {"address": address, "name": one["name"], "phone": phone}},
            {"name": name},
            {"phone": phone},
            {"metadata": metadata(scene, one["metadata"])},
            {"description": f"Spoken to, {scene.number()}"},
        )
    )
    scene.change(one, fields, tell="customer.updated")
    return True


def deleted(scene: Scene) -> bool:
    """Deletes a customer with its subscriptions (docs: delete a customer), schedules and pending invoice items."""
    one = scene.pick("customer")
    if one is None:
        return False
    for sub in subscriptions.of_customer(scene, one["id"]):
        subscription_status.end(scene, sub)
    for schedule in schedules.of_customer(scene, one["id"]):
        schedules.cancel(scene, schedule)
    for item in billing.waiting(scene.store, one["id"]):
        scene.remove(item, tell="invoiceitem.deleted")
    scene.remove(scene.get("customer", one["id"]) or one, tell="customer.deleted")
    return True
