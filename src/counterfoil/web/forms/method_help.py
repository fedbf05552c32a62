"""What each update method does, in a sentence, and what that means for a report, in another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from counterfoil.app.datasets.drafts import ReportOptions

TITLES = {"replace": "Replace", "append": "Append", "merge": "Merge", "partition": "Partition"}
_DOES = {
    "replace": "Exchanges the whole table in one step.",
    "append": "Adds a snapshot with each run and never touches those before; _run tells them apart.",
    "merge": "Adds and changes rows by their key, and marks those that Stripe no longer has.",
    "partition": "Replaces the newest days, weeks or months of the table, and leaves older rows as they are.",
}
_MEANS_THERE = {
    ("replace", "balance"): "The table holds the balance of this moment and nothing of before.",
    ("append", "balance"): "A few rows for each run: the course of the balance over time.",
    ("replace", "events"): "The table holds the last 30 days, which is all that Stripe keeps.",
    ("merge", "events"): "The table keeps events for longer than Stripe does: it only ever grows.",
    ("replace", "account"): "The table always has the one row of now.",
    ("append", "account"): "One row for each run: how the account changed over time.",
    ("replace", "upcoming_invoices"): "The table holds what will be invoiced next, as previewed by the last run.",
    ("append", "upcoming_invoices"): "The table shows how the forecast changed from run to run.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodHelp:
    """An update method as the form offers it."""

    value: str
    title: str
    does: str
    means: str
    is_default: bool


def method_help(offer: ReportOptions) -> Iterator[MethodHelp]:
    """The methods that the report permits."""
    for method in offer.methods:
        yield MethodHelp(
            value=method,
            title=TITLES[method],
            does=_DOES[method],
            means=_MEANS_THERE.get((method, offer.key)) or _means(method, offer),
            is_default=method == offer.default_method,
        )


#: What a merge reads after its first run, by how changes of the report are found.
_READS = {
    "events": "what Stripe’s events tell of, and now and then everything",
    "parents": "what Stripe’s events tell of, and now and then everything",
    "pending": "what is new or was pending, and now and then everything",
    "immutable": "only what is new",
}


def _means(method: str, offer: ReportOptions) -> str:
    title = offer.title
    if method == "replace":
        return f"For {title}: what the table says is what Stripe said at the last run; each run reads all of it."
    if method == "append":
        return f"For {title}: every run adds all rows again, so the table grows quickly; ask for the newest _run."
    if method == "merge":
        reads = _READS.get(offer.changes, "all of it")
        return f"For {title}: rows that are gone stay, with _deleted set; each run reads {reads}."
    return f"For {title}: the quickest, since only that period is read; later changes of older rows are not seen."
