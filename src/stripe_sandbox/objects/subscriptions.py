"""Subscriptions, their items, and subscription schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.calendar import months_later
from stripe_sandbox.company.discounts import in_force
from stripe_sandbox.company.money import CURRENCIES
from stripe_sandbox.objects.catalogue import plan, price
from stripe_sandbox.objects.json import NO_TAX, SELF, Json, nested

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

_BILLING_MODE: Json = {"flexible": None, "type": "classic"}
_PAYMENT_SETTINGS: Json = {
    "payment_method_options": None,
    "payment_method_types": None,
    "save_default_payment_method": "off",
}
_TRIAL_SETTINGS: Json = {"end_behavior": {"missing_payment_method": "create_invoice"}}
_INVOICE_SETTINGS: Json = {
    "account_tax_ids": None,
    "custom_fields": None,
    "description": None,
    "footer": None,
    "issuer": SELF,
}


def subscription_item(world: World, n: int) -> Json:
    sub, position = n >> 5, n & 31
    subs = world.subscriptions
    which = world.item_price(sub, position)
    own = world.discounts.at[t.ON_ITEM].get(n)
    item: Json = {
        "id": world.ids["subscription_item"].of(n),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": subs.created[sub] + 1,
        "current_period_end": subs.period_end[sub],
        "current_period_start": subs.period_start[sub],
        "discounts": [] if own is None else [world.ids["discount"].of(own)],
        "metadata": {},
        "plan": plan(world, which),
        "price": price(world, which),
        "subscription": world.ids["subscription"].of(sub),
        "tax_rates": [],
    }
    if not world.catalogue.prices[which].metered:
        item["quantity"] = world.item_quantity(sub, position)
    return item


def items_of(world: World, sub: int) -> list[Json]:
    return [subscription_item(world, sub * 32 + position) for position in range(world.subscriptions.items[sub])]


def subscription(world: World, n: int) -> Json:
    subs, ids = world.subscriptions, world.ids
    id_, status, created = ids["subscription"].of(n), subs.status[n], subs.created[n]
    own = world.discounts.at[t.ON_SUBSCRIPTION].get(n)
    leaving, ended = bool(subs.cancel_at_period_end[n]), subs.ended[n] or None
    trial = (subs.period_start[n], subs.period_end[n]) if status == t.TRIALING else (None, None)
    canceled = ended if status == t.CANCELED else max(created, subs.period_start[n]) + 60 if leaving else None
    return {
        "id": id_,
        "object": "subscription",
        "application": None,
        "application_fee_percent": 2.5 if n % 90 == 1 else None,
        "automatic_tax": NO_TAX,
        "billing_cycle_anchor": subs.period_end[n] if status == t.TRIALING else created,
        "billing_cycle_anchor_config": None,
        "billing_mode": _BILLING_MODE,
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": subs.period_end[n] if leaving else None,
        "cancel_at_period_end": leaving,
        "canceled_at": canceled,
        "cancellation_details": {
            "comment": "Moving on, thank you!" if status == t.CANCELED and n % 7 == 0 else None,
            "feedback": "too_expensive" if status == t.CANCELED and n % 3 == 0 else None,
            "reason": ("payment_failed" if n % 4 == 0 else "cancellation_requested") if canceled else None,
        },
        "collection_method": "charge_automatically",
        "created": created,
        "currency": CURRENCIES[world.customers.currency[subs.customer[n]]],
        "customer": ids["customer"].of(subs.customer[n]),
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": ids["payment_method"].of(subs.customer[n]) if n % 2 else None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [ids["discount"].of(own)] if own is not None and in_force(world, own, world.end) else [],
        "ended_at": ended,
        "invoice_settings": _INVOICE_SETTINGS,
        "items": nested(f"/v1/subscription_items?subscription={id_}", items_of(world, n)),
        "latest_invoice": ids["invoice"].of(subs.latest_invoice[n]) if subs.latest_invoice[n] >= 0 else None,
        "livemode": False,
        "managed_payments": None,
        "metadata": {"seats_note": f"{subs.quantity[n]} seats"} if n % 3 == 0 else {},
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": {"behavior": "void", "resumes_at": None} if status == t.ACTIVE and n % 40 == 11 else None,
        "payment_settings": _PAYMENT_SETTINGS,
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": ids["subscription_schedule"].of(subs.schedule[n]) if subs.schedule[n] >= 0 else None,
        "start_date": created,
        "status": t.SUBSCRIPTION_STATUSES[status],
        "test_clock": None,
        "transfer_data": None,
        "trial_end": trial[1],
        "trial_settings": _TRIAL_SETTINGS,
        "trial_start": trial[0],
    }


def subscription_schedule(world: World, n: int) -> Json:
    table, ids = world.schedules, world.ids
    status, created, start = table.status[n], table.created[n], table.start[n]
    sub, customer = table.subscription[n], ids["customer"].of(table.customer[n])
    over = {t.COMPLETED: "completed_at", t.RELEASED: "released_at", t.SCHEDULE_CANCELED: "canceled_at"}.get(status)
    end = months_later(start, 12)
    currency = world.customers.currency[table.customer[n]]
    phase: Json = {
        "add_invoice_items": [],
        "application_fee_percent": None,
        "automatic_tax": NO_TAX,
        "billing_cycle_anchor": None,
        "billing_thresholds": None,
        "collection_method": None,
        "currency": CURRENCIES[currency],
        "default_payment_method": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "end_date": end,
        "invoice_settings": None,
        "items": [
            {
                "billing_thresholds": None,
                "discounts": [],
                "metadata": {},
                "plan": ids["price"].of(schedule_price(world, n)),
                "price": ids["price"].of(schedule_price(world, n)),
                "quantity": 1 + n % 3,
                "tax_rates": [],
            }
        ],
        "metadata": {},
        "on_behalf_of": None,
        "proration_behavior": "create_prorations",
        "start_date": start,
        "transfer_data": None,
        "trial_end": None,
    }
    made: Json = {
        "id": ids["subscription_schedule"].of(n),
        "object": "subscription_schedule",
        "application": None,
        "billing_mode": _BILLING_MODE,
        "canceled_at": None,
        "completed_at": None,
        "created": created,
        "current_phase": {"end_date": end, "start_date": start} if status == t.SCHEDULE_ACTIVE else None,
        "customer": customer,
        "customer_account": None,
        "default_settings": {
            "application_fee_percent": None,
            "automatic_tax": NO_TAX,
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": None,
            "collection_method": "charge_automatically",
            "default_payment_method": None,
            "description": None,
            "invoice_settings": {"account_tax_ids": None, "days_until_due": None, "issuer": SELF},
            "on_behalf_of": None,
            "transfer_data": None,
        },
        "end_behavior": "release",
        "livemode": False,
        "metadata": {},
        "phases": [phase],
        "released_at": None,
        "released_subscription": ids["subscription"].of(sub) if status == t.RELEASED and sub >= 0 else None,
        "status": t.SCHEDULE_STATUSES[status],
        "subscription": ids["subscription"].of(sub) if sub >= 0 and status != t.RELEASED else None,
        "test_clock": None,
    }
    if over:
        made[over] = created + 1800
    return made


def schedule_price(world: World, n: int) -> int:
    """The price of a schedule's only phase."""
    prices = world.catalogue.monthly[world.customers.currency[world.schedules.customer[n]]]
    licensed = [which for which in prices if not world.catalogue.prices[which].metered]
    return licensed[n % len(licensed)]
