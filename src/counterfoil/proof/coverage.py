"""Checks whether pages, rows and ids agree from the spool to the table, and reports skipped objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from counterfoil.archive import Ledger, PageNote, stored_rows, verify
from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.errors import RunError
from counterfoil.proof.check import MOST_DIFFERENCES, Check, failed, inconclusive, judged, not_applicable, passed
from counterfoil.proof.table_queries import Ask, one, plain, rows
from counterfoil.values import Loaded, Method, Window

#: The beginning of a run's warning about a list that Stripe has retired.
_RETIRED = "retired by Stripe"


def check_pages(notes: Iterable[PageNote], ledger: Ledger) -> Check:
    """Compares the spool's valid pages with the ledger."""
    pages: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for note in notes:
        pages[note.source] += 1
        found[note.source] += note.rows
    spool = {source: {"pages": pages[source], "rows": found[source]} for source in pages}
    kept = {source: {"pages": one.pages, "rows": one.rows} for source, one in ledger.sources.items()}
    return judged(
        "coverage",
        "pages",
        "All stored pages are intact and contain the rows counted in the ledger.",
        "The stored pages differ from those counted in the ledger.",
        {"spool": spool, "ledger": kept},
        (
            {"source": source, "spool": spool.get(source), "ledger": kept.get(source)}
            for source in sorted(spool.keys() | kept.keys())
            if spool.get(source) != kept.get(source)
        ),
    )


def check_parts(ledger: Ledger) -> Check:
    """Compares the ledger's rows with the part files, and verifies the files byte for byte."""
    read = sum(coverage.rows for coverage in ledger.sources.values())
    counted = sum(part.rows for part in ledger.parts)
    differences: list[dict[str, Any]] = []
    stored = 0
    for part in ledger.parts:
        try:
            verify(part)
            here = stored_rows(part)
        except RunError as error:
            differences.append({"part": part.path.name, "fault": error.message})
            continue
        stored += here
        if here != part.rows:
            differences.append({"part": part.path.name, "rows": here, "rows_in_the_ledger": part.rows})
    if read != counted:
        differences.append({"rows_read": read, "rows_in_the_parts": counted})
    return judged(
        "coverage",
        "parts",
        "The parts are unchanged since the run and contain the rows of all pages.",
        "The parts were changed, or do not contain exactly the rows that were read.",
        {"rows_read": read, "parts": len(ledger.parts), "rows_in_the_ledger": counted, "rows_in_the_parts": stored},
        differences,
    )


def check_ids(ask: Ask, key: Sequence[str], *, whole: bool, loaded: int | None) -> Check:
    """Checks the ids in the table `parts`: each appears once after a full refresh, and all were loaded.

    `loaded` is the number of keys or rows that the load counted; None before the load. Objects that were created and
    deleted since the previous run are read as deleted and create no row, so they may be missing.
    """
    keys = ", ".join(map(quoted, key))
    marked = any(rows(ask, "SELECT 1 AS marked FROM (DESCRIBE parts) WHERE column_name = '_deleted'"))
    gone = "bool_and(coalesce(_deleted, false))" if marked else "false"
    found = one(
        ask,
        "SELECT coalesce(sum(n), 0) AS rows, count(*) AS ids, count(*) FILTER (WHERE n > 1) AS doubled, "  # noqa: S608 - quoted
        "count(*) FILTER (WHERE gone) AS gone "
        f"FROM (SELECT {keys}, count(*) AS n, {gone} AS gone FROM parts GROUP BY {keys})",
    )
    figures = {**found, "loaded": loaded}
    differences: list[dict[str, Any]] = []
    if whole and found["doubled"]:
        sql = f"SELECT {keys}, count(*) AS n FROM parts GROUP BY {keys} HAVING count(*) > 1"  # noqa: S608 - quoted
        differences += _some(ask, f"{sql} ORDER BY {keys}")
    all_of_them = loaded is None or loaded == found["rows"] or found["ids"] - found["gone"] <= loaded <= found["ids"]
    if not all_of_them:
        differences.append({"loaded": loaded, "rows": found["rows"], "ids": found["ids"]})
    return judged(
        "coverage",
        "ids",
        "Every object was read exactly once." if whole else "All objects that were read were loaded.",
        "Some objects were read more than once or were not loaded.",
        figures,
        differences,
        different=found["doubled"] + len(differences) if len(differences) >= MOST_DIFFERENCES else None,
    )


def check_skipped(skipped: Sequence[str], warnings: Sequence[str]) -> Check:
    """Reports the objects that a run could not read, from its warnings."""
    figures = {"skipped": list(skipped), "warnings": list(warnings)}
    if not skipped:
        return passed("coverage", "skipped", "No objects were skipped.", figures)
    if all(sentence.startswith(_RETIRED) for sentence in skipped):
        return not_applicable("coverage", "skipped", "Stripe has retired this list: there is nothing to read.", figures)
    reason = f"Some objects could not be read: {'; '.join(skipped)}."
    return inconclusive("coverage", "skipped", reason, figures, ({"skipped": sentence} for sentence in skipped))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The expected number of rows of a table, or of some of its rows, and the reason."""

    rows: int
    #: The SQL condition of the counted rows.
    where: str
    #: The reason for the expected number, as text.
    why: str


def expected_of(
    method: Method,
    done: Loaded,
    *,
    run: str,
    created: str | None,
    covers: Sequence[Window],
    dropped: bool,
    before: int | None,
    live: str,
) -> Expectation | None:
    """The number of rows after a load. `before` is the number after the previous run; None if it was not counted.

    `covers` are the ranges of `created` in which the load contains every row that Stripe lists.
    """
    loaded = f"the run {run} loaded {done.rows:,}"
    if method == "replace":
        return Expectation(rows=done.rows, where="true", why=f"{loaded} and replaced all rows")
    if method == "append":
        return Expectation(rows=done.rows, where=f"_run = {literal(run)}", why=f"{loaded}, with its id in _run")
    if method == "partition":
        where = f"({_within(created, covers)})"
        return Expectation(rows=done.rows, where=where, why=f"{loaded} and replaced the rows of its period")
    if covers and (created is not None or list(covers) == [Window()]):
        where = f"({live}) AND ({_within(created, covers)})"
        return Expectation(rows=done.rows, where=where, why=f"{loaded}, which are all rows that Stripe lists")
    if before is None:
        return None
    rows = before + done.added - (done.deleted if dropped else 0)
    gone = f" and deleted {done.deleted:,}" if dropped else ""
    return Expectation(
        rows=rows, where="true", why=f"there were {before:,}, and the run {run} added {done.added:,}{gone}"
    )


def _within(created: str | None, covers: Sequence[Window]) -> str:
    """The SQL condition for rows created in one of the ranges."""
    if Window() in covers or created is None:
        return "true"
    terms = []
    for window in covers:
        bounds = [f"{quoted(created)} >= to_timestamp({window.since})"] if window.since is not None else []
        bounds += [f"{quoted(created)} < to_timestamp({window.until})"] if window.until is not None else []
        terms.append(f"({' AND '.join(bounds)})")
    return " OR ".join(terms)


def check_table(ask: Ask, table: str, expectation: Expectation | None, live: str) -> Check:
    """Compares the table's number of rows with the expected number; without one, counts them for the next run."""
    where = "true" if expectation is None else expectation.where
    found = one(
        ask,
        f"SELECT count(*) AS rows, count(*) FILTER (WHERE {live}) AS live_rows, "  # noqa: S608 - quoted
        f"count(*) FILTER (WHERE {where}) AS compared FROM {quoted(table)}",
    )
    figures = {"rows": found["rows"], "live_rows": found["live_rows"]}
    if expectation is None:
        return not_applicable(
            "coverage", "table", "The expected number of rows is unknown at the first check of the table.", figures
        )
    figures |= {"compared": found["compared"], "expected": expectation.rows}
    return judged(
        "coverage",
        "table",
        f"The table has the expected number of rows: {expectation.why}.",
        f"The table has {found['compared']:,} rows instead of {expectation.rows:,}: {expectation.why}.",
        figures,
        [{"rows": found["compared"], "expected": expectation.rows}] if found["compared"] != expectation.rows else (),
    )


def check_count(rows: int | None, expectation: Expectation | None) -> Check:
    """Compares only the table's number of rows, for destinations without queries."""
    figures = {"rows": rows}
    if rows is None:
        return failed("coverage", "table", "The table does not exist.", figures, [figures])
    if expectation is None or expectation.where != "true":
        reason = f"The table has {rows:,} rows. Its contents can't be checked: the destination has no queries."
        return inconclusive("coverage", "table", reason, figures)
    figures["expected"] = expectation.rows
    return judged(
        "coverage",
        "table",
        f"The table has the expected number of rows: {expectation.why}. Its contents were not checked.",
        f"The table has {rows:,} rows instead of {expectation.rows:,}: {expectation.why}.",
        figures,
        [figures] if rows != expectation.rows else (),
    )


def _some(ask: Ask, sql: str) -> list[dict[str, Any]]:
    """The first rows of a query's result, as differences."""
    return [{name: plain(value) for name, value in row.items()} for row in rows(ask, f"{sql} LIMIT {MOST_DIFFERENCES}")]
