"""Creates, starts, changes, releases and cancels subscription schedules."""

from __future__ import annotations

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.calendar import DAY, months_later
from stripe_sandbox.life import subscription_status, subscriptions
from stripe_sandbox.life.scene import Scene, metadata
from stripe_sandbox.objects.json import Json


def created(scene: Scene) -> bool:
    customer, dice = scene.pick("customer"), scene.dice
    if customer is None:
        return False

    def fits(plan: Json) -> bool:
        licensed = plan["usage_type"] == "licensed" and plan["interval"] == "month"
        return bool(plan["currency"] == customer["currency"] and plan["active"] and licensed)

    plan = scene.pick("plan", fits)
    if plan is None:
        return False
    start = scene.at + DAY + dice.below(30 * DAY)
    end = months_later(start, 12)
    template = scene.like("subscription_schedule")
    phase = template["phases"][0]
    item = phase["items"][0] | {"plan": plan["id"], "price": plan["id"], "quantity": 1 + dice.below(3)}
    made = template | {
        "id": scene.new_id("subscription_schedule"),
        "canceled_at": None,
        "completed_at": None,
        "created": scene.at,
        "current_phase": None,
        "customer": customer["id"],
        "phases": [phase | {"currency": customer["currency"], "end_date": end, "items": [item], "start_date": start}],
        "released_at": None,
        "released_subscription": None,
        "status": "not_started",
        "subscription": None,
    }
    scene.add(made, tell="subscription_schedule.created")
    scene.later(start - scene.at, starts, made["id"])
    return True


def starts(scene: Scene, id_: str) -> None:
    one = scene.get("subscription_schedule", id_)
    customer = scene.get("customer", one["customer"]) if one else None
    if one is None or customer is None or one["status"] != "not_started":
        return
    phase = one["phases"][0]
    wanted = [(item["price"], item["quantity"]) for item in phase["items"]]
    sub = subscriptions.start(scene, customer, wanted, schedule=id_)
    if sub is None:
        cancel(scene, one)
        return
    fields = {
        "current_phase": {"end_date": phase["end_date"], "start_date": phase["start_date"]},
        "status": "active",
        "subscription": sub,
    }
    scene.change(one, fields, tell="subscription_schedule.updated")


def changed(scene: Scene) -> bool:
    one = scene.pick("subscription_schedule", lambda schedule: schedule["status"] in ("not_started", "active"))
    if one is None:
        return False
    if scene.dice.chance(0.5):
        phase = one["phases"][0]
        item = phase["items"][0]
        more = item | {"quantity": item["quantity"] + 1}
        fields: Json = {"phases": [phase | {"items": [more, *phase["items"][1:]]}, *one["phases"][1:]]}
        if one["status"] == "active":
            fields = {"metadata": metadata(scene, one["metadata"])}
        scene.change(one, fields, tell="subscription_schedule.updated")
    elif one["status"] == "active" and scene.dice.chance(0.5):
        _release(scene, one)
    else:
        cancel(scene, one)
    return True


def _release(scene: Scene, one: Json) -> None:
    """Releases a schedule; its subscription continues."""
    fields = {
        "current_phase": None,
        "released_at": scene.at,
        "released_subscription": one["subscription"],
        "status": "released",
        "subscription": None,
    }
    scene.change(one, fields, tell="subscription_schedule.released")
    sub = scene.get("subscription", one["subscription"]) if one["subscription"] else None
    if sub is not None:
        scene.change(sub, {"schedule": None}, tell=subscriptions.UPDATED)


def cancel(scene: Scene, one: Json) -> None:
    """Cancels a schedule and its subscription (docs: cancel a schedule)."""
    fields = {"canceled_at": scene.at, "current_phase": None, "status": "canceled"}
    scene.change(one, fields, tell="subscription_schedule.canceled")
    sub = scene.get("subscription", one["subscription"]) if one["subscription"] else None
    if sub is not None and sub["status"] not in ("canceled", "incomplete_expired"):
        subscription_status.end(scene, sub)


def of_customer(scene: Scene, customer: str) -> list[Json]:
    """A customer's schedules that have not ended."""
    n = scene.world.ids["customer"].index(customer)
    of = scene.world.ids["subscription_schedule"].of
    found = [of(i) for i, owner in enumerate(scene.world.schedules.customer) if owner == n]
    places = scene.store.overlays["subscription_schedule"].referring.get(("customer", customer), ())
    every = [scene.get("subscription_schedule", id_) for id_ in [*found, *(id_ for _, id_ in places)]]
    return [one for one in every if one and one["status"] in ("not_started", "active")]


def generated_waits(scene: Scene) -> None:
    table, of = scene.world.schedules, scene.world.ids["subscription_schedule"].of
    for n, status in enumerate(table.status):
        if status == t.NOT_STARTED:
            scene.later(max(1, table.start[n] - scene.at), starts, of(n))
