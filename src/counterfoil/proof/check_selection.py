"""Selects the checks: cheap ones after each run, thorough ones on request or when they are due."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from counterfoil.archive import Ledger, read_notes
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import SYSTEM_COLUMNS
from counterfoil.destinations.sql.parts_tables import PartsTables, parts_tables
from counterfoil.proof import balance, coverage, keys, payouts, references
from counterfoil.proof.check import Check, inconclusive, not_applicable
from counterfoil.proof.recount import Copy, Recount, contents, recount
from counterfoil.proof.stripe_requests import StripeRequests
from counterfoil.proof.subject import LIVE, Subject
from counterfoil.proof.table_queries import Ask
from counterfoil.proof.windows import check_windows
from counterfoil.reports.catalogue import report as report_of
from counterfoil.reports.report import Collected, Listing, Preview, Report, Singleton, Union
from counterfoil.values import Window

#: Limit of the API requests for a run's cheap checks: a share of the run's requests, and a fixed number in addition.
SHARE = 0.02
BESIDES = 3

SPOOL = "pages.spool"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThoroughOptions:
    """Options of the thorough checks."""

    recount: Recount = field(default_factory=Recount)
    payouts: int = payouts.NEWEST


def sources_of(report: Report, window: Window) -> dict[str, tuple[Window, ...]]:
    """The windows that the pages of a full refresh cover, by the name of their source."""
    match report.source:
        case Listing(created=None) as listing:
            return {listing.path: (Window(),)}
        case Listing() as listing:
            return {listing.path: (window,)}
        case Union(listings=listings):
            return dict.fromkeys(listings, (window,))
        case Collected(places=places):
            return {place.listing.path: (Window(),) for place in places}
        case Preview(previewed=previewed):
            return {one.listing.path: (Window(),) for one in previewed}
        case Singleton(path=path):
            return {path: (Window(),)}


def before_load(subject: Subject) -> list[Check]:
    """The checks that are possible before the rows are loaded: completeness of the archive, and keys."""
    ledger = subject.ledger
    if ledger is None:
        return [_gone()]
    with _beside(subject) as tables:
        of_rows = _keys(subject, tables.ask, "parts") if ledger.is_there else []
        return [*_read(subject, ledger), _ids(subject, ledger, tables.ask), *of_rows]


def cheap_checks(subject: Subject, inquiry: StripeRequests | None) -> list[Check]:
    """The checks with no or few API requests, at most `affordable`. `inquiry` is None if the key is unavailable."""
    with _beside(subject) as tables:
        return [*_at_hand(subject, tables), *_balance(subject, inquiry), *referenced(subject, None)]


def archive_checks(subject: Subject) -> list[Check]:
    """The checks for destinations without queries: of the archive, and of the table's number of rows."""

    def count() -> Check:
        return coverage.check_count(subject.destination.rows(subject.table), subject.expectation)

    return [*before_load(subject), subject.made("coverage", "table", count)]


def affordable(requests: int) -> int:
    """The limit of API requests for the cheap checks of a run with `requests` requests."""
    return BESIDES + int(requests * SHARE)


def thorough_checks(subject: Subject, inquiry: StripeRequests, asked: ThoroughOptions) -> list[Check]:
    """All checks, including the table's contents, payouts, single missing ids, and windows read again."""
    with _beside(subject) as tables:
        copy = Copy(subject, tables, whole=asked.recount.windows is None or subject.method != "merge")
        return [
            *_at_hand(subject, tables),
            subject.made("coverage", "contents", lambda: contents(subject, copy)),
            *_balance(subject, inquiry),
            *_payouts(subject, inquiry, asked.payouts),
            *referenced(subject, inquiry),
            subject.made("recount", "rows", lambda: recount(subject, inquiry, asked.recount, copy)),
        ]


def _gone() -> Check:
    return inconclusive("coverage", "windows", "The archive of the run was deleted.")


def _at_hand(subject: Subject, tables: PartsTables) -> list[Check]:
    """The checks of the archive and of the table, without API requests."""
    ledger, ask = subject.ledger, subject.destination.query
    return [
        *([_gone()] if ledger is None else [*_read(subject, ledger), _ids(subject, ledger, tables.ask)]),
        subject.made("coverage", "table", lambda: coverage.check_table(ask, subject.table, subject.expectation, LIVE)),
        *_keys(subject, ask, subject.source),
    ]


def _read(subject: Subject, ledger: Ledger) -> list[Check]:
    spool, source = subject.folder / SPOOL, subject.report.source
    if isinstance(source, Listing) and source.retired and not ledger.pages:
        reason = "Stripe has retired this list: there was nothing to read."
        windows = not_applicable("coverage", "windows", reason)
    else:
        windows = subject.made("coverage", "windows", lambda: check_windows(read_notes(spool), subject.expected))
    return [
        windows,
        subject.made("coverage", "pages", lambda: coverage.check_pages(read_notes(spool), ledger)),
        subject.made("coverage", "parts", lambda: coverage.check_parts(ledger)),
        coverage.check_skipped(ledger.skipped, subject.warnings),
    ]


def _ids(subject: Subject, ledger: Ledger, ask: Ask) -> Check:
    if not ledger.is_there:
        return inconclusive("coverage", "ids", "A part of the run's archive is missing.")
    # An incremental run can read an object twice: in a window and by its id.
    whole = subject.whole or ledger.whole
    return subject.made(
        "coverage", "ids", lambda: coverage.check_ids(ask, subject.key, whole=whole, loaded=subject.loaded)
    )


def _keys(subject: Subject, ask: Ask, source: str) -> list[Check]:
    report = subject.report
    return [
        subject.made("keys", "double keys", lambda: keys.check_double_keys(ask, source, subject.key)),
        *subject.made_together(
            "keys",
            keys.NAMES,
            lambda: keys.check_values(
                ask,
                source,
                report.columns,
                subject.key,
                created=report.created,
                until=subject.as_of,
                digits=subject.digits,
            ),
        ),
    ]


@contextmanager
def _beside(subject: Subject) -> Iterator[PartsTables]:
    """A temporary database for comparisons, with the run's archive as the table `parts`."""
    folders = [folder for folder in (subject.folder, subject.scratch) if folder.exists()]
    with parts_tables(folders=folders, spill=subject.scratch / "spill", megabytes=subject.megabytes) as tables:
        if subject.ledger is not None and subject.ledger.is_there:
            schema = arrow_schema((*subject.report.columns, *SYSTEM_COLUMNS))
            tables.put("parts", schema, [part.path for part in subject.ledger.parts if part.rows])
        yield tables


def _balance(subject: Subject, inquiry: StripeRequests | None) -> list[Check]:
    if not balance.is_moved(subject.report):
        return []
    lacking = balance.lacks(subject.report.columns)
    if lacking or subject.params.keys() - {"currency"}:
        reason = (
            f"The dataset leaves out or hashes {' and '.join(lacking)}."
            if lacking
            else "The dataset's options exclude some movements."
        )
        return [not_applicable("balance", name, reason) for name in balance.PARTS]
    if inquiry is None:
        return [inconclusive("balance", name, "The Stripe key is unavailable.") for name in balance.PARTS]
    return subject.made_together("balance", tuple(balance.PARTS), lambda: _looked_at(subject, inquiry))


def _looked_at(subject: Subject, inquiry: StripeRequests) -> list[Check]:
    checks = _compared(subject, inquiry)
    if any(check.result == "FAIL" for check in checks) and inquiry.affords(BESIDES):
        # Two movements that cancel out, one before and one after the list was read, look like a difference.
        return _compared(subject, inquiry)
    return checks


def _compared(subject: Subject, inquiry: StripeRequests) -> list[Check]:
    """The check of each balance type. The first one stores the snapshot for the checks of later runs."""
    now = balance.snapshot(inquiry, subject.as_of, subject.params)
    if now is None:
        reason = f"The balance changed in each of {balance.MOST_LOOKS} attempts, or the request limit was reached."
        return [inconclusive("balance", name, reason) for name in balance.PARTS]
    then = None
    if not subject.full:
        then = balance.earlier(
            subject.snapshots, since=subject.window.since, until=subject.as_of, currency=subject.params.get("currency")
        )
    if subject.full or then is not None:
        since = None if then is None else then.at
        sums = balance.summed(subject.destination.query, subject.source, since=since, until=subject.as_of)
        checks = [balance.check_balance(name, sums, now, then=then) for name in balance.PARTS]
    else:
        reason = "The table does not contain all movements, and no earlier run stored a balance to compare with."
        checks = [not_applicable("balance", name, reason) for name in balance.PARTS]
    first, *rest = checks
    return [replace(first, figures={**first.figures, "snapshot": now.as_json()}), *rest]


def _payouts(subject: Subject, inquiry: StripeRequests, newest: int) -> list[Check]:
    types = {column.name: column.type for column in subject.report.columns}
    if payouts.has_payouts(subject.report) and payouts.NEEDED.items() <= types.items():
        return [subject.made("payouts", "payouts", lambda: _payouts_of_table(subject, inquiry, newest))]
    if balance.is_moved(subject.report):
        if not subject.full or subject.params or balance.lacks(subject.report.columns):
            return [not_applicable("payouts", "payouts", "The table does not contain all movements.")]
        return [subject.made("payouts", "payouts", lambda: _payouts_by_table(subject, inquiry, newest))]
    return []


def _payouts_of_table(subject: Subject, inquiry: StripeRequests, newest: int) -> Check:
    """Compares the table's payouts with the movements that Stripe lists."""
    found = payouts.in_table(subject.destination.query, subject.source, newest)
    return payouts.check_payouts(found, {one.id: payouts.movements(inquiry, one.id) for one in found})


def _payouts_by_table(subject: Subject, inquiry: StripeRequests, newest: int) -> Check:
    """Compares Stripe's payouts with the table's movements."""
    found = payouts.at_stripe(inquiry, newest, until=subject.as_of)
    of = {one.id: payouts.movements(inquiry, one.id) for one in found}
    return payouts.check_payouts(found, of, ask=subject.destination.query, source=subject.source, table=subject.table)


def referenced(subject: Subject, inquiry: StripeRequests | None) -> list[Check]:
    """The checks of references to other tables. With `inquiry`, missing ids are looked up at Stripe."""
    checks = []
    types = {column.name: column.type for column in subject.report.columns}
    # An id that is left out or hashed cannot be looked up.
    intact = {column.name for column in subject.report.columns if column in report_of(subject.report.key).columns}
    for reference in subject.report.references:
        other = subject.others.get(reference.report)
        if other is None or reference.column not in intact:
            continue
        if reference.of_type and types.get("type") != "string":
            continue
        theirs = {column.name: column.type for column in other.report.columns}
        same = [types.get("currency"), theirs.get("currency"), types.get(reference.amount), theirs.get("amount")]
        if reference.amount and same != ["string", "string", "integer", "integer"]:
            reference = replace(reference, amount="")  # noqa: PLW2901 - without left-out or hashed columns
        checks.append(
            subject.made(
                "references",
                f"{reference.column} in {other.table}",
                partial(
                    references.check_reference,
                    subject.destination.query,
                    subject.source,
                    reference,
                    other,
                    created=subject.report.created,
                    inquiry=inquiry,
                ),
            )
        )
    return checks
