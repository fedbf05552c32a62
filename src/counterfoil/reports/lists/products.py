"""Plans, coupons and discounts."""

from __future__ import annotations

from counterfoil.columns.declared import declared
from counterfoil.reports.event_types import DISCOUNTS_OF_CUSTOMERS
from counterfoil.reports.report import Collected, EventType, Listing, ObjectPath, Option, Parents, Reference, Report

COUPONS = Report(
    key="coupons",
    title="Coupons",
    description="Coupons, with their percentage or amount off.",
    source=Listing(path="/v1/coupons", object="coupon", expand=("data.applies_to", "data.currency_options")),
    columns=declared("coupon", money={"amount_off": "currency"}),
    not_money=frozenset({"duration_in_months", "max_redemptions", "times_redeemed"}),
    events=tuple(EventType(type=f"coupon.{what}") for what in ("created", "updated", "deleted")),
    changes="reread",
    default_method="merge",
    permissions=("rak_coupon_read",),
    notes=("Stripe does not list deleted coupons; times_redeemed changes without an event.",),
)

DISCOUNTS = Report(
    key="discounts",
    title="Discounts",
    description="Coupons applied to customers, subscriptions, invoices and their items.",
    source=Collected(
        places=(
            ObjectPath(
                listing=Listing(path="/v1/customers", object="customer", hides="test_clock"), at=(("discount",),)
            ),
            ObjectPath(
                listing=Listing(
                    path="/v1/subscriptions",
                    object="subscription",
                    params={"status": "all"},
                    expand=("data.discounts", "data.items.data.discounts"),
                    lists=("items",),
                    hides="test_clock",
                ),
                at=(("discounts", "*"), ("items", "data", "*", "discounts", "*")),
            ),
            ObjectPath(
                listing=Listing(
                    path="/v1/invoices",
                    object="invoice",
                    expand=("data.discounts", "data.lines.data.discounts", "data.total_discount_amounts.discount"),
                    lists=("lines",),
                ),
                at=(
                    ("discounts", "*"),
                    ("lines", "data", "*", "discounts", "*"),
                    ("total_discount_amounts", "*", "discount"),
                ),
            ),
            ObjectPath(
                listing=Listing(
                    path="/v1/invoiceitems", object="invoiceitem", created="date", expand=("data.discounts",)
                ),
                at=(("discounts", "*"),),
            ),
        )
    ),
    columns=declared("discount"),
    created=None,
    order=("-start", "-id"),
    events=DISCOUNTS_OF_CUSTOMERS,
    changes="parents",
    parents=Parents(column="customer", param="customer", path="/v1/customers"),
    references=(Reference(column="customer", report="customers", deletable=True),),
    methods=("replace", "append", "merge"),
    default_method="merge",
    permissions=("rak_customer_read", "rak_subscription_read", "rak_invoice_read"),
    notes=(
        "Stripe has no list of discounts; they are collected from the objects that they apply to.",
        "A discount that has ended is only found on the invoices that it reduced.",
    ),
)

PLANS = Report(
    key="plans",
    title="Plans",
    description="Recurring prices, with their amounts, intervals and tiers.",
    source=Listing(path="/v1/plans", object="plan", expand=("data.tiers",)),
    columns=declared("plan", money={"amount": "currency"}),
    not_money=frozenset({"interval_count", "transform_usage_divide_by", "trial_period_days"}),
    events=tuple(EventType(type=f"plan.{what}") for what in ("created", "updated", "deleted")),
    changes="reread",
    default_method="merge",
    permissions=("rak_plan_read",),
    options=(
        Option(name="active", choices=("true", "false"), description="Only active (true) or inactive (false) plans."),
        Option(name="product", pattern="id", description="Only plans of this product."),
    ),
    notes=(
        "One-time prices are not plans.",
        "amount is null for prices with tiers, and for prices with fractions of a minor unit (see amount_decimal).",
    ),
)
