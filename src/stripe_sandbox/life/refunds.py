"""Refunds and disputes."""

from __future__ import annotations

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.money import DISPUTE_FEES, rounded
from stripe_sandbox.kinds import BY_NAME
from stripe_sandbox.life.charges import new_refund
from stripe_sandbox.life.scene import Scene, currency_of, metadata
from stripe_sandbox.objects.charges import shaped_dispute
from stripe_sandbox.objects.json import Json

_DAY = 86400
_OPEN = ("needs_response", "under_review")


def _refundable(charge: Json) -> bool:
    paid = charge["status"] == "succeeded" and charge["captured"] and charge["balance_transaction"] is not None
    return paid and not charge["disputed"] and charge["amount_refunded"] < charge["amount"]


def created(scene: Scene) -> bool:
    """Refunds a charge of any age, rarely in several parts."""
    one, dice = scene.pick("charge", _refundable), scene.dice
    if one is None:
        return False
    for _ in range(3 if dice.chance(0.05) else 1):
        left = one["amount"] - one["amount_refunded"]
        share = left if dice.chance(0.5) else left * (1 + dice.below(9)) // 10
        amount = rounded(share, currency_of(one)) or left
        one = _refund(scene, one, amount)
        if not _refundable(one):
            break
    return True


def _refund(scene: Scene, charge: Json, amount: int) -> Json:
    dice, card = scene.dice, charge["payment_method_details"]["type"] == "card"
    slow = not card or dice.chance(0.05)
    made = new_refund(scene, charge, amount) | {
        "metadata": {"ticket": f"T-{scene.number()}"} if dice.chance(0.3) else {},
        "reason": dice.pick((None, "requested_by_customer", "duplicate", "fraudulent")),
        "status": "pending" if slow else "succeeded",
    }
    moved = scene.move(("refund" if card else "payment_refund", "refund"), made, -amount)
    scene.add(made | {"balance_transaction": moved}, tell="refund.created")
    if slow:
        scene.later(_DAY + dice.below(5 * _DAY), refund_ends, made["id"])
    total = charge["amount_refunded"] + amount
    fields = {"amount_refunded": total, "refunded": total == charge["amount"]}
    return scene.change(charge, fields, tell="charge.refunded")


def refund_ends(scene: Scene, id_: str) -> None:
    """A pending refund succeeds, or the customer's bank returns it (docs: failed refunds)."""
    one = scene.get("refund", id_)
    if one is None or one["status"] != "pending":
        return
    if scene.dice.chance(0.6):
        scene.change(one, {"status": "succeeded"}, tell="refund.updated")
        return
    moved = scene.move(("refund_failure", "refund_failure"), one, one["amount"])
    fields = {
        "status": "failed",
        "failure_reason": "expired_or_canceled_card",
        "failure_balance_transaction": moved,
    }
    after = scene.change(one, fields, tell="refund.updated")
    scene.tell("refund.failed", after)
    charge = scene.get("charge", one["charge"])
    if charge is not None:
        scene.change(charge, {"amount_refunded": charge["amount_refunded"] - one["amount"], "refunded": False})


def updated(scene: Scene) -> bool:
    one = scene.pick("refund")
    if one is None:
        return False
    scene.change(one, {"metadata": metadata(scene, one["metadata"])}, tell="refund.updated")
    return True


def dispute_opened(scene: Scene) -> bool:
    def disputable(charge: Json) -> bool:
        recent = charge["created"] > scene.at - 300 * _DAY
        card = charge["payment_method_details"]["type"] == "card"
        return recent and card and _refundable(charge) and not charge["amount_refunded"]

    one = scene.pick("charge", disputable)
    if one is None:
        return False
    made = shaped_dispute(
        scene.new_id("dispute"),
        amount=one["amount"],
        transactions=[],
        charge=one["id"],
        payment_intent=one["payment_intent"],
        created=scene.at,
        currency=one["currency"],
        reason=scene.dice.pick(("fraudulent", "product_not_received", "general")),
        status="needs_response",
    )
    moved = scene.move(("adjustment", "dispute"), made, -one["amount"], fee=DISPUTE_FEES[currency_of(one)])
    scene.change(one, {"disputed": True})
    made = scene.add(made | {"balance_transactions": _transactions(scene, moved)}, tell="charge.dispute.created")
    scene.tell("charge.dispute.funds_withdrawn", made)
    scene.later(_DAY + scene.dice.below(8 * _DAY), dispute_answered, made["id"])
    scene.later(15 * _DAY + scene.dice.below(30 * _DAY), dispute_closed, made["id"])
    return True


def dispute_answered(scene: Scene, id_: str) -> None:
    one = scene.get("dispute", id_)
    if one is None or one["status"] != "needs_response" or scene.dice.chance(0.3):
        return
    details = one["evidence_details"] | {"has_evidence": True, "submission_count": 1}
    fields = {
        "status": "under_review",
        "evidence": one["evidence"] | {"product_description": "Paper, and ink on it"},
        "evidence_details": details,
    }
    scene.change(one, fields, tell="charge.dispute.updated")


def dispute_closed(scene: Scene, id_: str) -> None:
    one = scene.get("dispute", id_)
    if one is None or one["status"] not in _OPEN:
        return
    won = one["status"] == "under_review" and scene.dice.chance(0.5)
    after = one | {"status": "won" if won else "lost"}
    if won:
        moved = scene.move(("adjustment", "dispute_reversal"), one, one["amount"])
        after |= {"balance_transactions": [*one["balance_transactions"], *_transactions(scene, moved)]}
    after = scene.become(one, after, tell="charge.dispute.closed")
    if won:
        scene.tell("charge.dispute.funds_reinstated", after)


def _transactions(scene: Scene, id_: str) -> list[Json]:
    found = scene.store.get(BY_NAME["balance_transaction"], id_)
    return [found] if found else []


def generated_waits(scene: Scene) -> None:
    """Schedules the outcome of generated refunds that are pending and disputes that are open."""
    ids = scene.world.ids
    for n, status in enumerate(scene.world.refunds.status):
        if status == t.REFUND_PENDING:
            scene.later(scene.dice.below(4 * _DAY), refund_ends, ids["refund"].of(n))
    for n, status in enumerate(scene.world.disputes.status):
        if status in (t.NEEDS_RESPONSE, t.UNDER_REVIEW):
            scene.later(_DAY + scene.dice.below(20 * _DAY), dispute_closed, ids["dispute"].of(n))
