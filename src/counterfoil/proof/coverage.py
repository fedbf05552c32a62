"""Whether all that was read is there: pages, rows and ids from the spool to the table add up, and what was skipped."""

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

#: What a run says of a list that Stripe no longer has.
_RETIRED = "retired by Stripe"


def check_pages(notes: Iterable[PageNote], ledger: Ledger) -> Check:
    """The spool's valid pages against the ledger."""
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
        "Every page that was read is kept whole, with the rows that the ledger counted.",
        "The pages that are kept are not those that the ledger counted.",
        {"spool": spool, "ledger": kept},
        (
            {"source": source, "spool": spool.get(source), "ledger": kept.get(source)}
            for source in sorted(spool.keys() | kept.keys())
            if spool.get(source) != kept.get(source)
        ),
    )


def check_parts(ledger: Ledger) -> Check:
    """The ledger's rows against the files that were cut from them, byte for byte."""
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
        "The parts are as they were written, and hold the rows of all pages.",
        "The parts do not hold what was read.",
        {"rows_read": read, "parts": len(ledger.parts), "rows_in_the_ledger": counted, "rows_in_the_parts": stored},
        differences,
    )


def check_ids(ask: Ask, key: Sequence[str], *, whole: bool, loaded: int | None) -> Check:
    """The ids of the parts, which are the table `parts`: each once where everything was read, and all were loaded.

    `loaded` are the keys or rows that the load counted; None before it. What came and went since the run before is read
    as gone, and makes no row: those may be missing.
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
        "Every object was read once." if whole else "Every object that was read was loaded.",
        "Objects were read more than once, or not all of them were loaded.",
        figures,
        differences,
        different=found["doubled"] + len(differences) if len(differences) >= MOST_DIFFERENCES else None,
    )


def check_skipped(skipped: Sequence[str], warnings: Sequence[str]) -> Check:
    """What a run could not read, by its own words."""
    figures = {"skipped": list(skipped), "warnings": list(warnings)}
    if not skipped:
        return passed("coverage", "skipped", "Nothing was skipped.", figures)
    if all(sentence.startswith(_RETIRED) for sentence in skipped):
        return not_applicable("coverage", "skipped", "Stripe has retired this list: there is nothing to read.", figures)
    told = f"Some of what Stripe has could not be read: {'; '.join(skipped)}."
    return inconclusive("coverage", "skipped", told, figures, ({"skipped": sentence} for sentence in skipped))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """How many rows a table should have, of which rows, and why."""

    rows: int
    #: A condition in SQL.
    where: str
    #: What is counted and why so many, in words.
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
    """What a load should leave; `before` are the table's rows after the run before, None when nobody counted them.

    `covers` are the ranges of `created` of which the load has all that Stripe lists.
    """
    told = f"the run {run} loaded {done.rows:,}"
    if method == "replace":
        return Expectation(rows=done.rows, where="true", why=f"{told} in place of all")
    if method == "append":
        return Expectation(rows=done.rows, where=f"_run = {literal(run)}", why=f"{told}, marked with its name")
    if method == "partition":
        where = f"({_within(created, covers)})"
        return Expectation(rows=done.rows, where=where, why=f"{told} in place of those of its period")
    if covers and (created is not None or list(covers) == [Window()]):
        where = f"({live}) AND ({_within(created, covers)})"
        return Expectation(rows=done.rows, where=where, why=f"{told}, which is all that Stripe lists")
    if before is None:
        return None
    rows = before + done.added - (done.deleted if dropped else 0)
    gone = f" and dropped {done.deleted:,}" if dropped else ""
    return Expectation(
        rows=rows, where="true", why=f"there were {before:,}, and the run {run} added {done.added:,}{gone}"
    )


def _within(created: str | None, covers: Sequence[Window]) -> str:
    """Whether a row was created in one of the ranges."""
    if Window() in covers or created is None:
        return "true"
    terms = []
    for window in covers:
        bounds = [f"{quoted(created)} >= to_timestamp({window.since})"] if window.since is not None else []
        bounds += [f"{quoted(created)} < to_timestamp({window.until})"] if window.until is not None else []
        terms.append(f"({' AND '.join(bounds)})")
    return " OR ".join(terms)


def check_table(ask: Ask, table: str, expectation: Expectation | None, live: str) -> Check:
    """The table's rows; without an expectation they are counted for the next run."""
    where = "true" if expectation is None else expectation.where
    found = one(
        ask,
        f"SELECT count(*) AS rows, count(*) FILTER (WHERE {live}) AS live_rows, "  # noqa: S608 - quoted
        f"count(*) FILTER (WHERE {where}) AS compared FROM {quoted(table)}",
    )
    figures = {"rows": found["rows"], "live_rows": found["live_rows"]}
    if expectation is None:
        return not_applicable(
            "coverage", "table", "Nothing tells how many rows it should have: this is the first look at it.", figures
        )
    figures |= {"compared": found["compared"], "expected": expectation.rows}
    return judged(
        "coverage",
        "table",
        f"The table has as many rows as it should: {expectation.why}.",
        f"The table has {found['compared']:,} rows where it should have {expectation.rows:,}: {expectation.why}.",
        figures,
        [{"rows": found["compared"], "expected": expectation.rows}] if found["compared"] != expectation.rows else (),
    )


def check_count(rows: int | None, expectation: Expectation | None) -> Check:
    """The number of the table's rows alone, where nothing else can be asked."""
    figures = {"rows": rows}
    if rows is None:
        return failed("coverage", "table", "The table is gone.", figures, [figures])
    if expectation is None or expectation.where != "true":
        told = f"The table has {rows:,} rows; which ones they are can't be asked there."
        return inconclusive("coverage", "table", told, figures)
    figures["expected"] = expectation.rows
    return judged(
        "coverage",
        "table",
        f"The table has as many rows as it should: {expectation.why}. What is in them can't be asked there.",
        f"The table has {rows:,} rows where it should have {expectation.rows:,}: {expectation.why}.",
        figures,
        [figures] if rows != expectation.rows else (),
    )


def _some(ask: Ask, sql: str) -> list[dict[str, Any]]:
    """The first rows of an answer, as differences."""
    return [{name: plain(value) for name, value in row.items()} for row in rows(ask, f"{sql} LIMIT {MOST_DIFFERENCES}")]
