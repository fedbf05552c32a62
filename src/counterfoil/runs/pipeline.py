"""The steps that all runs share: archive pages, make batches of rows, build the load."""

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

#: Rows of a batch: enough to spread the cost of a column, few enough to fit into some tens of megabytes.
BATCH_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """The values of the system columns for every row of a run."""

    run: str
    account: str
    api_version: str


def stamp_of(report: Report, *, run: str, account: str) -> Stamp:
    """The stamp of a run; a report can use another API version than the one that the client pins."""
    source = report.source
    version = source.api_version if isinstance(source, Listing) else None
    return Stamp(run, account, version or API_VERSION)


def store_stamp(folder: Path, stamp: Stamp) -> None:
    """Stores the stamp in the archive, so that a later process can resume as the same run."""
    partial = folder / "run.json.partial"
    partial.write_text(json.dumps(asdict(stamp)))
    partial.replace(folder / "run.json")


def stored_stamp(folder: Path) -> Stamp | None:
    """The stamp of the interrupted run in this folder; None if there is none."""
    try:
        return Stamp(**json.loads((folder / "run.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def new_run_id() -> str:
    """An id that sorts by time and differs between runs that start in the same second."""
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

    `columns` are the stored columns of the report. `warn` gets the warnings about the rows before the archive is
    closed, because no row is read again after that. See `spooled_pages` for the other arguments.
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
    """The load of a plan's rows into a table; callers add the fields that only their kind of run has."""
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
    """The pages that an earlier attempt left in the spool, then the rest from Stripe.

    Each page is in the spool before it is yielded. With `changes`, only changed objects are read. `redact` is applied
    to Stripe's objects. `check` is called while no page arrives; an exception from it ends the reading.
    """
    earlier = ResumeState(plan.report)
    for page in read_spool(archive.spool.path):
        earlier.add(page)
        yield page

    def keep(page: Page) -> Page:
        kept = page if redact is None else redacted(page, redact)
        archive.spool.append(kept)
        return kept

    # Pages are stored when they arrive: pages that wait to be flattened would be lost in a crash.
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
            # A stored page is wrong, and it is unknown which one: the next attempt reads all of them again.
            if error.code == CONTRADICTION:
                archive.spool.empty()
            raise


def batches(pages: Iterable[Page], flattener: Flattener, stamp: Stamp) -> Iterator[pa.RecordBatch]:
    """The pages' objects in batches of about BATCH_ROWS rows; no batch is empty.

    All batches have the time of the first page, because later changes at Stripe may be missing from any of them.
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
        raise StripeUnavailable("Stripe's response has no date", hint="Try again later.")
    return with_system(
        flattener.flush(),
        account=stamp.account,
        run=stamp.run,
        synced_at=datetime.fromtimestamp(synced_at, UTC),
        api_version=stamp.api_version,
    )


def check_archive(archive: Archive, rows: int) -> None:
    """Raises RunError if a closed archive does not hold all rows that were read."""
    stored = sum(part.rows for part in archive.parts())
    if stored != rows or not archive.folder.is_dir():
        raise RunError(
            f"the archive {archive.folder} holds {stored:,} of {rows:,} rows; the table is unchanged",
            hint="Make sure that no other program removes files there, then run this again.",
        )


def warnings_of(notices: Iterable[str], flattener: Flattener) -> tuple[str, ...]:
    """A run's warnings about its rows."""
    # A new field without a value needs no action.
    return (*notices, *(drift.message for drift in flattener.drift.values() if drift.example != "null"))
