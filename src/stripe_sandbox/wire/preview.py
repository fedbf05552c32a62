"""`POST /v1/invoices/create_preview`: the next invoice of a subscription or of a schedule that has not started."""

from __future__ import annotations

from itertools import count
from typing import Any

from stripe_sandbox import billing
from stripe_sandbox.kinds import BY_NAME
from stripe_sandbox.objects.json import Json, nested
from stripe_sandbox.store import Store
from stripe_sandbox.wire.errors import StripeError, bad_parameter, missing_object
from stripe_sandbox.wire.parameters import refuse_unknown

KNOWN = (
    "automatic_tax", "currency", "customer", "customer_account", "customer_details", "discounts", "expand",
    "invoice_items", "issuer", "on_behalf_of", "preview_mode", "schedule", "schedule_details", "subscription",
    "subscription_details",
)  # fmt: skip
_BILLED = frozenset({"active", "trialing", "past_due", "unpaid"})


def preview(store: Store, given: dict[str, Any]) -> Json:
    """The upcoming invoice; raises 404 `invoice_upcoming_none` if there is none."""
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
    """Whether the subscription will be billed again."""
    return subscription["status"] in _BILLED and not subscription["cancel_at_period_end"]


def _of_subscription(store: Store, id_: str) -> Json:
    one = store.whole(BY_NAME["subscription"], id_)
    if one is None:
        raise missing_object("subscription", id_, param="subscription")
    if not is_billed(one):
        raise none_upcoming(one["customer"])
    at = one["items"]["data"][0]["current_period_end"]
    customer = _payer(store, one)
    discounts = billing.discounts_of(store, one, customer, at)
    return _shown(store, customer, one, billing.next_lines(store, one, discounts), discounts, at, id_)


def _of_schedule(store: Store, id_: str) -> Json:
    one = store.get(BY_NAME["subscription_schedule"], id_)
    if one is None:
        raise missing_object("subscription_schedule", id_, param="schedule")
    if one["status"] != "not_started":
        raise none_upcoming(one["customer"])
    phase = one["phases"][0]
    lines = []
    for item in phase["items"]:
        price = store.find(item["price"])
        if price is not None:
            lines.append(billing.Line(price, item["quantity"], billing.cost(store, price, item["quantity"])))
    customer, at = _payer(store, one), phase["start_date"]
    return _shown(store, customer, None, lines, billing.discounts_of(store, None, customer, at), at, id_)


def _payer(store: Store, one: Json) -> Json:
    customer = store.get(BY_NAME["customer"], one["customer"])
    if customer is None:
        raise missing_object("customer", one["customer"], param="customer")
    return customer


def _shown(
    store: Store, customer: Json, sub: Json | None, lines: list[billing.Line], discounts: list[str], at: int, of: str
) -> Json:
    currency = sub["currency"] if sub else lines[0].price["currency"]
    done = billing.bill(store, lines, discounts, currency)
    made = billing.invoice_fields(
        store,
        "upcoming_in_1" + of[-16:],
        customer,
        done,
        period=(at, at + 30 * 86400),
        currency=currency,
        line_ids=(f"il_tmp_{of[-12:]}{place:02d}" for place in count()),
        subscription=sub["id"] if sub else None,
    )
    return _draft(made, at)


def _draft(made: Json, at: int) -> Json:
    due = max(0, made["total"])
    return made | {
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
        "lines": nested(made["lines"]["url"], made["lines"]["data"]),
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
