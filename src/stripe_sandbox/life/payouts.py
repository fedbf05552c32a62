"""Payouts: every Monday, the available funds of each currency that are not paid out yet."""

from __future__ import annotations

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.ledger import WEEK
from stripe_sandbox.company.money import ARRIVAL_DAYS, CURRENCIES
from stripe_sandbox.life.scene import Scene, metadata

_HOUR, _DAY = 3600, 86400
#: The minimum payout in minor units, as in the generated history.
_LEAST = 1000


def week_begins(scene: Scene) -> None:
    scene.later(WEEK, week_begins)
    for currency in range(len(CURRENCIES)):
        amount, transactions = scene.store.funds.payable(currency)
        if amount >= _LEAST:
            _pay_out(scene, currency, amount, transactions)


def _pay_out(scene: Scene, currency: int, amount: int, transactions: list[str]) -> None:
    code = CURRENCIES[currency]
    made = scene.like("payout") | {
        "id": scene.new_id("payout"),
        "amount": amount,
        "arrival_date": (scene.at + ARRIVAL_DAYS[currency] * _DAY) // _DAY * _DAY,
        "created": scene.at,
        "currency": code,
        "destination": f"ba_1Sandbox{code.upper()}0000000001",
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "reconciliation_status": "in_progress",
        "status": "pending",
    }
    moved = scene.move(("payout", "payout"), made, -amount)
    scene.store.funds.pay_out(currency)
    for transaction in [*transactions, moved]:
        scene.store.paid_out(transaction, made["id"])
    scene.add(made | {"balance_transaction": moved}, tell="payout.created")
    scene.later(4 * _HOUR, leaves, made["id"])
    scene.later(9 * _HOUR, reconciled, made["id"])
    scene.later(ARRIVAL_DAYS[currency] * _DAY, arrives, made["id"])


def leaves(scene: Scene, id_: str) -> None:
    one = scene.get("payout", id_)
    if one is not None and one["status"] == "pending":
        scene.change(one, {"status": "in_transit"}, tell="payout.updated")


def reconciled(scene: Scene, id_: str) -> None:
    one = scene.get("payout", id_)
    if one is not None:
        scene.change(one, {"reconciliation_status": "completed"}, tell="payout.reconciliation_completed")


def arrives(scene: Scene, id_: str) -> None:
    """Marks the payout as paid; some payouts fail days later (docs: payout failures)."""
    one = scene.get("payout", id_)
    if one is None or one["status"] != "in_transit":
        return
    scene.change(one, {"status": "paid"}, tell="payout.paid")
    if scene.dice.chance(0.08):
        scene.later(_DAY + scene.dice.below(2 * _DAY), fails, id_)


def fails(scene: Scene, id_: str) -> None:
    """The payout fails, and its funds become available for the next payout."""
    one = scene.get("payout", id_)
    if one is None or one["status"] != "paid":
        return
    moved = scene.move(("payout_failure", "payout_reversal"), one, one["amount"])
    fields = {
        "failure_balance_transaction": moved,
        "failure_code": "account_closed",
        "failure_message": "The bank account has been closed.",
        "status": "failed",
    }
    scene.change(one, fields, tell="payout.failed")


def updated(scene: Scene) -> bool:
    one = scene.pick("payout")
    if one is None:
        return False
    scene.change(one, {"metadata": metadata(scene, one["metadata"])}, tell="payout.updated")
    return True


def generated_waits(scene: Scene) -> None:
    """Schedules the next Monday, and the arrival of generated payouts in transit."""
    world = scene.world
    scene.later(WEEK - (scene.at - world.first_payout) % WEEK, week_begins)
    for n, status in enumerate(world.payouts.status):
        if status == t.PAYOUT_IN_TRANSIT:
            at = world.payouts.created[n] + ARRIVAL_DAYS[world.payouts.currency[n]] * _DAY
            scene.later(max(1, at - scene.at), arrives, world.ids["payout"].of(n))
