"""Balance transactions, payouts, transfers and application fees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_sandbox.company import ledger
from stripe_sandbox.company import tables as t
from stripe_sandbox.company.money import ARRIVAL_DAYS, CURRENCIES
from stripe_sandbox.objects.json import Json, nested

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

_SOURCES = {ledger.TOPUP: "topup", ledger.ISSUING: "issuing"}
APPLICATION = "ca_SandboxPlatformApplication000001"


def balance_transaction(world: World, n: int) -> Json:
    table, ids = world.transactions, world.ids
    kind = ledger.KINDS[table.kind[n]]
    currency, fee, source = CURRENCIES[table.currency[n]], table.fee[n], table.source[n]
    family = kind.source or _SOURCES.get(table.kind[n])
    details = [
        {
            "amount": fee,
            "application": None,
            "currency": currency,
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    return {
        "id": ids["balance_transaction"].of(n),
        "object": "balance_transaction",
        "amount": table.amount[n],
        "available_on": table.available_on[n],
        "balance_type": kind.balance,
        "created": table.created[n],
        "currency": currency,
        "description": _description(world, table.kind[n], source),
        "exchange_rate": None,
        "fee": fee,
        "fee_details": details if fee else [],
        "net": table.amount[n] - fee,
        "reporting_category": kind.category,
        "source": ids[family].of(source) if family else None,
        "status": "available" if table.available_on[n] <= world.now else "pending",
        "type": transaction_type(world, n),
    }


def transaction_type(world: World, n: int) -> str:
    """Stripe's type; bank debits are payments, not charges."""
    code, source = world.transactions.kind[n], world.transactions.source[n]
    if code == ledger.CHARGE and world.charges.method[source]:
        return "payment"
    if code == ledger.REFUND and world.charges.method[world.refunds.charge[source]]:
        return "payment_refund"
    return ledger.KINDS[code].type


def _description(world: World, kind: int, source: int) -> str | None:
    if kind == ledger.CHARGE:
        return "Subscription update" if world.charges.invoice[source] >= 0 else f"Order {1000000 + source}"
    if kind == ledger.PAYOUT:
        return "STRIPE PAYOUT"
    if kind == ledger.STRIPE_FEE:
        return "Billing - Usage Fee"
    return None


def payout(world: World, n: int) -> Json:
    table, ids = world.payouts, world.ids
    status, created = table.status[n], table.created[n]
    failed = status == t.PAYOUT_FAILED
    return {
        "id": ids["payout"].of(n),
        "object": "payout",
        "amount": table.amount[n],
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": (created + ARRIVAL_DAYS[table.currency[n]] * 86400) // 86400 * 86400,
        "automatic": True,
        "balance_transaction": ids["balance_transaction"].of(table.transaction[n]),
        "created": created,
        "currency": CURRENCIES[table.currency[n]],
        "description": "STRIPE PAYOUT",
        "destination": f"ba_1Sandbox{CURRENCIES[table.currency[n]].upper()}0000000001",
        "failure_balance_transaction": ids["balance_transaction"].of(table.failure_transaction[n]) if failed else None,
        "failure_code": "account_closed" if failed else None,
        "failure_message": "The bank account has been closed." if failed else None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "completed",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": t.PAYOUT_STATUSES[status],
        "trace_id": None,
        "type": "bank_account",
    }


def transfer(world: World, n: int) -> Json:
    table, ids = world.transfers, world.ids
    id_, reversals = ids["transfer"].of(n), reversals_of(world, n)
    returned = sum(reversal["amount"] for reversal in reversals)
    return {
        "id": id_,
        "object": "transfer",
        "amount": table.amount[n],
        "amount_reversed": returned,
        "balance_transaction": ids["balance_transaction"].of(table.transaction[n]),
        "created": table.created[n],
        "currency": CURRENCIES[table.currency[n]],
        "description": f"Share of month {n % 12 + 1}" if n % 2 else None,
        "destination": ids["account"].of(1 + table.account[n]),
        "destination_payment": "py_" + id_[3:],
        "livemode": False,
        "metadata": {},
        "reversals": nested(f"/v1/transfers/{id_}/reversals", reversals),
        "reversed": returned == table.amount[n],
        "source_transaction": None,
        "source_type": "card",
        "transfer_group": f"GROUP_{n % 9}" if n % 3 == 0 else None,
    }


def transfer_reversal(world: World, n: int) -> Json:
    table, ids = world.reversals, world.ids
    owner = table.of[n]
    return {
        "id": ids["transfer_reversal"].of(n),
        "object": "transfer_reversal",
        "amount": table.amount[n],
        "balance_transaction": ids["balance_transaction"].of(table.transaction[n]),
        "created": table.created[n],
        "currency": CURRENCIES[world.transfers.currency[owner]],
        "destination_payment_refund": None,
        "metadata": {},
        "source_refund": None,
        "transfer": ids["transfer"].of(owner),
    }


def reversals_of(world: World, n: int) -> list[Json]:
    """All reversals of a transfer, newest first."""
    return [transfer_reversal(world, i) for i in reversed(world.transfers.refunds.get(n, ()))]


def application_fee(world: World, n: int) -> Json:
    table, ids = world.fees, world.ids
    id_, refunds, charge = ids["application_fee"].of(n), fee_refunds_of(world, n), table.charge[n]
    returned = sum(one["amount"] for one in refunds)
    return {
        "id": id_,
        "object": "application_fee",
        "account": ids["account"].of(1 + table.account[n]),
        "amount": table.amount[n],
        "amount_refunded": returned,
        "application": APPLICATION,
        "balance_transaction": ids["balance_transaction"].of(table.transaction[n]),
        "charge": ids["charge"].of(charge),
        "created": table.created[n],
        "currency": CURRENCIES[world.charges.currency[charge]],
        "fee_source": {"charge": ids["charge"].of(charge), "type": "charge"},
        "livemode": False,
        "originating_transaction": None,
        "refunded": returned == table.amount[n],
        "refunds": nested(f"/v1/application_fees/{id_}/refunds", refunds),
    }


def fee_refund(world: World, n: int) -> Json:
    table, ids = world.fee_refunds, world.ids
    owner = table.of[n]
    return {
        "id": ids["fee_refund"].of(n),
        "object": "fee_refund",
        "amount": table.amount[n],
        "balance_transaction": ids["balance_transaction"].of(table.transaction[n]),
        "created": table.created[n],
        "currency": CURRENCIES[world.charges.currency[world.fees.charge[owner]]],
        "fee": ids["application_fee"].of(owner),
        "metadata": {},
    }


def fee_refunds_of(world: World, n: int) -> list[Json]:
    """All refunds of an application fee, newest first."""
    return [fee_refund(world, i) for i in reversed(world.fees.refunds.get(n, ()))]
