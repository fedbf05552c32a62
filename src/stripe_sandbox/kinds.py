"""The kinds of object that have a list endpoint, described as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_sandbox import filters as f
from stripe_sandbox.company import history
from stripe_sandbox.company import tables as t
from stripe_sandbox.company.charges import ACCOUNTS
from stripe_sandbox.objects import account, catalogue, charges, customers, events, invoices, money, subscriptions
from stripe_sandbox.objects.json import Json

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    #: Stripe's `object`.
    name: str
    path: str
    permission: str
    #: Creation times of all objects, ascending.
    created: Callable[[World], Sequence[int]]
    render: Callable[[World, int], Json]
    filters: Mapping[str, f.Filter] = field(default_factory=dict)
    #: The family of its ids, if it differs from `name`.
    family: str = ""
    time_field: str = "created"
    #: The time from which objects are retained.
    since: Callable[[World], int] | None = None
    #: Embedded lists by field; each function returns all entries.
    lists: Mapping[str, Callable[[World, int], list[Json]]] = field(default_factory=dict)
    #: Whether the list omits the object.
    hidden: Callable[[World, int], bool] | None = None
    #: Whether the object does not exist.
    absent: Callable[[World, int], bool] | None = None
    #: Whether the list accepts the parameter `created`.
    by_created: bool = True

    def index(self, world: World, id_: str) -> int | None:
        if self.name == "coupon":
            return world.catalogue.coupon_index(id_)
        n = world.ids[self.family or self.name].index(id_)
        if n is None or n >= len(self.created(world)) or (self.absent and self.absent(world, n)):
            return None
        return n

    def id_of(self, world: World, n: int) -> str:
        return world.catalogue.coupons[n].id if self.name == "coupon" else world.ids[self.family or self.name].of(n)


_NO_ACCOUNT_CUSTOMER = f.equal("customer_account")

KINDS: tuple[Kind, ...] = (
    Kind(
        name="account",
        path="/v1/accounts",
        permission="rak_accounts_kyc_basic_read",
        created=lambda w: [account.created(w, n) for n in range(ACCOUNTS + 1)],
        render=account.account,
        hidden=lambda _, n: n == 0,
    ),
    Kind(
        name="application_fee",
        path="/v1/application_fees",
        permission="rak_application_fee_read",
        created=lambda w: w.fees.created,
        render=money.application_fee,
        lists={"refunds": money.fee_refunds_of},
        filters={"charge": f.reference("charge", "charge", lambda w: w.fees.charge)},
    ),
    Kind(
        name="balance_transaction",
        path="/v1/balance_transactions",
        permission="rak_balance_transaction_source_read",
        created=lambda w: w.transactions.created,
        render=money.balance_transaction,
        filters={
            "currency": f.currency(lambda w: w.transactions.currency),
            "payout": f.payout(),
            "source": f.transaction_source(),
            "type": f.transaction_type(),
        },
    ),
    Kind(
        name="charge",
        path="/v1/charges",
        permission="rak_charge_read",
        created=lambda w: w.charges.created,
        render=charges.charge,
        filters={
            "customer": f.reference("customer", "customer", lambda w: w.charges.customer),
            "payment_intent": f.payment_intent(None),
            "transfer_group": f.equal("transfer_group"),
        },
    ),
    Kind(
        name="coupon",
        path="/v1/coupons",
        permission="rak_coupon_read",
        created=lambda w: w.catalogue.created[2],
        render=catalogue.coupon,
    ),
    Kind(
        name="customer",
        path="/v1/customers",
        permission="rak_customer_read",
        created=lambda w: w.customers.created,
        render=customers.customer,
        filters={"email": f.equal("email"), "test_clock": f.equal("test_clock")},
        hidden=lambda w, n: bool(w.customers.deleted[n]),
    ),
    Kind(
        name="dispute",
        path="/v1/disputes",
        permission="rak_dispute_read",
        created=lambda w: w.disputes.created,
        render=charges.dispute,
        filters={
            "charge": f.reference("charge", "charge", lambda w: w.disputes.charge),
            "payment_intent": f.payment_intent(lambda w: w.disputes.charge),
        },
    ),
    Kind(
        name="event",
        path="/v1/events",
        permission="rak_event_read",
        created=lambda w: w.events.created,
        render=events.event,
        filters={
            "type": f.event_type(several=False),
            "types": f.event_type(several=True),
            "delivery_success": f.Filter(lambda value: lambda _: value == "true"),
        },
        since=lambda w: w.now - history.KEPT_DAYS * 86400,
    ),
    Kind(
        name="invoice",
        path="/v1/invoices",
        permission="rak_invoice_read",
        created=lambda w: w.invoices.created,
        render=invoices.invoice,
        lists={"lines": invoices.lines_of},
        filters={
            "collection_method": f.choice("collection_method", ("charge_automatically", "send_invoice")),
            "customer": f.reference("customer", "customer", lambda w: w.invoices.customer),
            "customer_account": _NO_ACCOUNT_CUSTOMER,
            "due_date": f.between("due_date"),
            "status": f.choice("status", t.INVOICE_STATUSES, lambda w: w.invoices.status),
            "subscription": f.subscription(),
        },
    ),
    Kind(
        name="invoiceitem",
        path="/v1/invoiceitems",
        permission="rak_invoice_read",
        created=lambda w: w.invoice_items.created,
        render=invoices.invoice_item,
        time_field="date",
        filters={
            "customer": f.reference("customer", "customer", lambda w: w.invoice_items.customer),
            "customer_account": _NO_ACCOUNT_CUSTOMER,
            "invoice": f.reference("invoice", "invoice", lambda w: w.invoice_items.invoice),
            "pending": f.pending(lambda w: w.invoice_items.invoice),
        },
    ),
    Kind(
        name="invoice_payment",
        path="/v1/invoice_payments",
        permission="rak_invoice_read",
        created=lambda w: w.charges.created,
        render=invoices.invoice_payment,
        hidden=lambda w, n: w.charges.invoice[n] < 0,
        absent=lambda w, n: w.charges.invoice[n] < 0,
        filters={
            "invoice": f.reference("invoice", "invoice", lambda w: w.charges.invoice),
            "payment": f.Filter(lambda value: lambda one: value.items() <= one["payment"].items()),
            "status": f.choice("status", ("open", "paid", "canceled")),
        },
    ),
    Kind(
        name="payout",
        path="/v1/payouts",
        permission="rak_payout_read",
        created=lambda w: w.payouts.created,
        render=money.payout,
        filters={
            "arrival_date": f.between("arrival_date"),
            "destination": f.equal("destination"),
            "status": f.choice("status", ("pending", "paid", "failed", "canceled", "in_transit")),
        },
    ),
    Kind(
        name="plan",
        path="/v1/plans",
        permission="rak_plan_read",
        family="price",
        created=lambda w: w.catalogue.created[1],
        render=catalogue.plan,
        filters={"active": f.flag("active"), "product": f.equal("product")},
        hidden=lambda w, n: w.catalogue.prices[n].interval is None,
        absent=lambda w, n: w.catalogue.prices[n].interval is None,
    ),
    Kind(
        name="price",
        path="/v1/prices",
        permission="rak_plan_read",
        created=lambda w: w.catalogue.created[1],
        render=catalogue.price,
        filters={
            "active": f.flag("active"),
            "currency": f.equal("currency"),
            "lookup_keys": f.any_of("lookup_key"),
            "product": f.equal("product"),
            "recurring": f.Filter(lambda value: lambda one: value.items() <= (one["recurring"] or {}).items()),
            "type": f.choice("type", ("one_time", "recurring")),
        },
    ),
    Kind(
        name="product",
        path="/v1/products",
        permission="rak_product_read",
        created=lambda w: w.catalogue.created[0],
        render=catalogue.product,
        filters={
            "active": f.flag("active"),
            "ids": f.any_of("id"),
            "shippable": f.flag("shippable"),
            "url": f.equal("url"),
        },
    ),
    Kind(
        name="refund",
        path="/v1/refunds",
        permission="rak_charge_read",
        created=lambda w: w.refunds.created,
        render=charges.refund,
        filters={
            "charge": f.reference("charge", "charge", lambda w: w.refunds.charge),
            "payment_intent": f.payment_intent(lambda w: w.refunds.charge),
        },
    ),
    Kind(
        name="subscription",
        path="/v1/subscriptions",
        permission="rak_subscription_read",
        created=lambda w: w.subscriptions.created,
        render=subscriptions.subscription,
        lists={"items": subscriptions.items_of},
        filters={
            "automatic_tax": f.Filter(
                lambda value: lambda one: str(one["automatic_tax"]["enabled"]).lower() == value.get("enabled")
            ),
            "collection_method": f.choice("collection_method", ("charge_automatically", "send_invoice")),
            "current_period_end": f.between("items", "data", "current_period_end"),
            "current_period_start": f.between("items", "data", "current_period_start"),
            "customer": f.reference("customer", "customer", lambda w: w.subscriptions.customer),
            "customer_account": _NO_ACCOUNT_CUSTOMER,
            "plan": f.has_price(),
            "price": f.has_price(),
            "status": f.subscription_status(),
            "test_clock": f.equal("test_clock"),
        },
    ),
    Kind(
        name="subscription_schedule",
        path="/v1/subscription_schedules",
        permission="rak_subscription_read",
        created=lambda w: w.schedules.created,
        render=subscriptions.subscription_schedule,
        filters={
            "canceled_at": f.between("canceled_at"),
            "completed_at": f.between("completed_at"),
            "customer": f.reference("customer", "customer", lambda w: w.schedules.customer),
            "customer_account": _NO_ACCOUNT_CUSTOMER,
            "released_at": f.between("released_at"),
            "scheduled": f.Filter(lambda value: lambda one: str(one["status"] == "not_started").lower() == value),
        },
    ),
    Kind(
        name="transfer",
        path="/v1/transfers",
        permission="rak_transfer_read",
        created=lambda w: w.transfers.created,
        render=money.transfer,
        lists={"reversals": money.reversals_of},
        filters={"destination": f.equal("destination"), "transfer_group": f.equal("transfer_group")},
    ),
)


BY_NAME = {kind.name: kind for kind in KINDS}
BY_PATH = {kind.path: kind for kind in KINDS}
