"""Subscriptions, and the invoices that they make."""

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
_CUSTOMER = Option(name="customer", pattern="id", description="Only those of this customer.")

INVOICES = Report(
    key="invoices",
    title="All Invoices",
    description="Each invoice with its lines, from draft to paid, newest first.",
    source=Listing(path="/v1/invoices", object="invoice", lists=("lines",)),
    columns=_INVOICE_COLUMNS,
    not_money=_INVOICE_COUNTS,
    events=(
        # invoice.upcoming is left out: its invoice has no id.
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
            description="Only invoices of this status.",
        ),
        Option(
            name="collection_method",
            choices=("charge_automatically", "send_invoice"),
            description="Only invoices that are collected in this way.",
        ),
        _CUSTOMER,
        Option(name="subscription", pattern="id", description="Only invoices of this subscription."),
    ),
    notes=(
        "lines holds every line; parent_subscription_details_subscription names the subscription.",
        "Only drafts can be deleted.",
    ),
)

INVOICE_ITEMS = Report(
    key="invoiceitems",
    title="Invoice Items",
    description="Single amounts that are, or will be, on an invoice of a customer.",
    source=Listing(path="/v1/invoiceitems", object="invoiceitem", created="date"),
    columns=declared("invoiceitem", money=dict.fromkeys(("amount", "net_amount"), "currency")),
    created="date",
    order=("-date", "-id"),
    not_money=frozenset({"quantity"}),
    # That an item joins an invoice is told by the invoice's event; that a pending one changes by none.
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
            description="Only items that are on no invoice yet (true), or that are on one (false).",
        ),
        _CUSTOMER,
        Option(name="invoice", pattern="id", description="Only items of this invoice."),
    ),
    notes=("The time of creation is in date; invoice is null while the item is pending.",),
)

UPCOMING_INVOICES = Report(
    key="upcoming_invoices",
    title="Upcoming Invoices",
    description="The next invoice of each live subscription and of each schedule that has not started.",
    source=Preview(
        path="/v1/invoices/create_preview",
        object="invoice",
        previewed=(
            Previewed(
                listing=Listing(path="/v1/subscriptions", object="subscription", hides="test_clock"),
                param="subscription",
                # An unpaid subscription still makes invoices, as drafts.
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
        # resource_missing: it was canceled or deleted between the list and the preview.
        none=frozenset({"invoice_upcoming_none", "resource_missing"}),
        lists=("lines",),
    ),
    columns=(
        Column(
            name="preview_of",
            type="string",
            path=("preview_of",),
            description="The subscription or subscription schedule whose next invoice this is",
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
    # Stripe publishes no permission of this POST; a key that lacks one is told so by name.
    permissions=("rak_subscription_read", "rak_invoice_write"),
    notes=(
        "Previews are made for the run and are not stored by Stripe: they have no number and no lasting id.",
        "It takes one request per subscription and schedule.",
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
        # The column `schedule` changes with these.
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
            description="not_canceled leaves out canceled subscriptions, as Stripe's own list does; all has them too.",
        ),
        _CUSTOMER,
        _PRICE,
    ),
    notes=("The current period is in items: each item of a subscription has its own.",),
)

#: What finance needs: churn is a subscription that is canceled, which Subscriptions leaves out.
ALL_SUBSCRIPTIONS = replace(
    SUBSCRIPTIONS,
    key="all_subscriptions",
    title="All Subscriptions",
    description="Each subscription, the canceled ones too, with its items, trial, cancellation and payment settings.",
    source=Listing(
        path="/v1/subscriptions", object="subscription", params={"status": "all"}, lists=("items",), hides="test_clock"
    ),
    options=(_CUSTOMER, _PRICE),
    notes=(
        *SUBSCRIPTIONS.notes,
        "A canceled subscription stays: its status is canceled, and ended_at is when it ended.",
    ),
)
