"""Invoices: drafts are finalized, amended or deleted; open invoices are paid, voided or marked uncollectible."""

from __future__ import annotations

from collections.abc import Iterator

from stripe_sandbox import billing
from stripe_sandbox.company import tables as t
from stripe_sandbox.kinds import BY_NAME
from stripe_sandbox.life import charges, discounts, invoice_items, subscription_status
from stripe_sandbox.life.scene import Scene, currency_of
from stripe_sandbox.objects.invoices import subscription_of
from stripe_sandbox.objects.json import Json

_HOUR, _DAY = 3600, 86400
_STILL_TO_PAY = ("open", "uncollectible")


def drafted(scene: Scene) -> bool:
    """Drafts a manual invoice for new and pending items of a customer; it is finalized or deleted later."""
    dice = scene.dice
    waiting = scene.take("invoiceitem", scene.pending_items, lambda item: item["invoice"] is None)
    if waiting is not None and dice.chance(0.5):
        customer = scene.get("customer", waiting["customer"])
    else:
        customer = scene.pick("customer")
    if customer is None:
        return False
    for _ in range(11 + dice.below(20) if dice.chance(0.06) else 1 + dice.below(5)):
        invoice_items.add(scene, customer)
    items = [item for item in billing.waiting(scene.store, customer["id"]) if subscription_of(item) is None]
    lines = [billing.item_line(scene.store, item) for item in items]
    id_ = scene.new_id("invoice")
    own = billing.discounts_of(scene.store, None, customer, scene.at)
    if dice.chance(0.15):
        given = discounts.give(scene, customer["currency"], customer=customer["id"], invoice=id_)
        own = [given["id"]] if given else own
    made = create(scene, id_, customer, None, lines, own, (scene.at, scene.at))
    if dice.chance(0.12):
        scene.later(_HOUR + dice.below(2 * _DAY), discard, made["id"])
    else:
        scene.later(_HOUR + dice.below(3 * _DAY), finalize, made["id"])
    return True


def create(
    scene: Scene, id_: str, customer: Json, sub: Json | None, lines: list[billing.Line], discounts_: list[str],
    period: tuple[int, int], reason: str = "manual",
) -> Json:  # fmt: skip
    """Creates a draft and attaches the invoice items of its lines."""
    currency = sub["currency"] if sub else customer["currency"]
    done = billing.bill(scene.store, lines, discounts_, currency)
    made = billing.invoice_fields(
        scene.store, id_, customer, done, period=period, currency=currency, line_ids=_line_ids(scene),
        subscription=sub["id"] if sub else None,
    )  # fmt: skip
    due = max(0, made["total"])
    invoice = scene.add(
        made
        | {
            "amount_due": due,
            "amount_paid": 0,
            "amount_remaining": due,
            "attempt_count": 0,
            "attempted": False,
            "auto_advance": sub is not None,
            "automatically_finalizes_at": scene.at + _HOUR if sub else None,
            "billing_reason": reason,
            "collection_method": "charge_automatically" if sub else "send_invoice",
            "created": scene.at,
            "due_date": None,
            "effective_at": None,
            "ending_balance": None,
            "hosted_invoice_url": None,
            "invoice_pdf": None,
            "next_payment_attempt": scene.at + _HOUR if sub else None,
            "number": None,
            "period_end": scene.at,
            "period_start": scene.at if sub is None else period[0],
            "status": "draft",
            "status_transitions": dict.fromkeys(
                ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at"), None
            ),
            "webhooks_delivered_at": None,
        },
        tell="invoice.created",
    )
    for line in lines:
        item = scene.get("invoiceitem", line.invoice_item) if line.invoice_item else None
        if item is not None:
            scene.change_silently(item, {"invoice": id_})
    if sub is None:
        scene.drafts.append(id_)
    _used_up(scene, [*discounts_, *(discount for line in lines for discount in line.discounts)])
    return invoice


def _used_up(scene: Scene, given: list[str]) -> None:
    """Ends discounts with the duration `once`."""
    for id_ in dict.fromkeys(given):
        one = scene.store.discount(id_)
        if one is None or billing.coupon_of(scene.store, id_)["duration"] != "once":
            continue
        if one["subscription"]:
            discounts.subscription_discount_ends(scene, one["subscription"], id_)
        elif one["customer"] and not one["invoice"] and not one["invoice_item"]:
            discounts.customer_discount_ends(scene, one["customer"], id_)


def _line_ids(scene: Scene) -> Iterator[str]:
    while True:
        yield scene.new_id("line_item")


def amended(scene: Scene) -> bool:
    """Adds a line to a draft."""
    one = scene.take("invoice", scene.drafts, lambda invoice: invoice["status"] == "draft")
    customer = scene.get("customer", one["customer"]) if one else None
    if one is None or customer is None or one["discounts"]:
        return False
    item = invoice_items.add(scene, customer)
    if item["discounts"]:
        return False
    line = billing.item_line(scene.store, item)
    done = billing.bill(scene.store, [line], [], one["currency"])
    fields = billing.invoice_fields(
        scene.store, one["id"], customer, done, period=(scene.at, scene.at), currency=one["currency"],
        line_ids=_line_ids(scene), subscription=None,
    )  # fmt: skip
    more = {name: one[name] + fields["total"] for name in _SUMS}
    more["lines"] = one["lines"] | {"data": [*one["lines"]["data"], *fields["lines"]["data"]]}
    scene.change_silently(item, {"invoice": one["id"]})
    scene.change(one, more, tell="invoice.updated")
    return True


_SUMS = (
    "amount_due", "amount_remaining", "subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax",
)  # fmt: skip


def discarded(scene: Scene) -> bool:
    one = scene.take("invoice", scene.drafts, lambda invoice: invoice["status"] == "draft")
    if one is None:
        return False
    discard(scene, one["id"])
    return True


def discard(scene: Scene, id_: str) -> None:
    """Deletes a draft: earlier items become pending again, and items created with it are deleted too."""
    one = scene.get("invoice", id_)
    if one is None or one["status"] != "draft" or one["parent"] is not None:
        return
    for line in one["lines"]["data"]:
        item = scene.get("invoiceitem", line["parent"]["invoice_item_details"]["invoice_item"])
        if item is None:
            continue
        if item["date"] < one["created"] - _HOUR and _waits_again(scene, item):
            scene.change_silently(item, {"invoice": None})
            scene.pending_items.append(item["id"])
        else:
            scene.remove(item, tell="invoiceitem.deleted")
    scene.remove(one, tell="invoice.deleted")


def _waits_again(scene: Scene, item: Json) -> bool:
    """False if the customer was deleted, or if the item was generated with an invoice."""
    n = BY_NAME["invoiceitem"].index(scene.world, item["id"])
    return (n is None or scene.world.invoice_items.invoice[n] < 0) and scene.get(
        "customer", item["customer"]
    ) is not None


def finalize(scene: Scene, id_: str) -> None:
    """Opens a draft, then charges it soon or sends it and awaits payment."""
    one = scene.get("invoice", id_)
    if one is None or one["status"] != "draft" or not _has_payer(scene, one):
        return
    one = finalized(scene, one)
    if one["status"] != "open":
        return
    if one["collection_method"] == "charge_automatically":
        scene.later(1 + scene.dice.below(60), collect, id_)
    else:
        scene.tell("invoice.sent", one)
        scene.open_invoices.append(id_)
        if scene.dice.chance(0.75):
            scene.later(_HOUR + scene.dice.below(25 * _DAY), paid_by_hand, id_)


def finalized(scene: Scene, one: Json) -> Json:
    """The invoice after finalization: open, or paid if nothing is due."""
    url = f"https://invoice.stripe.com/i/acct_sandbox/test_{one['id']}"
    manual = one["collection_method"] == "send_invoice"
    one = scene.change(
        one,
        {
            "auto_advance": True,
            "automatically_finalizes_at": None,
            "due_date": scene.at + 30 * _DAY if manual else None,
            "effective_at": scene.at,
            "ending_balance": 0,
            "hosted_invoice_url": url,
            "invoice_pdf": f"https://pay.stripe.com/invoice/acct_sandbox/test_{one['id']}/pdf",
            "next_payment_attempt": None if manual else scene.at + 60,
            "number": f"CF-{5_000_000 + scene.number():07d}",
            "status": "open",
            "status_transitions": one["status_transitions"] | {"finalized_at": scene.at},
        },
        tell="invoice.finalized",
    )
    return one if one["amount_remaining"] else _settled(scene, one)


def collect(scene: Scene, id_: str) -> None:
    """Charges the card, up to four times in nine days."""
    one = scene.get("invoice", id_)
    if one is None or one["status"] != "open" or not _has_payer(scene, one):
        return
    if scene.dice.chance(0.6 if one["attempt_count"] else 0.92):
        pay(scene, one)
        return
    one = attempt(scene, one)
    scene.later(3 * _DAY, collect if one["attempt_count"] < 4 else give_up, id_)


def paid_by_hand(scene: Scene, id_: str) -> None:
    one = scene.get("invoice", id_)
    if one is not None and one["status"] in _STILL_TO_PAY and _has_payer(scene, one):
        pay(scene, one)


def _has_payer(scene: Scene, one: Json) -> bool:
    """False if the customer was deleted."""
    return scene.get("customer", one["customer"]) is not None


def settled(scene: Scene) -> bool:
    """Pays or voids an unpaid invoice, or marks it uncollectible."""
    one = scene.take("invoice", scene.open_invoices, lambda invoice: invoice["status"] in _STILL_TO_PAY)
    if one is None:
        return False
    if scene.dice.chance(0.6) and _has_payer(scene, one):
        pay(scene, one)
    elif one["status"] == "open" and scene.dice.chance(0.5):
        give_up(scene, one["id"])
    else:
        void(scene, one["id"])
    return True


def give_up(scene: Scene, id_: str) -> None:
    one = scene.get("invoice", id_)
    if one is None or one["status"] != "open":
        return
    at = one["status_transitions"] | {"marked_uncollectible_at": scene.at}
    scene.change(
        one,
        {"status": "uncollectible", "status_transitions": at, "next_payment_attempt": None, "auto_advance": False},
        tell="invoice.marked_uncollectible",
    )
    scene.open_invoices.append(id_)
    subscription_status.given_up(scene, one)


def void(scene: Scene, id_: str) -> None:
    one = scene.get("invoice", id_)
    if one is None or one["status"] not in _STILL_TO_PAY:
        return
    at = one["status_transitions"] | {"voided_at": scene.at}
    scene.change(
        one,
        {"status": "void", "status_transitions": at, "next_payment_attempt": None, "auto_advance": False},
        tell="invoice.voided",
    )


def attempt(scene: Scene, one: Json) -> Json:
    """Adds a failed charge for an invoice; its subscription becomes past due."""
    charge = charges.failed(_charge(scene, one))
    _linked(scene, one, charge)
    scene.add(charge, tell="charge.failed")
    if not scene.store.payments_of(one):
        scene.add(_payment(scene, one, charge, paid=False))
    count = one["attempt_count"] + 1
    fields = {"attempt_count": count, "attempted": True, "next_payment_attempt": scene.at + 3 * _DAY}
    after = scene.change(one, fields, tell="invoice.payment_failed")
    subscription_status.failed(scene, after)
    return after


def pay(scene: Scene, one: Json) -> Json:
    """Charges the remaining amount of an invoice, which becomes paid."""
    charge = charges.succeed(scene, _charge(scene, one))
    _linked(scene, one, charge)
    scene.add(charge, tell="charge.succeeded")
    payments = scene.store.payments_of(one)
    wanted = _payment(scene, one, charge, paid=True)
    if payments:
        kept = {name: payments[0][name] for name in ("id", "created", "is_default")}
        scene.become(payments[0], wanted | kept, tell="invoice_payment.paid")
    else:
        scene.add(wanted, tell="invoice_payment.paid")
    return _settled(scene, one | {"attempt_count": one["attempt_count"] + 1, "attempted": True}, before=one)


def _settled(scene: Scene, one: Json, *, before: Json | None = None) -> Json:
    after = one | {
        "amount_paid": one["amount_due"],
        "amount_remaining": 0,
        "attempted": True,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status": "paid",
        "status_transitions": one["status_transitions"] | {"paid_at": scene.at},
    }
    after = scene.become(before or one, after, tell="invoice.updated")
    scene.tell("invoice.paid", after)
    scene.tell("invoice.payment_succeeded", after)
    subscription_status.paid(scene, after)
    return after


def _charge(scene: Scene, one: Json) -> Json:
    """A charge of the remaining amount, with the previous payment intent if any (docs: invoice payments)."""
    before = scene.store.payments_of(one)
    intent = before[0]["payment"]["payment_intent"] if before else None
    customer = scene.get("customer", one["customer"])
    return charges.new(
        scene,
        customer,
        currency_of(one),
        one["amount_remaining"],
        method=t.CARD,
        description="Subscription update" if one["parent"] else f"Invoice {one['number']}",
        intent=intent,
    ) | {"customer": one["customer"]}


def _linked(scene: Scene, one: Json, charge: Json) -> None:
    scene.store.charge_of_invoice[one["id"]] = charge["id"]
    scene.store.invoice_of_charge[charge["id"]] = one["id"]


def _payment(scene: Scene, one: Json, charge: Json, *, paid: bool) -> Json:
    return scene.like("invoice_payment") | {
        "id": scene.new_id("invoice_payment"),
        "amount_paid": charge["amount"] if paid else None,
        "amount_requested": charge["amount"],
        "created": scene.at,
        "currency": one["currency"],
        "invoice": one["id"],
        "payment": {"payment_intent": charge["payment_intent"], "type": "payment_intent"},
        "status": "paid" if paid else "open",
        "status_transitions": {"canceled_at": None, "paid_at": scene.at if paid else None},
    }


def generated_waits(scene: Scene) -> None:
    """Schedules or lists the generated invoices that are drafts or unpaid."""
    table, of = scene.world.invoices, scene.world.ids["invoice"].of
    for n, status in enumerate(table.status):
        if status == t.DRAFT and table.subscription[n] >= 0:
            scene.later(_HOUR, finalize, of(n))
        elif status == t.DRAFT:
            scene.drafts.append(of(n))
        elif status in (t.OPEN, t.UNCOLLECTIBLE) and table.total[n] > 0:
            scene.open_invoices.append(of(n))
