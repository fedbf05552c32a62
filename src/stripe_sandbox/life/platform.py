"""Platform activity: transfers to connected accounts, their reversals, fee refunds, and account settings."""

from __future__ import annotations

from stripe_sandbox.company.money import CURRENCIES, localized, rounded
from stripe_sandbox.life.scene import Scene, currency_of, metadata
from stripe_sandbox.objects.json import Json


def transferred(scene: Scene) -> bool:
    dice = scene.dice
    currency = dice.pick((0, 0, 1, 2, 3))
    id_ = scene.new_id("transfer")
    made = scene.like("transfer") | {
        "id": id_,
        "amount": localized(500 + dice.below(3000), currency),
        "amount_reversed": 0,
        "created": scene.at,
        "currency": CURRENCIES[currency],
        "description": f"Share {scene.number()}" if dice.chance(0.5) else None,
        "destination": dice.pick(scene.accounts),
        "destination_payment": "py_" + id_[3:],
        "metadata": {},
        "reversals": {"object": "list", "data": [], "has_more": False, "url": f"/v1/transfers/{id_}/reversals"},
        "reversed": False,
        "transfer_group": None,
    }
    moved = scene.move(("transfer", "transfer"), made, -made["amount"])
    scene.add(made | {"balance_transaction": moved}, tell="transfer.created")
    return True


def transfer_updated(scene: Scene) -> bool:
    one = scene.pick("transfer")
    if one is None:
        return False
    scene.change(one, {"metadata": metadata(scene, one["metadata"])}, tell="transfer.updated")
    return True


def _part(scene: Scene, left: int, currency: int) -> int:
    """The remaining amount, or a part of it."""
    share = left if scene.dice.chance(0.4) else left * (1 + scene.dice.below(5)) // 10
    return rounded(share, currency) or left


def transfer_reversed(scene: Scene) -> bool:
    one = scene.pick("transfer", lambda transfer: transfer["amount_reversed"] < transfer["amount"])
    if one is None:
        return False
    amount = _part(scene, one["amount"] - one["amount_reversed"], currency_of(one))
    back: Json = {
        "id": scene.new_id("transfer_reversal"),
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": None,
        "created": scene.at,
        "currency": one["currency"],
        "destination_payment_refund": None,
        "metadata": {},
        "source_refund": None,
        "transfer": one["id"],
    }
    back["balance_transaction"] = scene.move(("transfer_refund", "transfer_reversal"), back, amount)
    total = one["amount_reversed"] + amount
    reversals = one["reversals"] | {"data": [back, *one["reversals"]["data"]]}
    fields = {"amount_reversed": total, "reversals": reversals, "reversed": total == one["amount"]}
    scene.change(one, fields, tell="transfer.reversed")
    return True


def fee_refunded(scene: Scene) -> bool:
    one = scene.pick("application_fee", lambda fee: fee["amount_refunded"] < fee["amount"])
    if one is None:
        return False
    amount = _part(scene, one["amount"] - one["amount_refunded"], currency_of(one))
    back: Json = {
        "id": scene.new_id("fee_refund"),
        "object": "fee_refund",
        "amount": amount,
        "balance_transaction": None,
        "created": scene.at,
        "currency": one["currency"],
        "fee": one["id"],
        "metadata": {},
    }
    back["balance_transaction"] = scene.move(("application_fee_refund", "platform_earning_refund"), back, -amount)
    total = one["amount_refunded"] + amount
    refunds = one["refunds"] | {"data": [back, *one["refunds"]["data"]]}
    fields = {"amount_refunded": total, "refunds": refunds, "refunded": total == one["amount"]}
    scene.change(one, fields, tell="application_fee.refunded")
    return True


def fee_refund_updated(scene: Scene) -> bool:
    """Updates a fee refund; no event reports the change of the fee itself."""
    one = scene.pick("application_fee", lambda fee: bool(fee["refunds"]["data"]), tries=40)
    if one is None:
        return False
    data = one["refunds"]["data"]
    n = scene.dice.below(len(data))
    after = data[n] | {"metadata": metadata(scene, data[n]["metadata"])}
    scene.change(one, {"refunds": one["refunds"] | {"data": [*data[:n], after, *data[n + 1 :]]}})
    scene.tell("application_fee.refund.updated", after, {"metadata": data[n]["metadata"]})
    return True


def account_updated(scene: Scene) -> bool:
    """Updates the company's own account."""
    one = scene.get("account", scene.world.ids["account"].of(0))
    if one is None:
        return False
    profile = one["business_profile"] | {"support_phone": f"+1503555{scene.dice.below(10000):04d}"}
    fields: Json = {"business_profile": profile}
    if scene.dice.chance(0.3):
        fields = {"metadata": metadata(scene, one["metadata"])}
    scene.change(one, fields, tell="account.updated")
    return True
