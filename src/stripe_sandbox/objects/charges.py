"""Charges, refunds and disputes. Charges are the most numerous objects, so rendering them must be fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_sandbox.company import tables as t
from stripe_sandbox.company.money import CURRENCIES
from stripe_sandbox.objects.customers import identity
from stripe_sandbox.objects.json import Json

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

_BRANDS = (
    ("visa", "4242"),
    ("mastercard", "4444"),
    ("amex", "8431"),
    ("visa", "5556"),
    ("discover", "9424"),
    ("jcb", "0505"),
)
_UNAVAILABLE: Json = {"status": "unavailable"}
_DISABLED: Json = {"status": "disabled"}
APPROVED: Json = {
    "advice_code": None,
    "network_advice_code": None,
    "network_decline_code": None,
    "network_status": "approved_by_network",
    "reason": None,
    "risk_level": "normal",
    "seller_message": "Payment complete.",
    "type": "authorized",
}
DECLINED = APPROVED | {
    "advice_code": "try_again_later",
    "network_advice_code": "03",
    "network_decline_code": "51",
    "network_status": "declined_by_network",
    "reason": "insufficient_funds",
    "seller_message": "The bank returned the decline code `insufficient_funds`.",
    "type": "issuer_declined",
}
_SECURE: Json = {
    "authentication_flow": "frictionless",
    "electronic_commerce_indicator": "05",
    "exemption_indicator": None,
    "result": "authenticated",
    "result_reason": None,
    "transaction_id": "5f3d2c1a-0000-4000-8000-5a6d1b2c3d4e",
    "version": "2.2.0",
}
_CHECKS: Json = {"address_line1_check": "pass", "address_postal_code_check": "pass", "cvc_check": "pass"}
RECEIPT = (
    "https://pay.stripe.com/receipts/payment/CAcaFwoVYWNjdF8xUGdhZlRCN1daMDF6Z2tXKI_ei7UGMgZv2S_KfiY6LCJrxC7awazgQA9I88"
    "krZKw5uuCkZ5Nup2tomEtAbSpdfzjVZHO3ZYP5KFZP"
)
_TOKEN: Json = {"used": False}

_PAGES = ("notebooks", "pens", "cards", "gifts")


def _card(dice: int, amount: int, country: str) -> Json:
    brand, last4 = _BRANDS[(dice >> 6) % 6]
    return {
        "amount_authorized": amount,
        "authorization_code": f"{(dice >> 30) % 1000000:06d}",
        "brand": brand,
        "checks": _CHECKS,
        "country": country,
        "exp_month": 1 + (dice >> 12) % 12,
        "exp_year": 2027 + (dice >> 18) % 7,
        "extended_authorization": _DISABLED,
        "fingerprint": f"{dice & 0xFFFFFFFFFFFFFFF:016x}",
        "funding": ("credit", "credit", "debit", "prepaid")[(dice >> 26) % 4],
        "incremental_authorization": _UNAVAILABLE,
        "installments": None,
        "last4": last4,
        "mandate": None,
        "multicapture": _UNAVAILABLE,
        "network": brand,
        "network_token": _TOKEN,
        "network_transaction_id": f"{dice >> 4:015d}"[:15],
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": _SECURE if country not in ("US", "CA") else None,
        "wallet": None,
    }


def method_details(method: int, dice: int, amount: int, country: str) -> Json:
    if method == t.CARD:
        return {"card": _card(dice, amount, country), "type": "card"}
    if method == t.SEPA_DEBIT:
        sepa = {
            "bank_code": "37040044",
            "branch_code": None,
            "country": country,
            "fingerprint": f"{dice:016x}",
            "last4": "3000",
            "mandate": f"mandate_1{dice:016x}",
        }
        return {"sepa_debit": sepa, "type": "sepa_debit"}
    bank = {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "fingerprint": f"{dice:016x}",
        "last4": "6789",
        "mandate": f"mandate_1{dice:016x}",
        "payment_reference": None,
        "routing_number": "110000000",
    }
    return {"type": "us_bank_account", "us_bank_account": bank}


def _order(n: int, dice: int) -> Json:
    """Metadata such as a shop adds to a sale."""
    return {
        "order_id": f"{1000000 + n}",
        "channel": ("web", "app", "phone")[n % 3],
        "cart_token": f"c1-{dice:016x}{dice ^ n:016x}",
        "warehouse": ("pdx-1", "ber-2", "osa-1")[dice % 3],
        "utm_source": ("newsletter", "search", "partner", "direct")[(dice >> 3) % 4],
        "landing_page": f"https://paper-and-ink.example/collections/{n % 40}?ref={dice >> 40:x}",
        "experiment": ("checkout-one-page", "checkout-two-steps")[(dice >> 9) & 1],
        "campaign": f"autumn-{2024 + (dice >> 7) % 3}-returning-customers",
        "note": "Leave with the neighbours at the blue door — thank you!" if dice & 1 else "Gift wrapped, with a card",
    }


def charge(world: World, n: int) -> Json:
    table, ids = world.charges, world.ids
    amount, currency, status, owner = table.amount[n], table.currency[n], table.status[n], table.customer[n]
    dice = world.customer_chance.of(owner if owner >= 0 else ~n)
    name, mail, phone, address = identity(currency, dice)
    id_, fee = ids["charge"].of(n), table.fee.get(n)
    failed, settled = status == t.FAILED, status == t.SUCCEEDED
    returned = refunded_amount(world, n) if n in table.refunds else 0
    invoiced = table.invoice[n] >= 0
    return {
        "id": id_,
        "object": "charge",
        "amount": amount,
        "amount_captured": amount if settled else 0,
        "amount_refunded": returned,
        "application": None,
        "application_fee": ids["application_fee"].of(fee) if fee is not None else None,
        "application_fee_amount": world.fees.amount[fee] if fee is not None else None,
        "balance_transaction": ids["balance_transaction"].of(table.transaction[n]) if settled else None,
        "billing_details": {
            "address": address,
            "email": mail,
            "name": name,
            "phone": phone if dice % 3 else None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "PAPER AND INK",
        "captured": settled,
        "created": table.created[n],
        "currency": CURRENCIES[currency],
        "customer": ids["customer"].of(owner) if owner >= 0 else None,
        "description": "Subscription update" if invoiced else f"Order {1000000 + n}",
        "disputed": n in table.dispute,
        "failure_balance_transaction": None,
        "failure_code": "card_declined" if failed else None,
        "failure_message": "Your card has insufficient funds." if failed else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": _order(n, dice),
        "on_behalf_of": None,
        "outcome": (DECLINED if failed else APPROVED) | {"risk_score": (dice >> 36) % 60},
        "paid": not failed,
        "payment_intent": ids["payment_intent"].of(n),
        "payment_method": ids["payment_method"].of(owner if owner >= 0 else n),
        "payment_method_details": method_details(table.method[n], dice, amount, address["country"]),
        "presentment_details": {"presentment_amount": amount, "presentment_currency": CURRENCIES[currency]},
        "radar_options": {},
        "receipt_email": mail if n & 1 else None,
        "receipt_number": f"{1000 + n % 9000}-{n:04d}" if n % 9 == 0 else None,
        "receipt_url": None if failed else f"{RECEIPT}{dice:016x}{id_}",
        "refunded": returned == amount and returned > 0,
        "review": None,
        "shipping": {"address": address, "carrier": None, "name": name, "phone": phone, "tracking_number": None}
        if not invoiced and n % 4
        else None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": t.CHARGE_STATUSES[status],
        "transfer_data": None,
        "transfer_group": f"ORDER_{n}" if fee is not None else None,
    }


def refunded_amount(world: World, n: int) -> int:
    refunds = world.refunds
    return sum(refunds.amount[i] for i in world.charges.refunds[n] if refunds.status[i] != t.REFUND_FAILED)


def refund(world: World, n: int) -> Json:
    table, ids = world.refunds, world.ids
    owner, status = table.charge[n], table.status[n]
    made = shaped_refund(
        ids["refund"].of(n),
        amount=table.amount[n],
        transaction=ids["balance_transaction"].of(table.transaction[n]),
        charge=ids["charge"].of(owner),
        payment_intent=ids["payment_intent"].of(owner),
        created=table.created[n],
        currency=CURRENCIES[world.charges.currency[owner]],
        metadata={"ticket": f"T-{n}"} if n % 3 == 0 else {},
        reason=(None, "requested_by_customer", "duplicate", "fraudulent")[n % 4],
        status=t.REFUND_STATUSES[status],
    )
    if status == t.REFUND_FAILED:
        made["failure_reason"] = "expired_or_canceled_card"
        made["failure_balance_transaction"] = ids["balance_transaction"].of(table.failure_transaction[n])
    return made


def shaped_refund(
    id_: str, *, amount: int, transaction: str | None, charge: str, payment_intent: str | None, created: int,
    currency: str, metadata: Json, reason: str | None, status: str,
) -> Json:  # fmt: skip
    card = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
    return {
        "id": id_,
        "object": "refund",
        "amount": amount,
        "balance_transaction": transaction,
        "charge": charge,
        "created": created,
        "currency": currency,
        "destination_details": {"card": card, "type": "card"},
        "metadata": metadata,
        "payment_intent": payment_intent,
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }


def refunds_of(world: World, n: int) -> list[Json]:
    """All refunds of a charge, newest first."""
    return [refund(world, i) for i in reversed(world.charges.refunds.get(n, ()))]


_EVIDENCE: Json = dict.fromkeys(
    (
        "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
        "cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
        "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation",
        "duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt", "refund_policy",
        "refund_policy_disclosure", "refund_refusal_explanation", "service_date", "service_documentation",
        "shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation",
        "shipping_tracking_number", "uncategorized_file", "uncategorized_text",
    )
) | {"enhanced_evidence": {}}  # fmt: skip


def dispute(world: World, n: int) -> Json:
    from stripe_sandbox.objects.money import balance_transaction

    table, ids = world.disputes, world.ids
    owner = table.charge[n]
    moved = [table.transaction[n], *([table.reversal[n]] if n in table.reversal else [])]
    return shaped_dispute(
        ids["dispute"].of(n),
        amount=world.charges.amount[owner],
        transactions=[balance_transaction(world, transaction) for transaction in moved],
        charge=ids["charge"].of(owner),
        payment_intent=ids["payment_intent"].of(owner),
        created=table.created[n],
        currency=CURRENCIES[world.charges.currency[owner]],
        reason=("fraudulent", "product_not_received", "general")[n % 3],
        status=t.DISPUTE_STATUSES[table.status[n]],
    )


def shaped_dispute(
    id_: str, *, amount: int, transactions: list[Json], charge: str, payment_intent: str | None, created: int,
    currency: str, reason: str, status: str,
) -> Json:  # fmt: skip
    return {
        "id": id_,
        "object": "dispute",
        "amount": amount,
        "balance_transactions": transactions,
        "charge": charge,
        "created": created,
        "currency": currency,
        "enhanced_eligibility_types": [],
        "evidence": _EVIDENCE,
        "evidence_details": {
            "due_by": created + 10 * 86400,
            "enhanced_eligibility": {},
            "has_evidence": status == "under_review",
            "past_due": False,
            "submission_count": int(status == "under_review"),
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": payment_intent,
        "payment_method_details": {
            "card": {"brand": "visa", "case_type": "chargeback", "network_reason_code": "10.4"},
            "type": "card",
        },
        "reason": reason,
        "status": status,
    }
