"""The steps between Stripe and a table that all runs share: archive pages, make batches of rows, build the load."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from counterfoil.archive import Archive, read_spool
from counterfoil.columns.column import Column
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.redact import Redact, redacted
from counterfoil.columns.system import DELETED, SYSTEM_COLUMNS, with_system
from counterfoil.errors import CounterfoilError, RunError, StripeUnavailable
from counterfoil.extract import CONTRADICTION, Changes, ResumeState, Warnings, read
from counterfoil.reports.report import Listing, Report
from counterfoil.runs.plans.overwrite_check import scope_of
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.runs.progress import ProgressReporter
from counterfoil.stripe.client import API_VERSION, AccountIdentity, Client
from counterfoil.values import Load, Method, Page

#: Rows of a batch: enough that the cost of a column is shared, few enough that some tens of megabytes hold them.
BATCH_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the system columns say of each row of a run."""

    run: str
    account: str
    api_version: str


def stamp_of(report: Report, *, run: str, account: str) -> Stamp:
    """The stamp of a run; a report can be read under another version than the one that the client pins."""
    source = report.source
    version = source.api_version if isinstance(source, Listing) else None
    return Stamp(run, account, version or API_VERSION)


def store_stamp(folder: Path, stamp: Stamp) -> None:
    """Keeps the stamp with what the run reads, so that a later process can go on as the same run."""
    partial = folder / "run.json.partial"
    partial.write_text(json.dumps(asdict(stamp)))
    partial.replace(folder / "run.json")


def stored_stamp(folder: Path) -> Stamp | None:
    """The stamp of the run that was interrupted here; None when there was none."""
    try:
        return Stamp(**json.loads((folder / "run.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def new_run_id() -> str:
    """Sorts by time, and differs between runs that start in the same second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def extract(
    client: Client,
    plan: Plan,
    archive: Archive,
    stamp: Stamp,
    *,
    columns: Iterable[Column],
    digits: Mapping[str, int],
    progress: ProgressReporter,
    warn: Callable[[Warnings, tuple[str, ...]], None],
    changes: Changes | None = None,
    redact: Redact | None = None,
) -> None:
    """Reads the pages of the plan that are not in the archive yet, and closes the archive.

    `columns` are the report's that are stored. `warn` gets what there is to say of the rows, as it was noticed and as
    sentences, before the archive is closed: nothing is read again after that. See `spooled_pages` for the rest.
    """
    flattener, notices = Flattener((*columns, DELETED), digits=digits), Warnings()
    pages = spooled_pages(client, plan, archive, notices, changes=changes, redact=redact, check=progress.check)
    with closing(pages):
        for batch in batches(progress.counting(pages), flattener, stamp):
            archive.write(batch)
    archive.skipped = tuple(notices)
    warn(notices, warnings_of(notices, flattener))
    archive.close()
    check_archive(archive, progress.rows)


def build_load(plan: Plan, identity: AccountIdentity, *, run: str, table: str, method: Method) -> Load:
    """How the rows of a plan come into a table; callers add what only their kind of run has."""
    report, scope = plan.report, scope_of(plan, identity)
    return Load(
        run=run,
        table=table,
        method=method,
        scope=scope,
        report=report.key,
        account=identity.id,
        primary_key=report.primary_key,
        created=report.created,
        order=report.order,
        comments={column.name: column.description for column in (*report.columns, *SYSTEM_COLUMNS)},
        comment=f"{report.title}: {report.description}",
    )


def spooled_pages(
    client: Client,
    plan: Plan,
    archive: Archive,
    notices: Warnings,
    *,
    changes: Changes | None = None,
    redact: Redact | None = None,
    check: Callable[[], None] | None = None,
) -> Generator[Page, None, None]:
    """What an earlier attempt left in the spool, then the rest from Stripe, each page in the spool before it is given.

    With `changes` only those are read.
    `redact` is done to what Stripe sends. What `check` raises, which is called while nothing comes, ends the reading.
    """
    earlier = ResumeState(plan.report)
    for page in read_spool(archive.spool.path):
        earlier.add(page)
        yield page

    def keep(page: Page) -> Page:
        kept = page if redact is None else redacted(page, redact)
        archive.spool.append(kept)
        return kept

    # Kept when it arrives: what waits to be shaped would be lost with the process.
    fresh = read(
        client,
        plan.report,
        plan.window,
        notices=notices,
        params=plan.params,
        limit=plan.limit,
        earlier=earlier,
        changes=changes,
        check=check,
        keep=keep,
    )
    with closing(fresh):
        try:
            yield from fresh
        except CounterfoilError as error:
            # A page that is kept already was wrong, and nothing shows which: the next attempt reads all of them anew.
            if error.code == CONTRADICTION:
                archive.spool.empty()
            raise


def batches(pages: Iterable[Page], flattener: Flattener, stamp: Stamp) -> Iterator[pa.RecordBatch]:
    """The pages' objects in batches of about BATCH_ROWS rows; no row, no batch.

    All of them are stamped with the time of the first page: whatever changed at Stripe later may be missing in any.
    """
    synced_at: int | None = None
    for page in pages:
        synced_at = synced_at or page.date
        flattener.add(page.objects)
        if flattener.rows >= BATCH_ROWS:
            yield _batch(flattener, stamp, synced_at)
    if flattener.rows:
        yield _batch(flattener, stamp, synced_at)


def _batch(flattener: Flattener, stamp: Stamp, synced_at: int | None) -> pa.RecordBatch:
    if not synced_at:
        raise StripeUnavailable("Stripe's answer does not say when it was made", hint="Try again later.")
    return with_system(
        flattener.flush(),
        account=stamp.account,
        run=stamp.run,
        synced_at=datetime.fromtimestamp(synced_at, UTC),
        api_version=stamp.api_version,
    )


def check_archive(archive: Archive, rows: int) -> None:
    """Refuses a closed archive that does not hold the rows that were read."""
    kept = sum(part.rows for part in archive.parts())
    if kept != rows or not archive.folder.is_dir():
        raise RunError(
            f"Of {rows:,} rows that were read, {kept:,} are in the archive {archive.folder}",
            hint="Something else removes files there. The table is as it was; run this again.",
        )


def warnings_of(notices: Iterable[str], flattener: Flattener) -> tuple[str, ...]:
    """What a run has to tell of its rows, a sentence each."""
    # A new field without a value is nothing to act on.
    return (*notices, *(drift.message for drift in flattener.drift.values() if drift.example != "null"))
