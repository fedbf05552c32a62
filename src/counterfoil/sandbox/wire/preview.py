"""`POST /v1/invoices/create_preview`: what a subscription or a schedule that has not started would be billed next."""

from __future__ import annotations

from typing import Any

from counterfoil.sandbox.company import tables as t
from counterfoil.sandbox.company.discounts import in_force
from counterfoil.sandbox.company.invoices import Line, discounted, item_line, period_lines
from counterfoil.sandbox.kinds import BY_NAME
from counterfoil.sandbox.objects.invoices import line_item, outline
from counterfoil.sandbox.objects.json import Json, nested
from counterfoil.sandbox.objects.subscriptions import schedule_price
from counterfoil.sandbox.store import Store
from counterfoil.sandbox.wire.errors import StripeError, bad_parameter, missing_object
from counterfoil.sandbox.wire.parameters import refuse_unknown

KNOWN = (
    "automatic_tax", "currency", "customer", "customer_account", "customer_details", "discounts", "expand",
    "invoice_items", "issuer", "on_behalf_of", "preview_mode", "schedule", "schedule_details", "subscription",
    "subscription_details",
)  # fmt: skip
_BILLED = frozenset({"active", "trialing", "past_due", "unpaid"})


def preview(store: Store, given: dict[str, Any]) -> Json:
    """The invoice to come; 404 `invoice_upcoming_none` when there is none."""
    refuse_unknown(given, KNOWN)
    if "subscription" in given:
        return _of_subscription(store, str(given["subscription"]))
    if "schedule" in given:
        return _of_schedule(store, str(given["schedule"]))
    raise bad_parameter(
        "You must specify at least one of subscription, schedule, subscription_details.items or invoice_items.",
        "subscription",
        "invoice_upcoming_none",
    )


def none_upcoming(customer: str) -> StripeError:
    return StripeError(404, f"No upcoming invoices for customer: {customer}", code="invoice_upcoming_none")


def is_billed(subscription: Json) -> bool:
    """Whether another invoice will come of it."""
    return subscription["status"] in _BILLED and not subscription["cancel_at_period_end"]


def _of_subscription(store: Store, id_: str) -> Json:
    kind = BY_NAME["subscription"]
    one = store.get(kind, id_)
    if one is None:
        raise missing_object("subscription", id_, param="subscription")
    if not is_billed(one):
        raise none_upcoming(one["customer"])
    n = kind.index(store.world, id_)
    if n is None:
        return _of_added(store, one)
    return _of_generated(store, n)


def _of_generated(store: Store, n: int) -> Json:
    world = store.world
    subs, at = world.subscriptions, world.discounts.at
    payer, next_at = subs.customer[n], subs.period_end[n]
    waiting = [i for i in world.invoice_items.pending.get(payer, ()) if world.invoice_items.subscription[i] in (n, -1)]
    lines = [item_line(world, i) for i in waiting] + period_lines(world, n)
    own, of_customer = at[t.ON_SUBSCRIPTION].get(n), at[t.ON_CUSTOMER].get(payer)
    given = [d for d in (own if own is not None and in_force(world, own, next_at) else of_customer,) if d is not None]
    return _shown(store, payer, n, lines, given, next_at, world.ids["subscription"].of(n))


def _of_schedule(store: Store, id_: str) -> Json:
    kind, world = BY_NAME["subscription_schedule"], store.world
    one, n = store.get(kind, id_), kind.index(world, id_)
    if one is None:
        raise missing_object("subscription_schedule", id_, param="schedule")
    if one["status"] != "not_started" or n is None:
        raise none_upcoming(one["customer"])
    price = schedule_price(world, n)
    quantity = 1 + n % 3
    line = Line(price, quantity, world.catalogue.prices[price].cost(quantity), 0, -1, ())
    of_customer = world.discounts.at[t.ON_CUSTOMER].get(world.schedules.customer[n])
    given = [of_customer] if of_customer is not None else []
    return _shown(store, world.schedules.customer[n], -1, [line], given, world.schedules.start[n], id_)


def _shown(store: Store, payer: int, sub: int, lines: list[Line], given: list[int], at: int, of: str) -> Json:
    world = store.world
    done = discounted(world, lines, given, world.customers.currency[payer])
    id_ = "upcoming_in_1" + of[-16:]
    made = outline(world, payer, sub, done)
    shown = []
    currency = world.customers.currency[payer]
    for place, (line, taken) in enumerate(zip(done.lines, done.taken, strict=True)):
        line_id = f"il_tmp_{of[-12:]}{place:02d}"
        period = {"start": at, "end": at + 30 * 86400, "currency": currency, "subscription": max(sub, 0)}
        entry = line_item(world, line_id, id_, line, taken, **period)
        if sub < 0:
            entry |= {"parent": None, "subscription": None}
        shown.append(entry)
    return _draft(made, id_, at, shown)


def _draft(made: Json, id_: str, at: int, lines: list[Json]) -> Json:
    due = max(0, made["total"])
    return made | {
        "id": id_,
        "amount_due": due,
        "amount_paid": 0,
        "amount_remaining": due,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "automatically_finalizes_at": at + 3600,
        "billing_reason": "upcoming",
        "collection_method": "charge_automatically",
        "created": at,
        "due_date": None,
        "effective_at": None,
        "ending_balance": 0,
        "lines": nested(f"/v1/invoices/{id_}/lines", lines),
        "next_payment_attempt": at + 3600,
        "number": None,
        "period_end": at,
        "period_start": at - 30 * 86400,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "webhooks_delivered_at": None,
    }


def _of_added(store: Store, one: Json) -> Json:
    """Of a subscription that was added: the preview of the generated one it was modelled on, under its own names."""
    world, subs = store.world, store.world.subscriptions
    like = next(n for n, status in enumerate(subs.status) if status == t.ACTIVE and not subs.cancel_at_period_end[n])
    payer = world.ids["customer"].index(one["customer"])
    made = _shown(
        store, subs.customer[like] if payer is None else payer, like, period_lines(world, like), [],
        one["items"]["data"][0]["current_period_end"], one["id"],
    )  # fmt: skip
    details = made["parent"]["subscription_details"] | {"subscription": one["id"]}
    return made | {"customer": one["customer"], "parent": made["parent"] | {"subscription_details": details}}
