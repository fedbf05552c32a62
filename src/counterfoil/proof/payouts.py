"""Whether each automatic payout is the sum of the movements that it paid out.

Stripe tells which these are for payouts whose reconciliation is completed:
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

#: How many of the newest payouts are looked at.
NEWEST = 30
#: Columns that tell payouts in a table, as they are.
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
    """A payout, and what it should come to."""

    id: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Movements:
    """What a payout paid out, by Stripe: the movements' ids with their amounts, the payout's own left out."""

    nets: Mapping[str, int]


def has_payouts(report: Report) -> bool:
    """Whether the table itself holds the payouts."""
    return isinstance(report.source, Union) and "payout" in report.source.listings


def in_table(ask: Ask, source: str, newest: int) -> list[Payout]:
    """The newest automatic payouts of the table that are reconciled."""
    sql = (
        f"SELECT id, currency, amount FROM {source} AS held WHERE _kind = 'payout' AND automatic "  # noqa: S608 - quoted
        f"AND reconciliation_status = 'completed' ORDER BY created DESC, id DESC LIMIT {int(newest)}"
    )
    return [Payout(**row) for row in rows(ask, sql)]


def at_stripe(inquiry: StripeRequests, newest: int, *, until: int) -> list[Payout]:
    """The newest automatic payouts that Stripe lists as reconciled, created before the instant."""
    with closing(_reconciled(inquiry, until)) as found:
        return list(islice(found, newest))


def _reconciled(inquiry: StripeRequests, until: int) -> Generator[Payout, None, None]:
    # One chain of pages, newest first, which ends with the page that has the last one wanted.
    for page in inquiry.pages(
        Listing(path="/v1/payouts", object="payout", created=None), Window(), {"created[lt]": until}
    ):
        for payout in page.objects:
            if payout.get("automatic") and payout.get("reconciliation_status") == "completed":
                currency, amount = money_of(payout, "amount")
                yield Payout(id=str(payout.get("id")), currency=currency, amount=amount)


def movements(inquiry: StripeRequests, payout: str) -> Movements:
    """By Stripe's own list of them. That an earlier payout failed and its money came back is one of them."""
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
    """Sums against payouts; with `ask` the movements are those of the table `source`, called `table`."""
    if not payouts:
        return not_applicable("payouts", "payouts", "There is no automatic payout that is reconciled.")
    differences: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
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
        told.append(figures)
        if total != payout.amount or found != len(nets):
            differences.append(figures | ({"movements_in_the_table": found} if ask is not None else {}))
    return judged(
        "payouts",
        "payouts",
        f"Each of the newest {counted(len(payouts), 'payout')} is the sum of its movements"
        + (f" in {table}." if ask is not None else "."),
        f"Of {counted(len(payouts), 'payout')}, not the sum of their movements: {len(differences):,}"
        + (f" in {table}." if ask is not None else "."),
        {"payouts": told},
        differences,
    )


def _in_table(ask: Ask, source: str, ids: Sequence[str]) -> tuple[int, int]:
    """Sum and number of the movements that the table has."""
    total, count = 0, 0
    for some in chunked(ids, _IDS_AT_A_TIME):
        listed = ", ".join(literal(each) for each in some)
        sql = f"SELECT coalesce(sum(net), 0) AS net, count(*) AS n FROM {source} AS held WHERE id IN ({listed})"  # noqa: S608 - quoted
        found = one(ask, sql)
        total, count = total + found["net"], count + found["n"]
    return total, count
