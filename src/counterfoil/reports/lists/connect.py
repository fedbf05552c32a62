"""The account itself, and money that moves between accounts or out of Stripe."""

from __future__ import annotations

from counterfoil.columns.column import Column, with_earlier_name
from counterfoil.columns.declared import declared, united, with_money
from counterfoil.reports.report import EventType, Listing, Reference, Report, Singleton, Union

ACCOUNT = Report(
    key="account",
    title="Account Description",
    description="The Stripe account that the key belongs to: its business, settings and requirements, in one row.",
    source=Singleton(path="/v1/account", object="account", lists=("external_accounts",)),
    columns=declared(
        "account",
        money={
            "business_profile_annual_revenue_amount": "business_profile_annual_revenue_currency",
            "business_profile_monthly_estimated_revenue_amount": "business_profile_monthly_estimated_revenue_currency",
        },
    ),
    not_money=frozenset(
        {
            "business_profile_estimated_worker_count",
            "company_registration_date_day",
            "company_registration_date_month",
            "company_registration_date_year",
            "settings_payouts_schedule_delay_days",
            "settings_payouts_schedule_monthly_anchor",
        }
    ),
    created=None,
    order=("id",),
    changes="snapshot",
    methods=("replace", "append"),
    permissions=("rak_accounts_kyc_basic_read",),
    notes=("capabilities is one JSON column; settings_dashboard_timezone is the time zone of Stripe's own reports.",),
)

APPLICATION_FEES = Report(
    key="application_fees",
    title="Application Fees",
    description="Your platform's fees on payments to connected accounts; empty for other accounts.",
    source=Listing(path="/v1/application_fees", object="application_fee", lists=("refunds",)),
    columns=declared("application_fee", money=dict.fromkeys(("amount", "amount_refunded"), "currency")),
    events=(
        EventType(type="application_fee.created"),
        EventType(type="application_fee.refunded"),
        EventType(type="application_fee.refund.updated", path=("fee",)),
    ),
    references=(Reference(column="balance_transaction", report="balance_transactions", amount="amount"),),
    default_method="merge",
    permissions=("rak_application_fee_read",),
    notes=("refunds contains every refund of the fee.",),
)

RECIPIENTS = Report(
    key="recipients",
    title="Recipients (DEPRECATED)",
    description="Third-party payees from the time before connected accounts; retired by Stripe.",
    source=Listing(
        path="/v1/recipients",
        created=None,
        lists=("cards",),
        # The last API version with recipients in its reference; the OpenAPI spec dropped them on 2022-08-01.
        api_version="2020-08-27",
        retired=frozenset({400, 403, 404}),
    ),
    columns=with_money(
        "recipient",
        (
            Column(name="id", type="string", path=("id",)),
            Column(name="created", type="timestamp", path=("created",)),
            Column(name="active_account", type="json", path=("active_account",)),
            Column(name="cards", type="json", path=("cards",)),
            Column(name="default_card", type="id", path=("default_card",)),
            Column(name="description", type="string", path=("description",)),
            Column(name="email", type="string", path=("email",)),
            Column(name="livemode", type="boolean", path=("livemode",)),
            Column(name="metadata", type="json", path=("metadata",)),
            Column(name="migrated_to", type="id", path=("migrated_to",)),
            Column(name="name", type="string", path=("name",)),
            Column(name="object", type="string", path=("object",)),
            Column(name="type", type="string", path=("type",)),
            Column(name="verified", type="boolean", path=("verified",)),
        ),
        {},
    ),
    created=None,
    changes="reread",
    methods=("replace", "append", "merge"),
    notes=("retired by Stripe, use connected accounts",),
)

TRANSFERS = Report(
    key="transfers",
    title="Transfers",
    description="Money that left your balance: transfers to connected accounts, and payouts to banks and cards.",
    source=Union(
        listings={
            "transfer": Listing(path="/v1/transfers", object="transfer", lists=("reversals",)),
            "payout": Listing(path="/v1/payouts", object="payout"),
        }
    ),
    columns=(
        *with_earlier_name(
            Column(
                name="_kind",
                type="string",
                path=("_kind",),
                description="transfer: to a connected account; payout: to a bank account or card",
            ),
            "kind",
        ),
        *united(
            declared("transfer", money=dict.fromkeys(("amount", "amount_reversed"), "currency")),
            declared("payout", money=dict.fromkeys(("amount", "application_fee_amount"), "currency")),
        ),
    ),
    events=(
        *(EventType(type=f"transfer.{what}", kind="transfer") for what in ("created", "updated", "reversed")),
        *(
            EventType(type=f"payout.{what}", kind="payout")
            for what in ("created", "updated", "paid", "failed", "canceled", "reconciliation_completed")
        ),
    ),
    references=(
        Reference(column="balance_transaction", report="balance_transactions", amount="amount", sign=-1),
        Reference(column="failure_balance_transaction", report="balance_transactions", amount="amount"),
    ),
    default_method="merge",
    permissions=("rak_transfer_read", "rak_payout_read"),
    notes=(
        "Before 2017-04-06 Stripe listed both together, and payouts from that time have ids that begin with tr_.",
        "A failed payout can have the status paid for some days.",
    ),
)
