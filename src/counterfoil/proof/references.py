"""Whether ids lead somewhere: what rows refer to in another table of the same destination is there, and agrees.

The two tables were read at different times. What a row says was so when it was read, so that the other table must have
what it refers to if that was read later; of newer rows nothing can be said without asking Stripe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.errors import RunError
from counterfoil.proof.check import MOST_DIFFERENCES, Check, counted, failed, inconclusive, passed
from counterfoil.proof.stripe_requests import StripeRequests
from counterfoil.proof.table_queries import Ask, one, rows, shortened
from counterfoil.reports.report import Listing, Reference, Report, Union
from counterfoil.stripe.client import Client
from counterfoil.values import Window

#: Orphans that are read singly from Stripe: what a large account deletes, in some fifty seconds.
MOST_READ = 5_000

#: `newer`: it came after the other table was read. `left out`: by the other table's options. The last two are faults.
Cause = Literal["deleted", "out of window", "left out", "newer", "lost", "unknown to Stripe"]
_FAULTS: tuple[Cause, ...] = ("lost", "unknown to Stripe")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencedTable:
    """The table of another report in the same destination."""

    #: What stands between FROM and AS.
    source: str
    table: str
    report: Report
    #: All that was there by then is in it, by Stripe's clock, in Unix seconds.
    as_of: int
    #: What it holds: a range of the time of creation, and whether options let only a part of it through.
    window: Window
    narrowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    referring: int
    #: Rows whose id is not in the other table, though it should be.
    orphans: int
    #: Rows whose id is not in it, and that were read after it.
    later: int
    #: Ids of both.
    ids: int
    #: Rows whose amount is not the other's.
    unequal: int


def check_reference(
    ask: Ask,
    source: str,
    reference: Reference,
    other: ReferencedTable,
    *,
    created: str | None,
    inquiry: StripeRequests | None,
) -> Check:
    """One reference of the rows in `source`, which stands between FROM and AS.

    With `inquiry` what is missing is read singly at Stripe, and named with its cause.
    """
    name = f"{reference.column} in {other.table}"
    if reference.of_type:
        source = f"(SELECT * FROM {source} AS every WHERE type = {literal(reference.of_type)})"  # noqa: S608 - quoted
    found = _counted(ask, source, reference, other, created)
    figures: dict[str, Any] = {
        "referring": found.referring,
        "orphans": found.orphans,
        "not_judged": found.later,
        "unequal_amounts": found.unequal,
        "as_of": other.as_of,
    }
    differences: list[dict[str, Any]] = []
    if found.unequal:
        differences += _unequal(ask, source, reference, other)
    most = MOST_DIFFERENCES if inquiry is None else MOST_READ
    ids = _orphans(ask, source, reference, other, created, most) if found.orphans or found.later else []
    causes: dict[str, Cause] = {}
    if inquiry is not None:
        told = inquiry.wait_each([partial(_cause, inquiry.client, each, reference, other) for each in ids])
        causes = dict(zip(ids, told, strict=True))
        figures["read_singly"] = len(causes)
        figures["causes"] = {cause: list(causes.values()).count(cause) for cause in sorted(set(causes.values()))}
    # Those that are at fault are shown first.
    ids.sort(key=lambda each: (causes.get(each) not in _FAULTS, each))
    differences += [{reference.column: each, "cause": causes.get(each, "not looked at")} for each in ids]
    return _judged(name, found, figures, differences, reference, other, causes)


def _judged(
    name: str,
    found: _Found,
    figures: dict[str, Any],
    differences: Sequence[dict[str, Any]],
    reference: Reference,
    other: ReferencedTable,
    causes: dict[str, Cause],
) -> Check:
    ids = found.ids
    wrong = sum(cause in _FAULTS for cause in causes.values())
    explicable = reference.deletable or other.narrowed or other.window != Window()
    if found.unequal:
        rows_told = counted(found.unequal, "row")
        told = f"Not the amount that they refer to in {other.table}: {reference.amount} of {rows_told}."
        return failed("references", name, told, figures, differences, different=found.unequal + ids)
    if wrong or (found.orphans and not explicable and not causes):
        told = f"Missing in {other.table}: {counted(wrong or ids, 'object')} that {reference.column} refers to."
        return failed("references", name, told, figures, differences, different=ids)
    if ids > len(causes):
        told = (
            f"Not in {other.table}: {counted(ids, 'id')}, of which {len(causes):,} were asked of Stripe. "
            "They may have been deleted, be newer, or be what that table leaves out."
        )
        return inconclusive("references", name, told, figures, differences, different=ids)
    told = f"What {counted(found.referring, 'row')} refer to is in {other.table}"
    if not causes:
        return passed("references", name, f"{told}.", figures)
    words = ", ".join(f"{count:,} {cause}" for cause, count in figures["causes"].items())
    return passed("references", name, f"{told}, but for what cannot be there ({words}).", figures)


def _counted(ask: Ask, source: str, reference: Reference, other: ReferencedTable, created: str | None) -> _Found:
    late = f"NOT {_judgeable(other)} AND {_older(other, created)}"
    sql = (
        f"SELECT count({_ref(reference)}) AS referring, "  # noqa: S608 - quoted
        f"count(*) FILTER (WHERE {_missing(reference)} AND {_judgeable(other)}) AS orphans, "
        f"count(*) FILTER (WHERE {_missing(reference)} AND {late}) AS later, "
        f"count(DISTINCT {_ref(reference)}) "
        f"FILTER (WHERE {_missing(reference)} AND ({_judgeable(other)} OR {late})) AS ids "
        f"FROM {_beside(source, reference, other)}"
    )
    found = one(ask, sql)
    unequal = 0
    if reference.amount:
        unequal = one(ask, f"SELECT count(*) AS n FROM {_pairs(source, reference, other)}")["n"]  # noqa: S608 - quoted
    return _Found(**found, unequal=unequal)


def _ref(reference: Reference) -> str:
    return f"held.{quoted(reference.column)}"


def _beside(source: str, reference: Reference, other: ReferencedTable) -> str:
    """Each row with the other table's id, null where that lacks it."""
    ids = f"(SELECT DISTINCT id FROM {other.source} AS every)"  # noqa: S608 - quoted
    return f"{source} AS held LEFT JOIN {ids} AS there ON there.id = {_ref(reference)}"


def _missing(reference: Reference) -> str:
    return f"({_ref(reference)} IS NOT NULL AND there.id IS NULL)"


def _judgeable(other: ReferencedTable) -> str:
    """Whether the other table was read after the row."""
    return f"(held._synced_at <= to_timestamp({other.as_of}))"


def _older(other: ReferencedTable, created: str | None) -> str:
    """Whether the row was there, if maybe not as it is, when the other table was read."""
    return "true" if created is None else f"(held.{quoted(created)} < to_timestamp({other.as_of}))"


def _pairs(source: str, reference: Reference, other: ReferencedTable) -> str:
    """Rows with what they refer to whose amounts differ in one currency."""
    amount = f"held.{quoted(reference.amount)} * {reference.sign}"
    return (
        f"{source} AS held JOIN {other.source} AS other ON other.id = {_ref(reference)} "
        f"WHERE held.currency = other.currency AND {amount} <> other.amount"
    )


def _unequal(ask: Ask, source: str, reference: Reference, other: ReferencedTable) -> list[dict[str, Any]]:
    sql = (
        f"SELECT held.id AS id, {_ref(reference)} AS refers_to, held.{quoted(reference.amount)} AS amount_minor, "  # noqa: S608 - quoted
        f"other.amount AS other_amount_minor, held.currency AS currency FROM {_pairs(source, reference, other)} "
        f"ORDER BY held.id LIMIT {MOST_DIFFERENCES}"
    )
    return [{name: shortened(value) for name, value in row.items()} for row in rows(ask, sql)]


def _orphans(
    ask: Ask, source: str, reference: Reference, other: ReferencedTable, created: str | None, most: int
) -> list[str]:
    """Ids that are not in the other table, each once, at most so many."""
    judged = f"({_judgeable(other)} OR {_older(other, created)})"
    sql = (
        f"SELECT DISTINCT {_ref(reference)} AS ref FROM {_beside(source, reference, other)} "  # noqa: S608 - quoted
        f"WHERE {_missing(reference)} AND {judged} ORDER BY ref LIMIT {most}"
    )
    return [str(row["ref"]) for row in rows(ask, sql)]


async def _cause(client: Client, id_: str, reference: Reference, other: ReferencedTable) -> Cause:
    """Why the other table lacks it, by what Stripe says of it now."""
    for listing in _listings(other.report):
        try:
            found = (await client.get(f"{listing.path}/{quote(id_, safe='')}")).body
        except RunError as error:
            if error.status == 404 or error.code == "resource_missing":
                continue
            raise
        if found.get("deleted") is True:
            return "deleted"
        created = found.get(listing.created or "")
        if isinstance(created, int) and created not in other.window:
            return "out of window"
        if isinstance(created, int) and created >= other.as_of:
            return "newer"
        return "left out" if other.narrowed else "lost"
    return "deleted" if reference.deletable else "unknown to Stripe"


def _listings(report: Report) -> Iterator[Listing]:
    match report.source:
        case Listing() as listing:
            yield listing
        case Union(listings=listings):
            yield from listings.values()
