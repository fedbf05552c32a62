"""Starts, changes, pauses and ends subscriptions."""

from __future__ import annotations

from heapq import heappush
from typing import Any

from stripe_sandbox import billing
from stripe_sandbox.company import tables as t
from stripe_sandbox.company.calendar import DAY, months_later
from stripe_sandbox.company.money import rounded
from stripe_sandbox.company.subscriptions import TRIAL_DAYS
from stripe_sandbox.kinds import BY_NAME
from stripe_sandbox.life import invoice_items, invoices, subscription_status
from stripe_sandbox.life.discounts import is_live
from stripe_sandbox.life.scene import Scene, currency_of, metadata
from stripe_sandbox.objects.json import Json

UPDATED = "customer.subscription.updated"
_HOUR = 3600


def started(scene: Scene) -> bool:
    customer = scene.pick("customer")
    if customer is None:
        return False
    dice, yearly = scene.dice, scene.dice.chance(0.15)
    catalogue = scene.world.catalogue
    indexes = (catalogue.yearly if yearly else catalogue.monthly)[currency_of(customer)]
    wide = not yearly and dice.chance(0.03)
    count = 11 + dice.below(4) if wide else dice.pick((1, 1, 1, 1, 1, 1, 2, 3))
    first = dice.below(len(indexes))
    prices = [scene.world.ids["price"].of(indexes[(first + n) % len(indexes)]) for n in range(min(count, len(indexes)))]
    wanted = [(price, 1 + dice.below(5) if n == 0 else 1) for n, price in enumerate(prices)]
    start(scene, customer, wanted, trial=dice.chance(0.2))
    return True


def start(
    scene: Scene, customer: Json, wanted: list[tuple[str, int]], *, trial: bool = False, schedule: str | None = None
) -> str | None:
    """Creates a subscription with its first invoice and returns its id; None if all of its plans were deleted."""
    ids = scene.new_id("subscription"), scene.new_id("invoice")
    prices = [(plan, units) for plan, units in wanted if scene.store.get(BY_NAME["plan"], plan)]
    if not prices:
        return None
    sub = _new(scene, customer, ids, prices, trial=trial, schedule=schedule)
    fails = not trial and scene.dice.chance(0.05)
    sub = scene.add(sub | {"status": "trialing" if trial else "incomplete" if fails else "active"})
    scene.tell("customer.subscription.created", sub)
    end = sub["items"]["data"][0]["current_period_end"]
    heappush(scene.periods, (end, sub["id"]))
    lines = billing.period_lines(scene.store, sub, free=trial)
    discounts = [] if trial else billing.discounts_of(scene.store, sub, customer, scene.at)
    made = invoices.create(
        scene, ids[1], customer, sub, lines, discounts, (scene.at, end), reason="subscription_create"
    )
    made = invoices.finalized(scene, made)
    if made["status"] == "open" and fails:
        invoices.attempt(scene, made)
        scene.later(4 * _HOUR, _paid_after_all, ids[1])
        scene.later(23 * _HOUR, expire, sub["id"])
    elif made["status"] == "open":
        invoices.pay(scene, made)
    if trial:
        scene.later(end - 3 * DAY - scene.at, _trial_will_end, sub["id"])
    return str(sub["id"])


def _new(
    scene: Scene, customer: Json, ids: tuple[str, str], prices: list[tuple[str, int]], *, trial: bool,
    schedule: str | None,
) -> Json:  # fmt: skip
    interval = (scene.store.find(prices[0][0]) or {})["recurring"]["interval"]
    end = scene.at + TRIAL_DAYS * DAY if trial else months_later(scene.at, 12 if interval == "year" else 1)
    url = f"/v1/subscription_items?subscription={ids[0]}"
    data = [new_item(scene, ids[0], plan, units, (scene.at, end)) for plan, units in prices]
    return _template(scene) | {
        "id": ids[0],
        "application_fee_percent": None,
        "billing_cycle_anchor": end if trial else scene.at,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "created": scene.at,
        "currency": customer["currency"],
        "customer": customer["id"],
        "default_payment_method": customer["invoice_settings"]["default_payment_method"],
        "discounts": [],
        "ended_at": None,
        "items": {"object": "list", "data": data, "has_more": False, "url": url},
        "latest_invoice": ids[1],
        "metadata": {},
        "pause_collection": None,
        "schedule": schedule,
        "start_date": scene.at,
        "trial_end": end if trial else None,
        "trial_start": scene.at if trial else None,
    }


def _template(scene: Scene) -> Json:
    return scene.like("subscription")


def new_item(scene: Scene, sub: str, plan: str, units: int, period: tuple[int, int]) -> Json:
    price, old = scene.store.find(plan), scene.store.get(BY_NAME["plan"], plan)
    if price is None or old is None:
        raise LookupError(f"price {plan} not found")
    item: Json = {
        "id": scene.new_id("subscription_item"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": scene.at,
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": [],
        "metadata": {},
        "plan": old,
        "price": price,
        "subscription": sub,
        "tax_rates": [],
    }
    if old["usage_type"] == "licensed":
        item["quantity"] = units
    return item


def _trial_will_end(scene: Scene, id_: str) -> None:
    sub = scene.get("subscription", id_)
    if sub and sub["status"] == "trialing":
        scene.tell("customer.subscription.trial_will_end", sub)


def _paid_after_all(scene: Scene, invoice: str) -> None:
    if scene.dice.chance(0.4):
        invoices.paid_by_hand(scene, invoice)


def expire(scene: Scene, id_: str) -> None:
    """Expires a subscription if its first invoice is still unpaid (docs: incomplete_expired)."""
    sub = scene.get("subscription", id_)
    if sub is None or sub["status"] != "incomplete":
        return
    sub = scene.change(sub, {"status": "incomplete_expired", "ended_at": scene.at}, tell=UPDATED)
    if sub["latest_invoice"]:
        invoices.void(scene, sub["latest_invoice"])


def updated(scene: Scene) -> bool:
    """Changes a quantity, adds or removes an item, or changes only the metadata."""
    sub = scene.pick("subscription", is_live)
    if sub is None:
        return False
    change = scene.dice.pick((_quantity_changed, _quantity_changed, _item_added, _item_removed, _noted))
    return change(scene, sub) or _noted(scene, sub)


def _noted(scene: Scene, sub: Json) -> bool:
    scene.change(sub, {"metadata": metadata(scene, sub["metadata"])}, tell=UPDATED)
    return True


def _with_items(sub: Json, data: list[Json]) -> Json:
    return {"items": sub["items"] | {"data": data}}


def _quantity_changed(scene: Scene, sub: Json) -> bool:
    data = sub["items"]["data"]
    licensed = [n for n, item in enumerate(data) if "quantity" in item]
    if not licensed:
        return False
    n = scene.dice.pick(licensed)
    item = data[n]
    units = 1 + (item["quantity"] + scene.dice.below(5)) % 9
    if units == item["quantity"]:
        return False
    scene.change(sub, _with_items(sub, [*data[:n], item | {"quantity": units}, *data[n + 1 :]]), tell=UPDATED)
    _prorate(scene, sub, item, -item["quantity"])
    _prorate(scene, sub, item, units)
    return True


def _prorate(scene: Scene, sub: Json, item: Json, units: int) -> None:
    """Bills the rest of the period for added units, or credits it for removed units (below zero)."""
    start, end = item["current_period_start"], item["current_period_end"]
    if sub["status"] == "trialing" or not start <= scene.at < end:
        return
    whole = billing.cost(scene.store, item["price"], abs(units))
    amount = rounded(whole * (end - scene.at) // (end - start), currency_of(sub))
    product = scene.store.find(item["price"]["product"]) or {"name": "plan"}
    words = ("Unused time on", -amount) if units < 0 else ("Remaining time on", amount)
    name = f"{words[0]} {abs(units)} × {product['name']}"
    invoice_items.prorate(scene, sub, item["price"]["id"], abs(units), words[1], name)


def _item_added(scene: Scene, sub: Json) -> bool:
    data = sub["items"]["data"]
    interval = data[0]["plan"]["interval"]
    have = {item["price"]["id"] for item in data}

    def fits(plan: Json) -> bool:
        same = plan["currency"] == sub["currency"] and plan["interval"] == interval
        return bool(same and plan["active"] and plan["usage_type"] == "licensed" and plan["id"] not in have)

    plan = scene.pick("plan", fits)
    if plan is None or len(data) >= 18:
        return False
    period = data[0]["current_period_start"], data[0]["current_period_end"]
    item = new_item(scene, sub["id"], plan["id"], 1 + scene.dice.below(3), period)
    scene.change(sub, _with_items(sub, [*data, item]), tell=UPDATED)
    _prorate(scene, sub, item, item["quantity"])
    return True


def _item_removed(scene: Scene, sub: Json) -> bool:
    data = sub["items"]["data"]
    if len(data) < 2:
        return False
    item = scene.dice.pick(data)
    scene.change(sub, _with_items(sub, [other for other in data if other["id"] != item["id"]]), tell=UPDATED)
    if "quantity" in item:
        _prorate(scene, sub, item, -item["quantity"])
    return True


def paused(scene: Scene) -> bool:
    """Pauses or resumes payment collection, or resumes a paused subscription."""
    sub = scene.pick("subscription", lambda sub: sub["status"] in ("active", "paused"))
    if sub is None:
        return False
    if sub["status"] == "paused":
        resume(scene, sub)
    elif sub["pause_collection"]:
        scene.change(sub, {"pause_collection": None}, tell=UPDATED)
    else:
        scene.change(sub, {"pause_collection": {"behavior": "void", "resumes_at": None}}, tell=UPDATED)
    return True


def resume(scene: Scene, sub: Json) -> None:
    """Starts a new period, which is billed at its end."""
    interval = sub["items"]["data"][0]["plan"]["interval"]
    period = scene.at, months_later(scene.at, 12 if interval == "year" else 1)
    after = sub | moved(sub, period) | {"billing_cycle_anchor": scene.at, "status": "active"}
    scene.become(sub, after, tell="customer.subscription.resumed")
    heappush(scene.periods, (period[1], sub["id"]))


def moved(sub: Json, period: tuple[int, int]) -> Json:
    """The items with a new period."""
    now = {"current_period_end": period[1], "current_period_start": period[0]}
    return _with_items(sub, [item | now for item in sub["items"]["data"]])


def canceled(scene: Scene) -> bool:
    """Cancels a subscription immediately or at the end of the period, or withdraws a cancellation."""
    sub = scene.pick("subscription", is_live)
    if sub is None:
        return False
    if sub["cancel_at_period_end"] and scene.dice.chance(0.5):
        fields: dict[str, Any] = {"cancel_at": None, "cancel_at_period_end": False, "canceled_at": None}
        details = sub["cancellation_details"] | {"reason": None}
        scene.change(sub, fields | {"cancellation_details": details}, tell=UPDATED)
    elif scene.dice.chance(0.5):
        subscription_status.end(scene, sub)
    else:
        details = sub["cancellation_details"] | {"reason": "cancellation_requested"}
        fields = {"cancel_at_period_end": True, "canceled_at": scene.at, "cancellation_details": details}
        at = sub["items"]["data"][0]["current_period_end"]
        scene.change(sub, fields | {"cancel_at": at}, tell=UPDATED)
    return True


def of_customer(scene: Scene, customer: str) -> list[Json]:
    """A customer's subscriptions that have not ended."""
    n = scene.world.ids["customer"].index(customer)
    of = scene.world.ids["subscription"].of
    found = [of(i) for i, owner in enumerate(scene.world.subscriptions.customer) if owner == n]
    places = scene.store.overlays["subscription"].referring.get(("customer", customer), ())
    subs = [scene.get("subscription", id_) for id_ in [*found, *(id_ for _, id_ in places)]]
    return [sub for sub in subs if sub and sub["status"] not in ("canceled", "incomplete_expired")]


def generated_waits(scene: Scene) -> None:
    """Schedules the period ends, trial notices and expirations of generated subscriptions."""
    table, of = scene.world.subscriptions, scene.world.ids["subscription"].of
    for n, status in enumerate(table.status):
        if status in (t.ACTIVE, t.TRIALING, t.PAST_DUE, t.UNPAID):
            heappush(scene.periods, (table.period_end[n], of(n)))
        if status == t.TRIALING and table.period_end[n] - 3 * DAY > scene.at:
            scene.later(table.period_end[n] - 3 * DAY - scene.at, _trial_will_end, of(n))
        if status == t.INCOMPLETE:
            scene.later(max(1, table.created[n] + 23 * _HOUR - scene.at), expire, of(n))
