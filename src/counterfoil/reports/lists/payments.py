"""Customers, charges, refunds and events."""

from __future__ import annotations

from counterfoil.columns.column import Column
from counterfoil.columns.declared import declared
from counterfoil.reports.report import EventType, Listing, Option, Reference, Report

_CHARGE_MONEY = (
    "amount",
    "amount_captured",
    "amount_refunded",
    "application_fee_amount",
    "payment_method_details_card_amount_authorized",
    "transfer_data_amount",
)
#: The amount that the customer saw, if it was in another currency.
_PRESENTMENT = {"presentment_details_presentment_amount": "presentment_details_presentment_currency"}

CHARGES = Report(
    key="charges",
    title="Charges",
    description="Each attempted payment; $10.00 is 1000 in amount and 10.00 in amount_major.",
    source=Listing(path="/v1/charges", object="charge"),
    columns=declared(
        "charge",
        money={**dict.fromkeys(_CHARGE_MONEY, "currency"), **_PRESENTMENT},
        # Sent for charges of older payment flows, but not in the OpenAPI spec (observed in Stripe's fixtures and SDK).
        also=(Column(name="source", type="json", path=("source",)),),
    ),
    not_money=frozenset(
        {
            "outcome_risk_score",
            "payment_method_details_card_exp_month",
            "payment_method_details_card_exp_year",
            "payment_method_details_card_installments_plan_count",
        }
    ),
    events=(
        *(
            EventType(type=f"charge.{what}")
            for what in ("succeeded", "pending", "failed", "captured", "expired", "refunded", "updated")
        ),
        *(
            EventType(type=f"charge.dispute.{what}", path=("charge",))
            for what in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated")
        ),
        EventType(type="charge.refund.updated", path=("charge",)),
        *(EventType(type=f"refund.{what}", path=("charge",)) for what in ("created", "updated", "failed")),
        *(EventType(type=f"review.{what}", path=("charge",)) for what in ("opened", "closed")),
        # An increased authorization changes the amount of the charge.
        EventType(type="payment_intent.amount_capturable_updated", path=("latest_charge",)),
    ),
    references=(
        Reference(column="balance_transaction", report="balance_transactions", amount="amount_captured"),
        Reference(column="customer", report="customers", deletable=True),
    ),
    default_method="merge",
    permissions=("rak_charge_read",),
    options=(
        Option(name="customer", pattern="id", description="Only charges of this customer."),
        Option(name="payment_intent", pattern="id", description="Only charges of this payment intent."),
        Option(name="transfer_group", pattern="id", description="Only charges of this transfer group."),
    ),
    notes=(
        "payment_method_details contains the details of every payment method; the card columns repeat part of it.",
        "Refunds is a separate report; amount_refunded is the sum of a charge's refunds.",
    ),
)

CUSTOMERS = Report(
    key="customers",
    title="Customers",
    description="The people and companies who pay you, with their addresses, balances and settings.",
    source=Listing(path="/v1/customers", object="customer", hides="test_clock"),
    columns=declared("customer", money={"balance": "currency"}),
    not_money=frozenset({"next_invoice_sequence"}),
    events=(
        *(EventType(type=f"customer.{what}") for what in ("created", "updated", "deleted")),
        *(
            EventType(type=f"customer.{what}", path=("customer",))
            for what in (
                "source.created",
                "source.updated",
                "source.deleted",
                "source.expiring",
                "tax_id.created",
                "tax_id.updated",
                "tax_id.deleted",
                "discount.created",
                "discount.updated",
                "discount.deleted",
            )
        ),
    ),
    default_method="merge",
    permissions=("rak_customer_read",),
    notes=(
        "Stripe does not list deleted customers.",
        "A balance above zero is added to the customer's next invoice; one below zero is credited to it.",
    ),
)

EVENTS = Report(
    key="events",
    title="Events",
    description="Events in the account, as recorded by Stripe; Stripe keeps them for 30 days.",
    source=Listing(path="/v1/events", object="event"),
    columns=declared("event"),
    not_money=frozenset({"pending_webhooks"}),
    changes="immutable",
    default_method="merge",
    permissions=("rak_event_read",),
    options=(
        Option(name="type", pattern="id", description="Only events of this type, such as charge.failed."),
        Option(
            name="delivery_success",
            choices=("true", "false"),
            drifts=True,
            description="Only events with all webhooks delivered (true), or with some not delivered (false).",
        ),
    ),
    notes=(
        "Merge keeps events longer than Stripe does; replace keeps only the last 30 days.",
        "data_object has the format of api_version, the account's API version at the time of the event.",
    ),
)

REFUNDS = Report(
    key="refunds",
    title="Refunds",
    description="Money returned to customers, newest first.",
    source=Listing(path="/v1/refunds", object="refund"),
    columns=declared("refund", money={"amount": "currency", **_PRESENTMENT}),
    events=(
        *(EventType(type=f"refund.{what}") for what in ("created", "updated", "failed")),
        EventType(type="charge.refund.updated"),
    ),
    references=(
        Reference(column="charge", report="charges"),
        Reference(column="balance_transaction", report="balance_transactions", amount="amount", sign=-1),
        Reference(column="failure_balance_transaction", report="balance_transactions", amount="amount"),
    ),
    default_method="merge",
    permissions=("rak_charge_read",),
    options=(
        Option(name="charge", pattern="id", description="Only refunds of this charge."),
        Option(name="payment_intent", pattern="id", description="Only refunds of this payment intent."),
    ),
    notes=("A refund's status can change days later.",),
)
