"""Each event type of each report identifies an object of the report, even if the event is about another object."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from counterfoil.extract.event_ids import Named, named_since
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.catalogue import REPORTS
from counterfoil.reports.report import Listing, Report, Union
from counterfoil.values import StripeObject

from .scripted import Scripted, list_response

#: The objects in Stripe's events, by the start of the type; the longest match applies.
#: https://docs.stripe.com/api/events/types
PAYLOADS: dict[str, StripeObject] = {
    "account.": {"object": "account", "id": "acct_1", "created": 5},
    "application_fee.": {"object": "application_fee", "id": "fee_1", "charge": "ch_9", "created": 5},
    "application_fee.refund.": {"object": "fee_refund", "id": "fr_1", "fee": "fee_1", "created": 7},
    "balance.": {"object": "balance"},
    "billing.credit_grant.": {"object": "billing.credit_grant", "id": "credgr_1", "customer": "cus_1", "created": 7},
    "charge.": {"object": "charge", "id": "ch_1", "customer": "cus_1", "invoice": "in_9", "created": 5},
    "charge.dispute.": {"object": "dispute", "id": "dp_1", "charge": "ch_1", "created": 7},
    "charge.refund.": {"object": "refund", "id": "re_1", "charge": "ch_1", "created": 5},
    "coupon.": {"object": "coupon", "id": "coupon_1", "created": 5},
    "credit_note.": {"object": "credit_note", "id": "cn_1", "invoice": "in_1", "customer": "cus_1", "created": 7},
    "customer.": {"object": "customer", "id": "cus_1", "created": 5},
    "customer.discount.": {
        "object": "discount",
        "id": "di_1",
        "customer": "cus_1",
        "subscription": "sub_1",
        "start": 7,
    },
    "customer.source.": {"object": "card", "id": "card_1", "customer": "cus_1"},
    "customer.subscription.": {"object": "subscription", "id": "sub_1", "customer": "cus_1", "created": 5},
    "customer.tax_id.": {"object": "tax_id", "id": "txi_1", "customer": "cus_1", "created": 7},
    "invoice.": {"object": "invoice", "id": "in_1", "customer": "cus_1", "subscription": "sub_9", "created": 5},
    "invoice_payment.": {"object": "invoice_payment", "id": "inpay_1", "invoice": "in_1", "created": 7},
    "invoiceitem.": {"object": "invoiceitem", "id": "ii_1", "customer": "cus_1", "invoice": "in_1", "date": 5},
    "payment_intent.": {"object": "payment_intent", "id": "pi_1", "latest_charge": "ch_1", "created": 7},
    "payout.": {"object": "payout", "id": "po_1", "created": 5},
    "plan.": {"object": "plan", "id": "plan_1", "created": 5},
    "refund.": {"object": "refund", "id": "re_1", "charge": "ch_1", "created": 5},
    "review.": {"object": "review", "id": "prv_1", "charge": "ch_1", "created": 7},
    "subscription_schedule.": {
        "object": "subscription_schedule",
        "id": "sub_sched_1",
        "customer": "cus_1",
        "subscription": "sub_1",
        "created": 7,
    },
    "subscription_schedule.released": {
        "object": "subscription_schedule",
        "id": "sub_sched_1",
        "customer": "cus_1",
        "subscription": None,
        "released_subscription": "sub_1",
        "created": 7,
    },
    "transfer.": {"object": "transfer", "id": "tr_1", "created": 5},
}
#: The identified object of each report, or the parent whose rows are read again.
IDENTIFIED = {
    "application_fees": "fee_1",
    "application_fee_refunds": "fee_1",
    "charges": "ch_1",
    "coupons": "coupon_1",
    "customers": "cus_1",
    "discounts": "cus_1",
    "invoices": "in_1",
    "invoice_line_items": "in_1",
    "invoiceitems": "cus_1",
    "plans": "plan_1",
    "refunds": "re_1",
    "subscriptions": "sub_1",
    "all_subscriptions": "sub_1",
    "subscription_items": "sub_1",
    "transfer_reversals": "tr_1",
    "upcoming_invoices": "cus_1",
}
TYPES = [(report, event) for report in REPORTS if report.changes in ("events", "parents") for event in report.events]


def payload(type_: str) -> StripeObject:
    return PAYLOADS[max((start for start in PAYLOADS if type_.startswith(start)), key=len)]


def ids_in(report: Report, *events: dict[str, Any]) -> dict[str, Named]:
    source = report.source
    listings = source.listings if isinstance(source, Union) else {"": source}
    created = {kind: one.created if isinstance(one, Listing) else None for kind, one in listings.items()}
    if report.parents is not None:
        created = {"": None}
    stripe = Scripted(lambda _path, params: list_response([one for one in events if one["type"] in params["types"]]))
    found = asyncio.run(named_since(stripe.client, report, created, 1, notices=Warnings()))
    assert found is not None
    return found


def event(type_: str, one: StripeObject) -> dict[str, Any]:
    return {"object": "event", "id": "evt_1", "created": 9, "type": type_, "data": {"object": one}}


@pytest.mark.parametrize(("report", "event_type"), TYPES, ids=lambda value: getattr(value, "key", None) or value.type)
def test_event_identifies_the_object_of_the_report(report: Report, event_type: Any) -> None:
    one = payload(event_type.type)
    expected = {"payout": "po_1", "transfer": "tr_1"}[event_type.kind] if event_type.kind else IDENTIFIED[report.key]
    found = ids_in(report, event(event_type.type, one))
    assert list(found[event_type.kind]) == [expected]
    # The creation time of another object is never used.
    known = found[event_type.kind][expected]
    assert known in (None, one.get("created"), one.get("date"))
    assert known is None or one["id"] == expected


@pytest.mark.parametrize(("report", "event_type"), TYPES, ids=lambda value: getattr(value, "key", None) or value.type)
def test_event_without_the_id_identifies_no_object(report: Report, event_type: Any) -> None:
    one = {name: value for name, value in payload(event_type.type).items() if name != event_type.path[0]}
    assert not any(ids_in(report, event(event_type.type, one)).values())
    assert not any(ids_in(report, event(event_type.type, {**one, event_type.path[0]: None})).values())


def test_expanded_object_counts_as_its_id() -> None:
    (charges,) = (report for report in REPORTS if report.key == "charges")
    one = {"object": "dispute", "id": "dp_1", "charge": {"object": "charge", "id": "ch_1", "created": 5}}
    assert ids_in(charges, event("charge.dispute.created", one)) == {"": {"ch_1": None}}


def test_creation_time_is_kept_for_any_order_of_events() -> None:
    (charges,) = (report for report in REPORTS if report.key == "charges")
    own = event("charge.updated", {"object": "charge", "id": "ch_1", "created": 5})
    others = event("refund.created", {"object": "refund", "id": "re_1", "charge": "ch_1", "created": 7})
    others["id"] = "evt_2"
    assert ids_in(charges, own, others) == ids_in(charges, others, own) == {"": {"ch_1": 5}}
