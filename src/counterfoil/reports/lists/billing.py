"""Subscriptions and invoices."""

from __future__ import annotations

from dataclasses import replace

from counterfoil.columns.column import Column
from counterfoil.columns.declared import declared
from counterfoil.reports.event_types import (
    INVOICE_ITEMS_OF_CUSTOMERS,
    INVOICES_OF_CUSTOMERS,
    NEXT_INVOICES_OF_CUSTOMERS,
    customer_events,
)
from counterfoil.reports.report import EventType, Listing, Option, Parents, Preview, Previewed, Reference, Report

_INVOICE_MONEY = (
    "amount_due",
    "amount_overpaid",
    "amount_paid",
    "amount_paid_off_stripe",
    "amount_remaining",
    "amount_shipping",
    "ending_balance",
    "post_payment_credit_notes_amount",
    "pre_payment_credit_notes_amount",
    "shipping_cost_amount_subtotal",
    "shipping_cost_amount_tax",
    "shipping_cost_amount_total",
    "starting_balance",
    "subtotal",
    "subtotal_excluding_tax",
    "threshold_reason_amount_gte",
    "total",
    "total_excluding_tax",
)
_INVOICE_COLUMNS = declared("invoice", money=dict.fromkeys(_INVOICE_MONEY, "currency"))
_INVOICE_COUNTS = frozenset({"attempt_count", "rendering_template_version"})
_PRICE = Option(name="price", pattern="id", description="Only subscriptions with this price.")
_CUSTOMER = Option(name="customer", pattern="id", description="Only rows of this customer.")

INVOICES = Report(
    key="invoices",
    title="All Invoices",
    description="Each invoice with its lines, from draft to paid, newest first.",
    source=Listing(path="/v1/invoices", object="invoice", lists=("lines",)),
    columns=_INVOICE_COLUMNS,
    not_money=_INVOICE_COUNTS,
    events=(
        # invoice.upcoming is omitted because its invoice has no id.
        *(
            EventType(type=f"invoice.{what}")
            for what in (
                "created",
                "updated",
                "deleted",
                "finalized",
                "finalization_failed",
                "paid",
                "payment_succeeded",
                "payment_failed",
                "payment_action_required",
                "payment_attempt_required",
                "sent",
                "voided",
                "marked_uncollectible",
                "overdue",
                "overpaid",
                "will_be_due",
            )
        ),
        EventType(type="invoice_payment.paid", path=("invoice",)),
        *(EventType(type=f"credit_note.{what}", path=("invoice",)) for what in ("created", "updated", "voided")),
    ),
    references=(Reference(column="customer", report="customers", deletable=True),),
    default_method="merge",
    permissions=("rak_invoice_read",),
    options=(
        Option(
            name="status",
            choices=("draft", "open", "paid", "uncollectible", "void"),
            description="Only invoices with this status.",
        ),
        Option(
            name="collection_method",
            choices=("charge_automatically", "send_invoice"),
            description="Only invoices with this collection method.",
        ),
        _CUSTOMER,
        Option(name="subscription", pattern="id", description="Only invoices of this subscription."),
    ),
    notes=(
        "lines contains every line; parent_subscription_details_subscription is the subscription.",
        "Only drafts can be deleted.",
    ),
)

INVOICE_ITEMS = Report(
    key="invoiceitems",
    title="Invoice Items",
    description="Single amounts that are, or will be, on a customer's invoice.",
    source=Listing(path="/v1/invoiceitems", object="invoiceitem", created="date"),
    columns=declared("invoiceitem", money=dict.fromkeys(("amount", "net_amount"), "currency")),
    created="date",
    order=("-date", "-id"),
    not_money=frozenset({"quantity"}),
    # The invoice's event reports that an item was added to it. No event reports a change of a pending item.
    events=(*customer_events("customer", ("deleted",)), *INVOICE_ITEMS_OF_CUSTOMERS, *INVOICES_OF_CUSTOMERS),
    changes="parents",
    parents=Parents(column="customer", param="customer", silent={"pending": "true"}),
    references=(
        Reference(column="customer", report="customers", deletable=True),
        Reference(column="invoice", report="invoices", deletable=True),
    ),
    default_method="merge",
    permissions=("rak_invoice_read",),
    options=(
        Option(
            name="pending",
            choices=("true", "false"),
            description="Only items not yet on an invoice (true), or only items on an invoice (false).",
        ),
        _CUSTOMER,
        Option(name="invoice", pattern="id", description="Only items of this invoice."),
    ),
    notes=("date is the creation time; invoice is null while the item is pending.",),
)

UPCOMING_INVOICES = Report(
    key="upcoming_invoices",
    title="Upcoming Invoices",
    description="The next invoice of each current subscription and of each schedule that has not started.",
    source=Preview(
        path="/v1/invoices/create_preview",
        object="invoice",
        previewed=(
            Previewed(
                listing=Listing(path="/v1/subscriptions", object="subscription", hides="test_clock"),
                param="subscription",
                # An unpaid subscription still creates draft invoices.
                statuses=frozenset({"active", "trialing", "past_due", "unpaid"}),
            ),
            Previewed(
                listing=Listing(
                    path="/v1/subscription_schedules", object="subscription_schedule", params={"scheduled": "true"}
                ),
                param="schedule",
                statuses=frozenset({"not_started"}),
            ),
        ),
        key="preview_of",
        # resource_missing: the object was canceled or deleted after it was listed.
        none=frozenset({"invoice_upcoming_none", "resource_missing"}),
        lists=("lines",),
    ),
    columns=(
        Column(
            name="preview_of",
            type="string",
            path=("preview_of",),
            description="The subscription or subscription schedule of the invoice",
        ),
        *(replace(column, description=f"previewed {column.description}") for column in _INVOICE_COLUMNS),
    ),
    primary_key=("preview_of",),
    created=None,
    order=("preview_of",),
    not_money=_INVOICE_COUNTS,
    events=NEXT_INVOICES_OF_CUSTOMERS,
    changes="parents",
    parents=Parents(column="customer", param="customer"),
    methods=("replace", "append", "merge"),
    # Stripe does not document the permission for this POST; its error names a missing permission.
    permissions=("rak_subscription_read", "rak_invoice_write"),
    notes=(
        "Each run creates new previews, which Stripe does not store: they have no number and no permanent id.",
        "A run takes one request per subscription and schedule.",
    ),
)

SUBSCRIPTIONS = Report(
    key="subscriptions",
    title="Subscriptions",
    description="Each subscription with its items, trial, cancellation and payment settings.",
    source=Listing(path="/v1/subscriptions", object="subscription", lists=("items",), hides="test_clock"),
    columns=declared("subscription", money={"billing_thresholds_amount_gte": "currency"}),
    not_money=frozenset(
        {
            "billing_cycle_anchor_config_day_of_month",
            "billing_cycle_anchor_config_hour",
            "billing_cycle_anchor_config_minute",
            "billing_cycle_anchor_config_month",
            "billing_cycle_anchor_config_second",
            "days_until_due",
            "pending_invoice_item_interval_interval_count",
        }
    ),
    events=(
        *(
            EventType(type=f"customer.subscription.{what}")
            for what in (
                "created",
                "updated",
                "deleted",
                "paused",
                "resumed",
                "trial_will_end",
                "pending_update_applied",
                "pending_update_expired",
            )
        ),
        *(
            EventType(type=f"customer.discount.{what}", path=("subscription",))
            for what in ("created", "updated", "deleted")
        ),
        # These events can change the column `schedule`.
        *(
            EventType(type=f"subscription_schedule.{what}", path=("subscription",))
            for what in ("created", "canceled", "completed", "aborted")
        ),
        EventType(type="subscription_schedule.released", path=("released_subscription",)),
    ),
    references=(Reference(column="customer", report="customers", deletable=True),),
    default_method="merge",
    permissions=("rak_subscription_read",),
    options=(
        Option(
            name="status",
            choices=("not_canceled", "all"),
            default="not_canceled",
            widest="all",
            sends={"not_canceled": None},
            description="not_canceled excludes canceled subscriptions, like Stripe's own list; all includes them.",
        ),
        _CUSTOMER,
        _PRICE,
    ),
    notes=("items contains the current period, because each item of a subscription has its own.",),
)

#: For churn reports, which need the canceled subscriptions that Subscriptions excludes.
ALL_SUBSCRIPTIONS = replace(
    SUBSCRIPTIONS,
    key="all_subscriptions",
    title="All Subscriptions",
    description="Each subscription, including canceled ones, with items, trial, cancellation and payment settings.",
    source=Listing(
        path="/v1/subscriptions", object="subscription", params={"status": "all"}, lists=("items",), hides="test_clock"
    ),
    options=(_CUSTOMER, _PRICE),
    notes=(
        *SUBSCRIPTIONS.notes,
        "Canceled subscriptions have the status canceled, and ended_at is the time of their end.",
    ),
)
