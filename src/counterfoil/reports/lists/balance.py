"""The Stripe balance of the account, and its movements."""

from __future__ import annotations

from counterfoil.columns.column import Column, with_earlier_name
from counterfoil.columns.declared import declared
from counterfoil.reports.report import Bucket, Listing, Option, Pending, Reference, Report, Singleton

_AMOUNTS = ("amount", "source_types_bank_account", "source_types_card", "source_types_fpx")

BALANCE = Report(
    key="balance",
    title="Balance",
    description="Your current Stripe balance: one row per bucket, state and currency.",
    source=Singleton(
        path="/v1/balance",
        object="balance",
        buckets=(
            Bucket(bucket="available", state="available", path=("available",)),
            Bucket(bucket="pending", state="pending", path=("pending",)),
            Bucket(bucket="connect_reserved", state="reserved", path=("connect_reserved",)),
            Bucket(bucket="instant_available", state="available", path=("instant_available",)),
            Bucket(bucket="issuing", state="available", path=("issuing", "available")),
            Bucket(
                bucket="refund_and_dispute_prefunding",
                state="available",
                path=("refund_and_dispute_prefunding", "available"),
            ),
            Bucket(
                bucket="refund_and_dispute_prefunding",
                state="pending",
                path=("refund_and_dispute_prefunding", "pending"),
            ),
        ),
    ),
    columns=(
        *with_earlier_name(
            Column(
                name="_bucket",
                type="string",
                path=("_bucket",),
                description="The list in the balance that contains the row",
            ),
            "bucket",
        ),
        *with_earlier_name(
            Column(
                name="_state",
                type="string",
                path=("_state",),
                description="Whether the amount is available, pending or reserved",
            ),
            "state",
        ),
        *declared(
            "balance_amount",
            money=dict.fromkeys(_AMOUNTS, "currency"),
            also=(
                Column(name="livemode", type="boolean", path=("livemode",)),
                Column(name="object", type="string", path=("object",)),
            ),
        ),
    ),
    primary_key=("_bucket", "_state", "currency"),
    created=None,
    order=("_bucket", "_state", "currency"),
    changes="snapshot",
    methods=("replace", "append"),
    default_method="append",
    permissions=("rak_balance_read",),
    notes=(
        "Each run reads the balance at that time; append keeps the rows of all runs, identified by _run.",
        "Money in instant_available is also in available or pending, so the buckets do not add up to one total.",
    ),
)

BALANCE_TRANSACTIONS = Report(
    key="balance_transactions",
    title="Balance History",
    description="Each movement of your Stripe balance: payments, fees, refunds, transfers, payouts.",
    source=Listing(path="/v1/balance_transactions", object="balance_transaction"),
    columns=declared("balance_transaction", money=dict.fromkeys(("amount", "fee", "net"), "currency")),
    changes="pending",
    pending=Pending(column="status", value="pending", due="available_on"),
    default_method="merge",
    references=(
        Reference(column="source", report="charges", of_type="charge"),
        Reference(column="source", report="refunds", of_type="refund"),
        Reference(column="source", report="transfers", of_type="payout"),
    ),
    permissions=("rak_balance_transaction_source_read",),
    options=(
        Option(name="currency", pattern="currency", description="Only movements in this currency."),
        Option(name="type", pattern="id", description="Only movements of this type, such as charge or payout."),
        Option(
            name="payout", pattern="id", drifts=True, description="Only movements paid out by this automatic payout."
        ),
    ),
    notes=(
        "Only the status of a movement changes: pending becomes available after available_on.",
        "exchange_rate converts the amount of the source to this amount, both in minor units.",
    ),
)
