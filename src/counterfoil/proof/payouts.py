"""Checks whether each automatic payout equals the sum of its movements.

Stripe lists the movements of payouts with completed reconciliation:
https://docs.stripe.com/api/balance_transactions/list (`payout`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from counterfoil.destinations.sql.text import literal
from counterfoil.extract.streams import chunked
from counterfoil.proof.balance import money_of
from counterfoil.proof.check import Check, counted, judged, not_applicable
from counterfoil.proof.stripe_requests import StripeRequests
from counterfoil.proof.table_queries import Ask, one, rows
from counterfoil.reports.report import Listing, Report, Union
from counterfoil.values import Window

#: Default number of newest payouts to check.
NEWEST = 30
#: Columns that are needed to identify payouts in a table, unhashed.
NEEDED: Mapping[str, str] = {
    "amount": "integer",
    "automatic": "boolean",
    "created": "timestamp",
    "currency": "string",
    "kind": "string",
    "reconciliation_status": "string",
}
_IDS_AT_A_TIME = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """A payout with its amount."""

    id: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Movements:
    """The movements of a payout by Stripe's list: ids and amounts, without the payout's own movement."""

    nets: Mapping[str, int]


def has_payouts(report: Report) -> bool:
    """Whether the report's table contains payouts."""
    return isinstance(report.source, Union) and "payout" in report.source.listings


def in_table(ask: Ask, source: str, newest: int) -> list[Payout]:
    """The newest reconciled automatic payouts of the table."""
    sql = (
        f"SELECT id, currency, amount FROM {source} AS held WHERE _kind = 'payout' AND automatic "  # noqa: S608 - quoted
        f"AND reconciliation_status = 'completed' ORDER BY created DESC, id DESC LIMIT {int(newest)}"
    )
    return [Payout(**row) for row in rows(ask, sql)]


def at_stripe(inquiry: StripeRequests, newest: int, *, until: int) -> list[Payout]:
    """The newest reconciled automatic payouts that Stripe lists, created before the instant."""
    with closing(_reconciled(inquiry, until)) as found:
        return list(islice(found, newest))


def _reconciled(inquiry: StripeRequests, until: int) -> Generator[Payout, None, None]:
    # One chain of pages, newest first. Reading stops at the page with the last payout needed.
    for page in inquiry.pages(
        Listing(path="/v1/payouts", object="payout", created=None), Window(), {"created[lt]": until}
    ):
        for payout in page.objects:
            if payout.get("automatic") and payout.get("reconciliation_status") == "completed":
                currency, amount = money_of(payout, "amount")
                yield Payout(id=str(payout.get("id")), currency=currency, amount=amount)


def movements(inquiry: StripeRequests, payout: str) -> Movements:
    """The movements of a payout by Stripe's list, which includes the return of an earlier failed payout."""
    nets = {
        str(each.get("id")): money_of(each, "net")[1]
        for page in inquiry.pages(
            Listing(path="/v1/balance_transactions", object="balance_transaction"), Window(), {"payout": payout}
        )
        for each in page.objects
        if each.get("source") != payout
    }
    return Movements(nets=nets)


def check_payouts(
    payouts: Sequence[Payout], of: Mapping[str, Movements], *, ask: Ask | None = None, source: str = "", table: str = ""
) -> Check:
    """Compares payouts with the sums of their movements; with `ask`, those in the table `source`, named `table`."""
    if not payouts:
        return not_applicable("payouts", "payouts", "There are no reconciled automatic payouts.")
    differences: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for payout in payouts:
        nets = of[payout.id].nets
        total, found = sum(nets.values()), len(nets)
        if ask is not None:
            total, found = _in_table(ask, source, list(nets))
        figures = {
            "payout": payout.id,
            "currency": payout.currency,
            "amount_minor": payout.amount,
            "movements_minor": total,
            "movements": len(nets),
        }
        shown.append(figures)
        if total != payout.amount or found != len(nets):
            differences.append(figures | ({"movements_in_the_table": found} if ask is not None else {}))
    return judged(
        "payouts",
        "payouts",
        f"Each of the newest {counted(len(payouts), 'payout')} equals the sum of its movements"
        + (f" in {table}." if ask is not None else "."),
        f"Of {counted(len(payouts), 'payout')}, {len(differences):,} differ from the sum of their movements"
        + (f" in {table}." if ask is not None else "."),
        {"payouts": shown},
        differences,
    )


def _in_table(ask: Ask, source: str, ids: Sequence[str]) -> tuple[int, int]:
    """Sum and number of the movements in the table."""
    total, count = 0, 0
    for some in chunked(ids, _IDS_AT_A_TIME):
        listed = ", ".join(literal(each) for each in some)
        sql = f"SELECT coalesce(sum(net), 0) AS net, count(*) AS n FROM {source} AS held WHERE id IN ({listed})"  # noqa: S608 - quoted
        found = one(ask, sql)
        total, count = total + found["net"], count + found["n"]
    return total, count
