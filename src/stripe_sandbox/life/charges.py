"""Sales: charges that succeed, fail, are pending at the bank, or await capture."""

from __future__ import annotations

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.money import CURRENCIES, EUR, SETTLEMENT_DAYS, USD, localized, processing_fee, rounded
from stripe_sandbox.life.scene import Scene, currency_of, metadata
from stripe_sandbox.objects import charges as shapes
from stripe_sandbox.objects.customers import identity
from stripe_sandbox.objects.json import Json
from stripe_sandbox.objects.money import APPLICATION

_HOUR, _DAY = 3600, 86400
_SALE = ("charge", "charge")
_DEBIT = ("payment", "charge")


def sold(scene: Scene) -> bool:
    dice = scene.dice
    customer = scene.pick("customer") if dice.chance(0.85) else None
    currency = currency_of(customer) if customer else dice.below(len(CURRENCIES))
    cents = 500 + dice.below(9500)
    amount = localized(cents * 20 if dice.chance(0.02) else cents, currency)
    method = t.CARD
    if currency in (EUR, USD) and dice.chance(0.1):
        method = t.SEPA_DEBIT if currency == EUR else t.US_BANK_ACCOUNT
    made = new(scene, customer, currency, amount, method=method, description=f"Order {2_000_000 + scene.number()}")
    if method != t.CARD:
        made = scene.add(made | {"status": "pending", "captured": False}, tell="charge.pending")
        scene.later(2 * _DAY + dice.below(2 * _DAY), debit_settles, made["id"])
    elif dice.chance(0.07):
        scene.add(failed(made), tell="charge.failed")
    elif dice.chance(0.1):
        scene.add(made | {"captured": False}, tell="charge.succeeded")
        scene.later(_HOUR + dice.below(5 * _DAY), authorization_ends, made["id"])
    else:
        made = succeed(scene, made)
        if dice.chance(0.1):
            made = _with_fee(scene, made)
        scene.add(made, tell="charge.succeeded")
        if made["application_fee"]:
            fee = scene.get("application_fee", made["application_fee"])
            scene.tell("application_fee.created", fee or {})
    return True


def new(
    scene: Scene, customer: Json | None, currency: int, amount: int, *, method: int, description: str,
    intent: str | None = None,
) -> Json:  # fmt: skip
    """A charge that has neither succeeded nor failed yet, and is not stored yet."""
    world, bits = scene.world, scene.dice.bits()
    name, mail, phone, address = identity(currency, bits)
    if customer:
        name, mail = customer["name"] or name, customer["email"] or mail
        phone, address = customer["phone"] or phone, customer["address"] or address
    template = shapes.charge(world, scene.dice.below(len(world.charges.created)))
    shown = {"address": address, "email": mail, "name": name, "phone": phone, "tax_id": None}
    return template | {
        "id": scene.new_id("charge"),
        "amount": amount,
        "amount_captured": 0,
        "amount_refunded": 0,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": shown,
        "captured": True,
        "created": scene.at,
        "currency": CURRENCIES[currency],
        "customer": customer["id"] if customer else None,
        "description": description,
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "outcome": shapes.APPROVED | {"risk_score": bits % 60},
        "paid": True,
        "payment_intent": intent or scene.new_id("payment_intent"),
        "payment_method": (customer and customer["invoice_settings"]["default_payment_method"])
        or scene.new_id("payment_method"),
        "payment_method_details": shapes.method_details(method, bits, amount, address["country"]),
        "presentment_details": {"presentment_amount": amount, "presentment_currency": CURRENCIES[currency]},
        "receipt_email": mail if bits & 1 else None,
        "receipt_number": None,
        "receipt_url": f"{shapes.RECEIPT}{bits:016x}",
        "refunded": False,
        "shipping": None,
        "status": "succeeded",
        "transfer_group": None,
    }


def failed(charge: Json) -> Json:
    """The charge after the card was declined."""
    return charge | {
        "captured": False,
        "failure_code": "card_declined",
        "failure_message": "Your card has insufficient funds.",
        "outcome": shapes.DECLINED | {"risk_score": charge["outcome"]["risk_score"]},
        "paid": False,
        "receipt_url": None,
        "status": "failed",
    }


def succeed(scene: Scene, charge: Json) -> Json:
    """The charge after it succeeded; adds the money to the balance."""
    currency, amount = currency_of(charge), charge["amount"]
    card = charge["payment_method_details"]["type"] == "card"
    moved = scene.move(
        _SALE if card else _DEBIT,
        charge,
        amount,
        days=SETTLEMENT_DAYS[currency] + (0 if card else 3),
        fee=processing_fee(amount, currency),
    )
    return charge | {
        "amount_captured": amount,
        "balance_transaction": moved,
        "captured": True,
        "paid": True,
        "status": "succeeded",
    }


def _with_fee(scene: Scene, charge: Json) -> Json:
    """The charge with an application fee, which the company takes as a platform."""
    id_, account = scene.new_id("application_fee"), scene.dice.pick(scene.accounts)
    fee: Json = {
        "id": id_,
        "object": "application_fee",
        "account": account,
        "amount": rounded(charge["amount"] // 10, currency_of(charge)),
        "amount_refunded": 0,
        "application": APPLICATION,
        "charge": charge["id"],
        "created": scene.at,
        "currency": charge["currency"],
        "fee_source": {"charge": charge["id"], "type": "charge"},
        "livemode": False,
        "originating_transaction": None,
        "refunded": False,
        "refunds": {"object": "list", "data": [], "has_more": False, "url": f"/v1/application_fees/{id_}/refunds"},
    }
    moved = scene.move(("application_fee", "platform_earning"), fee, fee["amount"], days=2)
    scene.add(fee | {"balance_transaction": moved})
    group = f"ORDER_{scene.number()}"
    return charge | {"application_fee": id_, "application_fee_amount": fee["amount"], "transfer_group": group}


def debit_settles(scene: Scene, id_: str) -> None:
    """A pending bank debit succeeds or fails."""
    one = scene.get("charge", id_)
    if one is None or one["status"] != "pending":
        return
    if scene.dice.chance(0.1):
        after = failed(one) | {"failure_code": "insufficient_funds"}
        scene.become(one, after, tell="charge.failed")
    else:
        scene.become(one, succeed(scene, one), tell="charge.succeeded")


def authorization_ends(scene: Scene, id_: str) -> None:
    """An authorized charge is captured, or released uncaptured (docs: place a hold)."""
    one = scene.get("charge", id_)
    if one is None or one["captured"] or one["status"] != "succeeded" or one["amount_refunded"]:
        return
    if scene.dice.chance(0.85):
        scene.become(one, succeed(scene, one), tell="charge.captured")
        return
    scene.add(new_refund(scene, one, one["amount"]) | {"reason": "expired_uncaptured_charge"}, tell="refund.created")
    scene.change(one, {"amount_refunded": one["amount"], "refunded": True}, tell="charge.expired")


def updated(scene: Scene) -> bool:
    one = scene.pick("charge")
    if one is None:
        return False
    fields: Json = {"metadata": metadata(scene, one["metadata"])}
    if scene.dice.chance(0.3):
        fields = {"description": f"Order {2_000_000 + scene.number()}, as agreed"}
    scene.change(one, fields, tell="charge.updated")
    return True


def new_refund(scene: Scene, charge: Json, amount: int) -> Json:
    """A successful refund without its balance transaction, not stored yet."""
    return shapes.shaped_refund(
        scene.new_id("refund"),
        amount=amount,
        transaction=None,
        charge=charge["id"],
        payment_intent=charge["payment_intent"],
        created=scene.at,
        currency=charge["currency"],
        metadata={},
        reason=None,
        status="succeeded",
    )


def generated_waits(scene: Scene) -> None:
    """Schedules the outcome of generated charges that are pending or uncaptured."""
    for n, status in enumerate(scene.world.charges.status):
        if status == t.PENDING:
            scene.later(scene.dice.below(4 * _DAY), debit_settles, scene.world.ids["charge"].of(n))
        elif status == t.UNCAPTURED:
            scene.later(scene.dice.below(2 * _DAY), authorization_ends, scene.world.ids["charge"].of(n))
