"""Events. Their payload is an object in the shape of an old API version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_sandbox.company import history
from stripe_sandbox.objects import charges, customers, discounts, invoices, money, old_shapes, subscriptions
from stripe_sandbox.objects.json import Json

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

API_VERSION = "2020-08-27"

_RENDER: dict[str, Any] = {
    "customer": customers.customer,
    "subscription": subscriptions.subscription,
    "invoice": invoices.invoice,
    "invoiceitem": invoices.invoice_item,
    "charge": charges.charge,
    "refund": charges.refund,
    "dispute": charges.dispute,
    "payout": money.payout,
    "transfer": money.transfer,
    "application_fee": money.application_fee,
    "discount": discounts.discount,
    "subscription_schedule": subscriptions.subscription_schedule,
}
#: Field values at the time of the event, for objects that have changed since.
_THEN: dict[str, Json] = {
    "charge.succeeded": {"amount_refunded": 0, "refunded": False, "disputed": False},
    "invoice.created": {"status": "draft", "number": None, "amount_paid": 0},
    "invoice.finalized": {"status": "open", "amount_paid": 0},
    "payout.created": {"status": "in_transit", "failure_code": None, "failure_message": None},
    "customer.subscription.created": {"status": "active", "canceled_at": None, "ended_at": None},
}


def event(world: World, n: int) -> Json:
    kind, family = history.KINDS[world.events.kind[n]]
    subject = world.events.subject[n]
    shown = _RENDER[family](world, subject)
    if "deleted" in shown:
        shown = customers.remembered(world, subject)
    data: Json = {"object": old_shapes.old(old_shapes.Generated(world), shown | _THEN.get(kind, {}))}
    if kind == "customer.subscription.updated":
        data["previous_attributes"] = {"latest_invoice": None}
    if kind == "charge.refunded":
        data["previous_attributes"] = {"amount_refunded": 0, "refunded": False}
    return wrapped(world.ids["event"].of(n), kind, world.events.created[n], data, world.ids["request"].of(n))


def wrapped(id_: str, kind: str, created: int, data: Json, request: str | None) -> Json:
    return {
        "id": id_,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": request, "idempotency_key": None},
        "type": kind,
    }
