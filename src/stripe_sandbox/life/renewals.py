"""The end of a subscription period: the next invoice, the end of a trial, or cancellation."""

from __future__ import annotations

from heapq import heappop, heappush

from stripe_sandbox import billing
from stripe_sandbox.company.calendar import months_later
from stripe_sandbox.life import invoices, subscription_status
from stripe_sandbox.life.scene import Scene
from stripe_sandbox.life.subscriptions import UPDATED, moved
from stripe_sandbox.objects.json import Json

_HOUR = 3600


def is_due(scene: Scene) -> bool:
    return bool(scene.periods) and scene.periods[0][0] <= scene.at


def period_ends(scene: Scene) -> bool:
    """Ends the period that has been due for longest; False if none is due."""
    while is_due(scene):
        end, id_ = heappop(scene.periods)
        sub = scene.get("subscription", id_)
        if sub is None or sub["items"]["data"][0]["current_period_end"] != end:
            continue
        if sub["status"] not in ("active", "trialing", "past_due", "unpaid"):
            continue
        _end(scene, sub, end)
        return True
    return False


def _end(scene: Scene, sub: Json, end: int) -> None:
    customer = scene.get("customer", sub["customer"])
    if customer is None or sub["cancel_at_period_end"]:
        subscription_status.end(scene, sub)
    elif sub["status"] == "trialing" and scene.dice.chance(0.08):
        # No payment method at the end of a trial (docs: trial_settings).
        scene.change(sub, {"status": "paused"}, tell="customer.subscription.paused")
    else:
        _renew(scene, sub, customer, end)


def _renew(scene: Scene, sub: Json, customer: Json, start: int) -> None:
    months = 12 if sub["items"]["data"][0]["plan"]["interval"] == "year" else 1
    end = _next_end(sub["billing_cycle_anchor"], max(start, scene.at), months)
    id_ = scene.new_id("invoice")
    status = "active" if sub["status"] == "trialing" else sub["status"]
    after = sub | moved(sub, (start, end)) | {"latest_invoice": id_, "status": status}
    heappush(scene.periods, (end, sub["id"]))
    given = billing.discounts_of(scene.store, sub, customer, scene.at)
    lines = billing.next_lines(scene.store, after, given)
    after = scene.become(sub, after, tell=UPDATED)
    made = invoices.create(scene, id_, customer, after, lines, given, (start, end), reason="subscription_cycle")
    if sub["pause_collection"]:
        scene.later(_HOUR, _voided, id_)
    elif sub["status"] != "unpaid":
        scene.later(_HOUR, invoices.finalize, made["id"])


def _next_end(anchor: int, start: int, months: int) -> int:
    """The first period end after `start`, counted from the anchor to keep the day of the month."""
    count = months
    while months_later(anchor, count) <= start:
        count += months
    return months_later(anchor, count)


def _voided(scene: Scene, id_: str) -> None:
    """Finalizes and voids an invoice of a subscription with paused collection."""
    one = scene.get("invoice", id_)
    if one is not None and one["status"] == "draft":
        one = invoices.finalized(scene, one)
        invoices.void(scene, id_)
