"""Invoices and their lines, invoice items, invoice payments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.invoices import Bill, Line, bill
from stripe_sandbox.company.money import CURRENCIES
from stripe_sandbox.objects.customers import customer
from stripe_sandbox.objects.json import SELF, Json, nested

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

_AUTOMATIC_TAX: Json = {"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None}
_PAYMENT_SETTINGS: Json = {"default_mandate": None, "payment_method_options": None, "payment_method_types": None}


def pricing(world: World, which: int) -> Json:
    one = world.catalogue.prices[which]
    details = {"price": world.ids["price"].of(which), "product": world.ids["product"].of(one.product)}
    return {"price_details": details, "type": "price_details", "unit_amount_decimal": one.decimal}


def _amounts(world: World, taken: dict[int, int]) -> list[Json]:
    of = world.ids["discount"].of
    return [{"amount": amount, "discount": of(discount)} for discount, amount in taken.items()]


def _line_parent(world: World, line: Line, sub: int) -> Json:
    subscription = world.ids["subscription"].of(sub) if sub >= 0 else None
    if line.item < 0:
        proration = bool(world.invoice_items.proration[line.invoice_item])
        return parent_of_item(world.ids["invoiceitem"].of(line.invoice_item), subscription, proration=proration)
    return parent_of_period(world.ids["subscription_item"].of(sub * 32 + line.item), subscription)


def parent_of_item(item: str, subscription: str | None, *, proration: bool) -> Json:
    """The parent of a line that bills an invoice item."""
    details = {
        "invoice_item": item,
        "proration": proration,
        "proration_details": {"credited_items": None} if proration else None,
        "subscription": subscription,
    }
    return {"invoice_item_details": details, "subscription_item_details": None, "type": "invoice_item_details"}


def parent_of_period(item: str, subscription: str | None) -> Json:
    """The parent of a line that bills a period of a subscription item."""
    details = {
        "invoice_item": None,
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": subscription,
        "subscription_item": item,
    }
    return {"invoice_item_details": None, "subscription_item_details": details, "type": "subscription_item_details"}


def line_item(world: World, id_: str, invoice: str, line: Line, taken: dict[int, int], **where: int) -> Json:
    """An invoice line; `where` gives its subscription, period and currency."""
    of = world.ids["discount"].of
    sub = where["subscription"]
    product = world.catalogue.products[world.catalogue.prices[line.price].product]
    period = {"end": where["end"], "start": where["start"]}
    if line.item < 0:
        date = world.invoice_items.created[line.invoice_item]
        period = {"end": date, "start": date}
    return shaped_line(
        id_,
        invoice,
        amount=line.amount,
        currency=CURRENCIES[where["currency"]],
        product=product.name,
        taken=_amounts(world, taken),
        discounts=[of(discount) for discount in line.discounts],
        parent=_line_parent(world, line, sub),
        period=period,
        pricing=pricing(world, line.price),
        quantity=line.quantity,
        subscription=world.ids["subscription"].of(sub) if sub >= 0 else None,
    )


def shaped_line(
    id_: str, invoice: str, *, amount: int, currency: str, product: str, taken: list[Json], discounts: list[str],
    parent: Json | None, period: Json, pricing: Json, quantity: int, subscription: str | None,
) -> Json:  # fmt: skip
    """An invoice line; `taken` lists the amounts of its discounts."""
    return {
        "id": id_,
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": f"{quantity} × {product}",
        "discount_amounts": taken,
        "discountable": amount >= 0,
        "discounts": discounts,
        "invoice": invoice,
        "livemode": False,
        "metadata": {},
        "parent": parent,
        "period": period,
        "pretax_credit_amounts": [],
        "pricing": pricing,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": subscription,
        "subtotal": amount,
        "taxes": [],
    }


def lines_of(world: World, n: int, done: Bill | None = None) -> list[Json]:
    """All lines of an invoice."""
    invoices = world.invoices
    done = done or bill(world, n)
    sub, created = invoices.subscription[n], invoices.created[n]
    end = world.subscriptions.period_end[sub] if sub >= 0 else created
    currency = world.customers.currency[invoices.customer[n]]
    of, id_ = world.ids["line_item"].of, world.ids["invoice"].of(n)
    return [
        line_item(world, of(n * 64 + at), id_, line, taken, subscription=sub, start=created, end=end, currency=currency)
        for at, (line, taken) in enumerate(zip(done.lines, done.taken, strict=True))
    ]


def invoice(world: World, n: int) -> Json:
    invoices, ids = world.invoices, world.ids
    done = bill(world, n)
    id_, created, status = ids["invoice"].of(n), invoices.created[n], invoices.status[n]
    sub, charge, total = invoices.subscription[n], invoices.charge[n], invoices.total[n]
    final = created + 3600 if status != t.DRAFT else None
    paid_at = (world.charges.created[charge] if charge >= 0 else final) if status == t.PAID else None
    made = _outline(world, invoices.customer[n], sub, done)
    made |= {
        "id": id_,
        "amount_due": max(0, total),
        "amount_paid": max(0, total) if status == t.PAID else 0,
        "amount_remaining": 0 if status == t.PAID else max(0, total),
        "attempt_count": int(charge >= 0),
        "attempted": charge >= 0 or status == t.PAID,
        "auto_advance": status == t.OPEN,
        "automatically_finalizes_at": created + 3600 if status == t.DRAFT else None,
        "billing_reason": "manual" if sub < 0 else "subscription_cycle" if invoices.cycle[n] else "subscription_create",
        "collection_method": "send_invoice" if sub < 0 else "charge_automatically",
        "created": created,
        "due_date": created + 30 * 86400 if sub < 0 and final else None,
        "effective_at": final,
        "ending_balance": 0 if final else None,
        "hosted_invoice_url": f"https://invoice.stripe.com/i/acct_sandbox/test_{id_}" if final else None,
        "invoice_pdf": f"https://pay.stripe.com/invoice/acct_sandbox/test_{id_}/pdf" if final else None,
        "lines": nested(f"/v1/invoices/{id_}/lines", lines_of(world, n, done)),
        "next_payment_attempt": created + 3 * 86400 if status == t.OPEN and sub >= 0 else None,
        "number": f"CF-{n:07d}" if final else None,
        "period_end": created,
        "period_start": created - 30 * 86400 if invoices.cycle[n] else created,
        "status": t.INVOICE_STATUSES[status],
        "status_transitions": {
            "finalized_at": final,
            "marked_uncollectible_at": min(created + 20 * 86400, world.end) if status == t.UNCOLLECTIBLE else None,
            "paid_at": paid_at,
            "voided_at": min(created + 86400, world.end) if status == t.VOID else None,
        },
        "webhooks_delivered_at": created + 2,
    }
    return made


def _outline(world: World, payer: int, sub: int, done: Bill) -> Json:
    ids = world.ids
    return outline(
        customer(world, payer),
        CURRENCIES[world.customers.currency[payer]],
        subscription=ids["subscription"].of(sub) if sub >= 0 else None,
        subtotal=sum(line.amount for line in done.lines),
        discounts=[ids["discount"].of(discount) for discount in done.discounts],
        taken=_amounts(world, done.totals()),
    )


def outline(
    who: Json, currency: str, *, subscription: str | None, subtotal: int, discounts: list[str], taken: list[Json]
) -> Json:
    """The fields that invoices and previews share; `taken` lists the total amount of each discount."""
    gone = "deleted" in who
    total = subtotal - sum(part["amount"] for part in taken)
    details = {"metadata": {}, "subscription": subscription} if subscription else None
    return {
        "id": None,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Paper & Ink, Inc.",
        "account_tax_ids": None,
        "amount_overpaid": 0,
        "amount_paid_off_stripe": 0,
        "amount_shipping": 0,
        "application": None,
        "automatic_tax": _AUTOMATIC_TAX,
        "currency": currency,
        "custom_fields": None,
        "customer": who["id"],
        "customer_account": None,
        "customer_address": None if gone else who["address"],
        "customer_email": None if gone else who["email"],
        "customer_name": None if gone else who["name"],
        "customer_phone": None if gone else who["phone"],
        "customer_shipping": None if gone else who["shipping"],
        "customer_tax_exempt": "none" if gone else who["tax_exempt"],
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": discounts,
        "footer": None,
        "from_invoice": None,
        "issuer": SELF,
        "last_finalization_error": None,
        "latest_revision": None,
        "livemode": False,
        "metadata": {},
        "on_behalf_of": None,
        "parent": {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
        if details
        else None,
        "payment_settings": _PAYMENT_SETTINGS,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "test_clock": None,
        "total": total,
        "total_discount_amounts": taken,
        "total_excluding_tax": total,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
    }


def subscription_of(one: Json) -> str | None:
    """The subscription of an invoice, or of an invoice item."""
    found: str | None = ((one["parent"] or {}).get("subscription_details") or {}).get("subscription")
    return found


def invoice_item(world: World, n: int) -> Json:
    """An invoice item. Its time is in `date`, not in `created`."""
    items, ids = world.invoice_items, world.ids
    sub, owner, amount = items.subscription[n], items.invoice[n], items.amount[n]
    own = world.discounts.at[t.ON_INVOICE_ITEM].get(n)
    product = world.catalogue.products[world.catalogue.prices[items.price[n]].product]
    details = {"subscription": ids["subscription"].of(sub)} if sub >= 0 else None
    return {
        "id": ids["invoiceitem"].of(n),
        "object": "invoiceitem",
        "amount": amount,
        "currency": CURRENCIES[world.customers.currency[items.customer[n]]],
        "customer": ids["customer"].of(items.customer[n]),
        "customer_account": None,
        "date": items.created[n],
        "description": f"Unused time, {product.name}" if items.proration[n] else product.name,
        "discountable": not items.proration[n],
        "discounts": [] if own is None else [ids["discount"].of(own)],
        "invoice": ids["invoice"].of(owner) if owner >= 0 else None,
        "livemode": False,
        "metadata": {},
        "net_amount": amount,
        "parent": {"subscription_details": details, "type": "subscription_details"} if details else None,
        "period": {"end": items.created[n], "start": items.created[n]},
        "pricing": pricing(world, items.price[n]),
        "proration": bool(items.proration[n]),
        "quantity": items.quantity[n],
        "quantity_decimal": str(items.quantity[n]),
        "tax_rates": [],
        "test_clock": None,
    }


def invoice_payment(world: World, charge: int) -> Json:
    """The invoice payment that links a charge to its invoice."""
    charges, ids = world.charges, world.ids
    owner, paid = charges.invoice[charge], charges.status[charge] == t.SUCCEEDED
    return {
        "id": ids["invoice_payment"].of(charge),
        "object": "invoice_payment",
        "amount_paid": charges.amount[charge] if paid else None,
        "amount_requested": charges.amount[charge],
        "created": charges.created[charge],
        "currency": CURRENCIES[charges.currency[charge]],
        "invoice": ids["invoice"].of(owner),
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": ids["payment_intent"].of(charge), "type": "payment_intent"},
        "status": "paid" if paid else "open",
        "status_transitions": {"canceled_at": None, "paid_at": charges.created[charge] if paid else None},
    }
