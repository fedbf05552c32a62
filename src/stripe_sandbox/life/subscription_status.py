"""The status of a subscription after its invoice was paid, failed or became uncollectible."""

from __future__ import annotations

from stripe_sandbox.life.scene import Scene
from stripe_sandbox.objects.invoices import subscription_of
from stripe_sandbox.objects.json import Json


def _of(scene: Scene, invoice: Json) -> Json | None:
    """The subscription of the invoice, if it is the subscription's latest invoice."""
    id_ = subscription_of(invoice)
    sub = scene.get("subscription", id_) if id_ else None
    return sub if sub and sub["latest_invoice"] == invoice["id"] else None


def paid(scene: Scene, invoice: Json) -> None:
    sub = _of(scene, invoice)
    if sub and sub["status"] in ("past_due", "unpaid", "incomplete"):
        scene.change(sub, {"status": "active"}, tell="customer.subscription.updated")


def failed(scene: Scene, invoice: Json) -> None:
    sub = _of(scene, invoice)
    if sub and sub["status"] == "active":
        scene.change(sub, {"status": "past_due"}, tell="customer.subscription.updated")


def given_up(scene: Scene, invoice: Json) -> None:
    """Marks the subscription as unpaid, or cancels it, after the last payment attempt failed."""
    sub = _of(scene, invoice)
    if sub is None or sub["status"] != "past_due":
        return
    if scene.dice.chance(0.5):
        scene.change(sub, {"status": "unpaid"}, tell="customer.subscription.updated")
    else:
        end(scene, sub, reason="payment_failed")


def end(scene: Scene, sub: Json, *, reason: str = "cancellation_requested") -> Json:
    """Cancels the subscription immediately (docs: cancel a subscription)."""
    details = sub["cancellation_details"] | {"reason": reason}
    after = sub | {
        "canceled_at": sub["canceled_at"] or scene.at,
        "cancellation_details": details,
        "ended_at": scene.at,
        "status": "canceled",
    }
    return scene.become(sub, after, tell="customer.subscription.deleted")
