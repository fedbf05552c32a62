"""Checks whether the movements add up to Stripe's balance, for each currency and each balance type.

Stripe's balance at an instant is its current balance less the movements since then, so both sides cover the same
movements. Parts of each balance type: https://docs.stripe.com/api/balance/balance_object, and `balance_type` in
https://docs.stripe.com/api/balance_transactions/object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterfoil.columns.column import Column
from counterfoil.errors import StripeUnavailable
from counterfoil.proof.check import Check, counted, judged, not_applicable
from counterfoil.proof.stripe_requests import StripeRequests
from counterfoil.proof.table_queries import Ask, rows
from counterfoil.reports.report import Listing, Report
from counterfoil.values import Window

#: Amounts in minor units by balance type and currency.
Sums = Mapping[str, Mapping[str, int]]

#: The parts of each balance type. All other amounts in the balance repeat these, or are not sums of movements.
PARTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "payments": (("available",), ("pending",)),
    "issuing": (("issuing", "available"),),
    "refund_and_dispute_prefunding": (
        ("refund_and_dispute_prefunding", "available"),
        ("refund_and_dispute_prefunding", "pending"),
    ),
}
#: Amounts that are shown but never added.
SHOWN = ("connect_reserved", "instant_available", "risk_reserved")
#: Maximum number of attempts to read a balance that does not change in the meantime.
MOST_LOOKS = 3
#: Maximum number of pages of new movements; beyond it, the table must be updated first.
_MOST_PAGES = 50
_NEEDED = ("net", "currency", "balance_type", "created")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Stripe's balance at an instant."""

    at: int
    sums: Sums
    #: The only currency that the sums cover; None for all.
    currency: str | None = None
    #: The latest balance returned by Stripe.
    stripe_balance: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The form in which a check stores the snapshot for the checks of later runs."""
        return {
            "at": self.at,
            "currency": self.currency,
            "held": {kind: dict(amounts) for kind, amounts in self.sums.items()},
            "told": self.stripe_balance,
        }


def is_moved(report: Report) -> bool:
    """Whether the report's rows are the movements of the balance."""
    return isinstance(report.source, Listing) and report.source.path == "/v1/balance_transactions"


def lacks(columns: Iterable[Column]) -> list[str]:
    """Columns that the sums need but that are left out or hashed."""
    types = {column.name: column.type for column in columns}
    wanted = {"net": "integer", "created": "timestamp"}
    return [name for name in _NEEDED if types.get(name) != wanted.get(name, "string")]


def snapshot(inquiry: StripeRequests, at: int, params: Mapping[str, str]) -> Snapshot | None:
    """Stripe's balance at the instant. The balance is read before and after the newest movements.

    `params` filter the movements. None if the balance changed during each attempt.
    """
    before = inquiry.get("/v1/balance")
    for _ in range(MOST_LOOKS):
        since = moved_since(inquiry, at, params)
        latest = inquiry.get("/v1/balance")
        # Amounts that become available in the meantime change the balance's lists, but not their sum.
        if held(latest) == held(before):
            return Snapshot(
                at=at, sums=_less(held(latest), since), stripe_balance=shown(latest), currency=params.get("currency")
            )
        if not inquiry.affords(2):
            return None
        before = latest
    return None


def moved_since(inquiry: StripeRequests, at: int, params: Mapping[str, str]) -> Sums:
    """Sums of the movements since the instant."""
    sums: dict[str, dict[str, int]] = {}
    listed = inquiry.pages(Listing(path="/v1/balance_transactions", object="balance_transaction"), Window(at), params)
    for number, page in enumerate(listed, 1):
        if number > _MOST_PAGES:
            raise StripeUnavailable(
                f"more than {_MOST_PAGES * 100:,} movements since the run", hint="Run the dataset, then check it again."
            )
        for one in page.objects:
            currency, net = money_of(one, "net")
            amounts = sums.setdefault(str(one.get("balance_type")), {})
            amounts[currency] = amounts.get(currency, 0) + net
    return sums


def held(balance: Mapping[str, Any]) -> Sums:
    """Stripe's balance by type and currency."""
    sums: dict[str, dict[str, int]] = {}
    for kind, places in PARTS.items():
        amounts = sums.setdefault(kind, {})
        for entry in (entry for place in places for entry in _entries(balance, place)):
            currency, amount = money_of(entry, "amount")
            amounts[currency] = amounts.get(currency, 0) + amount
    return sums


def shown(balance: Mapping[str, Any]) -> dict[str, Any]:
    """The balance as it is stored: each of its lists, by currency."""
    places = [place for places in PARTS.values() for place in places] + [(name,) for name in SHOWN]
    lists = {".".join(place): dict(money_of(one, "amount") for one in _entries(balance, place)) for place in places}
    return {name: amounts for name, amounts in lists.items() if amounts}


def money_of(one: Mapping[str, Any], name: str) -> tuple[str, int]:
    """Currency and amount of an object from Stripe; StripeUnavailable if one of them is missing."""
    currency, amount = one.get("currency"), one.get(name)
    if not isinstance(currency, str) or type(amount) is not int:
        raise StripeUnavailable(f"Stripe's response has an entry without {name} or currency", hint="Try again later.")
    return currency, amount


def summed(ask: Ask, source: str, *, since: int | None, until: int) -> Sums:
    """Sums of the table's movements created in `[since, until)`."""
    bounds = [f"created < to_timestamp({until})"] + ([] if since is None else [f"created >= to_timestamp({since})"])
    sums: dict[str, dict[str, int]] = {}
    within = " AND ".join(bounds)
    sql = f"SELECT balance_type, currency, sum(net) AS net FROM {source} AS held WHERE {within} GROUP BY 1, 2"  # noqa: S608 - quoted
    for row in rows(ask, sql):
        sums.setdefault(str(row["balance_type"]), {})[str(row["currency"])] = row["net"] or 0
    return sums


def check_balance(name: str, computed: Sums, now: Snapshot, *, then: Snapshot | None = None) -> Check:
    """Compares the table's sums of one type with Stripe's balance, or with its change since an earlier snapshot."""
    stripe = dict(now.sums.get(name, {}))
    if then is not None:
        for code, amount in then.sums.get(name, {}).items():
            stripe[code] = stripe.get(code, 0) - amount
    table = dict(computed.get(name, {}))
    codes = sorted(stripe.keys() | table.keys()) if now.currency is None else [now.currency]
    figures: dict[str, Any] = {
        "before": now.at,
        "since": None if then is None else then.at,
        "currencies": {code: {"table": table.get(code, 0), "stripe": stripe.get(code, 0)} for code in codes},
    }
    if name == "payments":
        figures["told"] = now.stripe_balance
        figures["not_added"] = {kind: dict(amounts) for kind, amounts in computed.items() if kind not in PARTS}
    if not any(table.get(code) or stripe.get(code) for code in codes):
        return not_applicable("balance", name, f"Neither Stripe nor the table has any amount in {name}.", figures)
    differences = [
        {
            "currency": code,
            "table_minor": table.get(code, 0),
            "stripe_minor": stripe.get(code, 0),
            "difference_minor": table.get(code, 0) - stripe.get(code, 0),
        }
        for code in codes
        if table.get(code, 0) != stripe.get(code, 0)
    ]
    what = "Stripe's balance" if then is None else "the change of Stripe's balance since an earlier run"
    currencies = counted(len(codes), "currency", "currencies")
    return judged(
        "balance",
        name,
        f"The movements add up to {what} in {currencies}.",
        f"The movements do not add up to {what} in {len(differences)} of {currencies}.",
        figures,
        differences,
    )


def earlier(
    kept: Sequence[Mapping[str, Any]], *, since: int | None, until: int, currency: str | None
) -> Snapshot | None:
    """The oldest snapshot of earlier checks in the window, which allows the longest comparison."""
    same = [one for one in kept if one["currency"] == currency]
    fitting = [one for one in same if one["at"] < until and (since is None or one["at"] >= since)]
    if not fitting:
        return None
    oldest = min(fitting, key=lambda one: int(one["at"]))
    return Snapshot(at=oldest["at"], sums=oldest["held"], stripe_balance=oldest["told"], currency=currency)


def _entries(balance: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    found: Any = balance
    for name in place:
        found = found.get(name) if isinstance(found, Mapping) else None
    yield from (one for one in found or () if isinstance(one, Mapping))


def _less(sums: Sums, others: Sums) -> Sums:
    left = {kind: dict(amounts) for kind, amounts in sums.items()}
    for kind, amounts in others.items():
        for code, amount in amounts.items():
            left.setdefault(kind, {})
            left[kind][code] = left[kind].get(code, 0) - amount
    return left
