"""The subject of a run's checks: its plan, its archive, its table, and related records of the state."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from counterfoil.archive import Ledger, read_ledger
from counterfoil.columns.chosen import choose
from counterfoil.columns.redact import redaction
from counterfoil.destinations import Destination
from counterfoil.destinations.kinds import target_key
from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.extract.changes import listings_of, source_of, windows_of
from counterfoil.proof.check_selection import sources_of
from counterfoil.proof.coverage import Expectation, expected_of
from counterfoil.proof.references import ReferencedTable
from counterfoil.proof.subject import LIVE, Subject
from counterfoil.proof.windows import Expected
from counterfoil.reports.catalogue import report as report_of
from counterfoil.runs.plans.dataset_plan import DatasetPlan, choice_of, from_json, window_of
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.runs.run_context import RunContext, archive_of
from counterfoil.settings import Settings
from counterfoil.state.dataset import Dataset, Merge, Target
from counterfoil.state.run import Run
from counterfoil.values import Loaded, Window

#: The age after which files of killed checks are removed.
_LEFT_SECONDS = 86_400
_MOST_RUNS = 10_000


@contextmanager
def scratch_of(settings: Settings, run: str) -> Iterator[Path]:
    """A temporary folder for comparisons."""
    folder = settings.archive / "proofs" / run
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left(settings: Settings, *, now: float | None = None) -> None:
    """Removes the temporary folders of killed checks."""
    for folder in (settings.archive / "proofs").glob("*"):
        with suppress(OSError):
            if (time.time() if now is None else now) - folder.stat().st_mtime > _LEFT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def subject_of(
    records: RunContext,
    dataset: Dataset,
    run: Run,
    target: Target,
    destination: Destination,
    *,
    scratch: Path,
    watch: Callable[[str], None] | None = None,
) -> Subject:
    """The run's rows in one of the dataset's tables. Before the load, the fields about the table are None."""
    plan = from_json(run.plan)
    folder = archive_of(records.settings, run.id)
    ledger = read_ledger(folder)
    done = _loaded(records, run, target)
    chosen = plan.chosen
    key = records.hash_keys.key(plan.credential) if chosen.hashed else b""
    kept = records.checks.earlier(dataset.id, "balance", "payments")
    return Subject(
        run=run.id,
        report=plan.plan.report,
        window=plan.window,
        params=plan.plan.params,
        full=plan.choice.since is None and plan.choice.until is None and plan.choice.last_days is None,
        method=plan.method,
        whole=plan.whole,
        as_of=plan.as_of,
        api_version=plan.api_version,
        folder=folder,
        ledger=ledger,
        expected={} if ledger is None else expected_windows(plan, ledger),
        warnings=run.warnings,
        loaded=None if done is None else done.rows,
        expectation=None if done is None else _expectation(records, plan, run, target, ledger, done),
        destination=destination,
        table=target.table,
        others=_others(records, dataset, target),
        redact=redaction(chosen, key) if chosen.redacts else None,
        digits=records.settings.currency_digits,
        snapshots=[check.figures["snapshot"] for check in kept if "snapshot" in check.figures],
        scratch=scratch,
        megabytes=records.settings.duckdb_megabytes,
        watch=watch,
    )


def expected_windows(plan: DatasetPlan, ledger: Ledger) -> Expected:
    """The windows that the run's pages must cover; empty if it read the rows by parent."""
    report = plan.plan.report
    if plan.changes is None or ledger.whole:
        return sources_of(report, plan.window)
    if report.parents is not None and report.parents.param is not None:
        return {}
    windows = windows_of(plan.changes, plan.window)
    return {source_of(kind): windows for kind in listings_of(report)}


def _loaded(records: RunContext, run: Run, target: Target) -> Loaded | None:
    """The result of the run's load into the table; None before the load."""
    for load in records.runs.loads(run.id):
        if (load.url, load.table) == (target.url, target.table):
            counts = run.counts
            return Loaded(rows=load.rows, added=counts.added, changed=counts.changed, deleted=counts.deleted)
    return None


def _expectation(
    records: RunContext, plan: DatasetPlan, run: Run, target: Target, ledger: Ledger | None, done: Loaded
) -> Expectation | None:
    covers = plan.covers if plan.whole or plan.method == "partition" else ()
    if ledger is not None and ledger.whole:
        covers = (plan.window,)
    return expected_of(
        plan.method,
        done,
        run=run.id,
        created=plan.plan.report.created,
        covers=covers,
        dropped=(plan.merge or Merge()).deleted == "drop",
        before=_rows_before(records, run, target) if plan.method == "merge" else None,
        live=LIVE,
    )


def _rows_before(records: RunContext, run: Run, target: Target) -> int | None:
    """The number of rows of the table after the previous run, as counted by its check."""
    earlier = records.runs.list(run.dataset, "succeeded", _MOST_RUNS)
    before = next((one for one in earlier if (one.created_at, one.id) < (run.created_at, run.id)), None)
    if before is None:
        return None
    for check in records.checks.of_run(before.id):
        if (check.family, check.name, check.url, check.table) == ("coverage", "table", target.url, target.table):
            rows: int | None = check.figures.get("rows")
            return rows
    return None


def _others(records: RunContext, dataset: Dataset, target: Target) -> Mapping[str, ReferencedTable]:
    """Tables of the same account in the same destination, one per report: preferably a full one, then the newest."""
    home = records.settings.home
    mine = target_key(target.url, "", home=home)
    found: dict[str, ReferencedTable] = {}
    for one in records.datasets.list():
        if one.id == dataset.id or one.account != dataset.account or one.bookmark is None:
            continue
        for theirs in one.targets:
            if target_key(theirs.url, "", home=home) == mine:
                other = _other(theirs.table, one, one.bookmark)
                known = found.get(other.report.key)
                if known is None or (_is_full(other), other.as_of) > (_is_full(known), known.as_of):
                    found[other.report.key] = other
    return found


def _is_full(other: ReferencedTable) -> bool:
    return not other.narrowed and other.window == Window()


def _other(table: str, dataset: Dataset, bookmark: Mapping[str, Any]) -> ReferencedTable:
    choice, as_of = choice_of(bookmark["choice"]), int(bookmark["as_of"])
    known = report_of(dataset.report)
    chosen = choose(known, promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)
    report, window = replace(known, columns=chosen.columns), window_of(choice, as_of)
    source = quoted(table)
    if bookmark.get("method") == "append":
        source = f"(SELECT * FROM {source} WHERE _run = {literal(str(bookmark['run']))})"  # noqa: S608 - quoted
    return ReferencedTable(
        source=source,
        table=table,
        report=report,
        as_of=as_of,
        window=window,
        narrowed=Plan(report, window, None, choice.options).narrowed,
    )
