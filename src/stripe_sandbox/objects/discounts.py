"""Discounts, on any kind of object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_sandbox.company import tables as t
from stripe_sandbox.objects.json import Json

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World


def discount(world: World, n: int) -> Json:
    table, ids = world.discounts, world.ids
    place, owner = table.place[n], table.owner[n]
    subscription = item = invoice = invoice_item = None
    if place == t.ON_CUSTOMER:
        customer = owner
    elif place in (t.ON_SUBSCRIPTION, t.ON_ITEM):
        number = owner if place == t.ON_SUBSCRIPTION else owner >> 5
        subscription, customer = ids["subscription"].of(number), world.subscriptions.customer[number]
        item = ids["subscription_item"].of(owner) if place == t.ON_ITEM else None
    elif place == t.ON_INVOICE_ITEM:
        invoice_item, customer = ids["invoiceitem"].of(owner), world.invoice_items.customer[owner]
    else:
        number = owner if place == t.ON_INVOICE else owner >> 6
        invoice, customer = ids["invoice"].of(number), world.invoices.customer[number]
    coupon = world.catalogue.coupons[table.coupon[n]]
    return {
        "id": ids["discount"].of(n),
        "object": "discount",
        "checkout_session": None,
        "customer": ids["customer"].of(customer),
        "customer_account": None,
        "end": table.end[n] if coupon.duration == "repeating" else None,
        "invoice": invoice,
        "invoice_item": invoice_item,
        "promotion_code": None,
        "source": {"coupon": coupon.id, "type": "coupon"},
        "start": table.start[n],
        "subscription": subscription,
        "subscription_item": item,
    }
