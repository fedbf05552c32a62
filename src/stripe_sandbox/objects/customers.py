"""Customers, and the personal data that other objects copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.discounts import in_force
from stripe_sandbox.company.money import CURRENCIES, KWD
from stripe_sandbox.company.people import FIRST, LAST, PLACES, STREETS, TRADES, WORDS
from stripe_sandbox.objects.discounts import discount
from stripe_sandbox.objects.json import Json

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World


def identity(currency: int, dice: int) -> tuple[str, str, str, Json]:
    """(name, email address, phone, address) of the person that the random bits determine."""
    first, last = FIRST[dice % 26], LAST[(dice >> 5) % 24]
    place = PLACES[currency][(dice >> 10) % len(PLACES[currency])]
    address = {
        "city": place.city,
        "country": place.country,
        "line1": f"{1 + (dice >> 14) % 240} {STREETS[(dice >> 22) % 7]}",
        "line2": f"Unit {(dice >> 26) % 40}" if (dice >> 25) & 1 else None,
        "postal_code": place.postal_code,
        "state": place.state,
    }
    mail = f"{first}.{last}.{dice >> 44:x}@example.com".lower().encode("ascii", "ignore").decode()
    return f"{first} {last}", mail.replace("'", ""), f"{place.dial}{(dice >> 30) % 10000:04d}", address


def customer(world: World, n: int) -> Json:
    """A customer, or the stub of a deleted customer."""
    if world.customers.deleted[n]:
        return {"id": world.ids["customer"].of(n), "object": "customer", "deleted": True}
    return remembered(world, n)


def remembered(world: World, n: int) -> Json:
    """A customer; for a deleted customer, its last state."""
    id_ = world.ids["customer"].of(n)
    dice, currency = world.customer_chance.of(n), world.customers.currency[n]
    name, mail, phone, address = identity(currency, dice)
    own = world.discounts.at[t.ON_CUSTOMER].get(n)
    business = dice % 3 == 0
    if business:
        name = f"{WORDS[(dice >> 30) % 12]} {TRADES[(dice >> 36) % 12]}"
    shipped = (dice >> 50) % 4 == 0
    return {
        "id": id_,
        "object": "customer",
        "address": address if dice % 8 else None,
        "balance": (-1000, 2500)[dice >> 60 & 1] if (dice >> 55) % 20 == 0 and currency != KWD else 0,
        "created": world.customers.created[n],
        "currency": CURRENCIES[currency],
        "customer_account": None,
        "default_source": None,
        "delinquent": (dice >> 48) % 30 == 0,
        "description": f"Customer since day {n}, “{WORDS[dice % 12]}” plan" if dice % 5 == 0 else None,
        "discount": discount(world, own) if own is not None and in_force(world, own, world.end) else None,
        "email": mail,
        "invoice_prefix": f"{dice >> 32:08X}",
        "invoice_settings": {
            "custom_fields": [{"name": "PO number", "value": f"PO-{n:05d}"}] if dice % 12 == 0 else None,
            "default_payment_method": world.ids["payment_method"].of(n),
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {"crm_id": f"crm-{n:07d}", "segment": ("smb", "enterprise", "edu")[dice % 3]} if dice % 4 else {},
        "name": name,
        "next_invoice_sequence": 1 + (dice >> 20) % 30,
        "phone": phone if dice % 3 else None,
        "preferred_locales": [PLACES[currency][(dice >> 10) % len(PLACES[currency])].locale] if dice % 2 else [],
        "shipping": {"address": address, "name": name, "phone": phone} if shipped else None,
        "tax_exempt": "reverse" if business and currency == 1 else "none",
        "test_clock": None,
    }
