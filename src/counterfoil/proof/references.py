"""Checks references: the rows to which ids refer must be in the other table of the same destination, and agree.

The two tables were read at different times. A reference was valid when its row was read, so the other table must
contain the id if it was read later. References of newer rows can only be checked by asking Stripe.
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

#: Maximum number of missing ids looked up at Stripe one by one. Enough for a large account; takes about 50 seconds.
MOST_READ = 5_000

#: `newer`: created after the other table was read. `left out`: by the other table's options. The last two are faults.
Cause = Literal["deleted", "out of window", "left out", "newer", "lost", "unknown to Stripe"]
_FAULTS: tuple[Cause, ...] = ("lost", "unknown to Stripe")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencedTable:
    """The table of another report in the same destination."""

    #: The SQL expression for FROM.
    source: str
    table: str
    report: Report
    #: The table contains everything that existed at this time, by Stripe's clock, in Unix seconds.
    as_of: int
    #: The range of the creation time of its rows, and whether options exclude rows.
    window: Window
    narrowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    referring: int
    #: Rows with an id that should be in the other table, but is not.
    orphans: int
    #: Rows with an id that is not in the other table, but which were read after it.
    later: int
    #: Distinct ids of both kinds.
    ids: int
    #: Rows with an amount that differs from the other row's.
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
    """Checks one reference of the rows in `source`, an SQL expression for FROM.

    With `inquiry`, missing ids are looked up at Stripe one by one, and listed with their cause.
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
        found_causes = inquiry.wait_each([partial(_cause, inquiry.client, each, reference, other) for each in ids])
        causes = dict(zip(ids, found_causes, strict=True))
        figures["read_singly"] = len(causes)
        figures["causes"] = {cause: list(causes.values()).count(cause) for cause in sorted(set(causes.values()))}
    # Faults are shown first.
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
        unequal_rows = counted(found.unequal, "row")
        reason = f"{reference.amount} differs from the amount in {other.table} in {unequal_rows}."
        return failed("references", name, reason, figures, differences, different=found.unequal + ids)
    if wrong or (found.orphans and not explicable and not causes):
        reason = f"Missing in {other.table}: {counted(wrong or ids, 'id')} from {reference.column}."
        return failed("references", name, reason, figures, differences, different=ids)
    if ids > len(causes):
        reason = (
            f"Not in {other.table}: {counted(ids, 'id')}, of which {len(causes):,} were looked up at Stripe. "
            "The objects may be deleted, newer than the table, or excluded from it."
        )
        return inconclusive("references", name, reason, figures, differences, different=ids)
    found_in = f"All ids of {counted(found.referring, 'row')} are in {other.table}"
    if not causes:
        return passed("references", name, f"{found_in}.", figures)
    words = ", ".join(f"{count:,} {cause}" for cause, count in figures["causes"].items())
    return passed("references", name, f"{found_in}, except those that cannot be there ({words}).", figures)


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
    """SQL for each row with the id in the other table, null if it is missing there."""
    ids = f"(SELECT DISTINCT id FROM {other.source} AS every)"  # noqa: S608 - quoted
    return f"{source} AS held LEFT JOIN {ids} AS there ON there.id = {_ref(reference)}"


def _missing(reference: Reference) -> str:
    return f"({_ref(reference)} IS NOT NULL AND there.id IS NULL)"


def _judgeable(other: ReferencedTable) -> str:
    """The SQL condition that the other table was read after the row."""
    return f"(held._synced_at <= to_timestamp({other.as_of}))"


def _older(other: ReferencedTable, created: str | None) -> str:
    """The SQL condition that the row existed, maybe with other values, when the other table was read."""
    return "true" if created is None else f"(held.{quoted(created)} < to_timestamp({other.as_of}))"


def _pairs(source: str, reference: Reference, other: ReferencedTable) -> str:
    """SQL for rows and the rows they refer to, if both have the same currency but different amounts."""
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
    """Distinct ids that are not in the other table, at most `most`."""
    judged = f"({_judgeable(other)} OR {_older(other, created)})"
    sql = (
        f"SELECT DISTINCT {_ref(reference)} AS ref FROM {_beside(source, reference, other)} "  # noqa: S608 - quoted
        f"WHERE {_missing(reference)} AND {judged} ORDER BY ref LIMIT {most}"
    )
    return [str(row["ref"]) for row in rows(ask, sql)]


async def _cause(client: Client, id_: str, reference: Reference, other: ReferencedTable) -> Cause:
    """The cause of an id missing in the other table, from the object's current state at Stripe."""
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
