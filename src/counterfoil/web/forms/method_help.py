"""Help texts of the update methods, in general and for a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from counterfoil.app.datasets.drafts import ReportOptions

TITLES = {"replace": "Replace", "append": "Append", "merge": "Merge", "partition": "Partition"}
_DOES = {
    "replace": "Replaces the whole table.",
    "append": "Adds a snapshot with each run; the column _run identifies it. Earlier snapshots stay unchanged.",
    "merge": "Adds and updates rows by key, and marks rows that were deleted at Stripe.",
    "partition": "Replaces the newest days, weeks or months of the table. Older rows stay unchanged.",
}
_MEANS_THERE = {
    ("replace", "balance"): "The table holds the current balance only.",
    ("append", "balance"): "Each run adds a few rows: the balance over time.",
    ("replace", "events"): "The table holds the last 30 days; Stripe deletes older events.",
    ("merge", "events"): "The table keeps events longer than Stripe does: it only grows.",
    ("replace", "account"): "The table holds one row with the current account.",
    ("append", "account"): "Each run adds one row: the account over time.",
    ("replace", "upcoming_invoices"): "The table holds the next invoices as previewed by the last run.",
    ("append", "upcoming_invoices"): "The table shows how the forecast changed from run to run.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodHelp:
    """An update method with its help texts."""

    value: str
    title: str
    does: str
    means: str
    is_default: bool


def method_help(offer: ReportOptions) -> Iterator[MethodHelp]:
    """The update methods of the report."""
    for method in offer.methods:
        yield MethodHelp(
            value=method,
            title=TITLES[method],
            does=_DOES[method],
            means=_MEANS_THERE.get((method, offer.key)) or _means(method, offer),
            is_default=method == offer.default_method,
        )


#: The rows that a merge reads after its first run, by the way changes of the report are detected.
_READS = {
    "events": "changes reported by Stripe’s events, with a periodic full refresh",
    "parents": "changes reported by Stripe’s events, with a periodic full refresh",
    "pending": "new and pending rows, with a periodic full refresh",
    "immutable": "new rows only",
}


def _means(method: str, offer: ReportOptions) -> str:
    title = offer.title
    if method == "replace":
        return f"For {title}: each run is a full refresh; the table has the rows of the last run."
    if method == "append":
        return f"For {title}: each run adds all rows again, so the table grows quickly; query the newest _run."
    if method == "merge":
        reads = _READS.get(offer.changes, "all rows")
        return f"For {title}: deleted rows stay with _deleted set; each run reads {reads}."
    return f"For {title}: the fastest method, since it reads only this period; it misses later changes of older rows."
