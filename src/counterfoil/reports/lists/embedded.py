"""Reports with one row per entry of the lists that Stripe embeds in other objects, read to their end."""

from __future__ import annotations

from dataclasses import replace

from counterfoil.columns.declared import declared
from counterfoil.reports.lists.billing import INVOICES, SUBSCRIPTIONS
from counterfoil.reports.lists.connect import APPLICATION_FEES, TRANSFERS
from counterfoil.reports.report import Collected, Listing, ObjectPath, Parents, Reference, Report

INVOICE_LINE_ITEMS = Report(
    key="invoice_line_items",
    title="Invoice Line Items",
    description="Each line of each invoice, one row per line.",
    source=Collected(
        places=(
            ObjectPath(
                listing=Listing(path="/v1/invoices", object="invoice", lists=("lines",)), at=(("lines", "data", "*"),)
            ),
        )
    ),
    columns=declared("line_item", money=dict.fromkeys(("amount", "subtotal"), "currency")),
    # Lines of two invoices can have the same id.
    primary_key=("invoice", "id"),
    created=None,
    order=("invoice", "id"),
    not_money=frozenset({"quantity"}),
    events=INVOICES.events,
    changes="parents",
    parents=Parents(column="invoice"),
    references=(Reference(column="invoice", report="invoices", deletable=True),),
    methods=("replace", "append", "merge"),
    default_method="merge",
    permissions=("rak_invoice_read",),
    notes=("amount excludes discounts and taxes, which are in discount_amounts and taxes.",),
)

SUBSCRIPTION_ITEMS = Report(
    key="subscription_items",
    title="Subscription Items",
    description="The items of each subscription: one row per price, with its quantity and current period.",
    source=Collected(
        places=(
            ObjectPath(
                listing=Listing(
                    path="/v1/subscriptions",
                    object="subscription",
                    params={"status": "all"},
                    lists=("items",),
                    hides="test_clock",
                ),
                at=(("items", "data", "*"),),
            ),
        )
    ),
    columns=declared("subscription_item"),
    created=None,
    order=("subscription", "id"),
    not_money=frozenset({"billing_thresholds_usage_gte", "quantity"}),
    events=SUBSCRIPTIONS.events,
    changes="parents",
    parents=Parents(column="subscription"),
    references=(Reference(column="subscription", report="all_subscriptions"),),
    methods=("replace", "append", "merge"),
    default_method="merge",
    permissions=("rak_subscription_read",),
    notes=("Items of canceled subscriptions are included; All Subscriptions contains these subscriptions.",),
)

APPLICATION_FEE_REFUNDS = Report(
    key="application_fee_refunds",
    title="Application Fee Refunds",
    description="Refunds of your platform's application fees.",
    source=Collected(
        places=(
            ObjectPath(
                listing=Listing(path="/v1/application_fees", object="application_fee", lists=("refunds",)),
                at=(("refunds", "data", "*"),),
            ),
        )
    ),
    columns=declared("fee_refund", money={"amount": "currency"}),
    created=None,
    order=("-created", "-id"),
    events=APPLICATION_FEES.events,
    changes="parents",
    parents=Parents(column="fee"),
    references=(Reference(column="fee", report="application_fees"),),
    methods=("replace", "append", "merge"),
    default_method="merge",
    permissions=("rak_application_fee_read",),
)

TRANSFER_REVERSALS = Report(
    key="transfer_reversals",
    title="Transfer Reversals",
    description="Money returned from connected accounts.",
    source=Collected(
        places=(
            ObjectPath(
                listing=Listing(path="/v1/transfers", object="transfer", lists=("reversals",)),
                at=(("reversals", "data", "*"),),
            ),
        )
    ),
    columns=declared("transfer_reversal", money={"amount": "currency"}),
    created=None,
    order=("-created", "-id"),
    events=tuple(replace(event, kind="") for event in TRANSFERS.events if event.kind == "transfer"),
    changes="parents",
    parents=Parents(column="transfer"),
    references=(Reference(column="transfer", report="transfers"),),
    methods=("replace", "append", "merge"),
    default_method="merge",
    permissions=("rak_transfer_read",),
)
