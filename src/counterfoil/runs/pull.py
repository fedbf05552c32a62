"""One run from Stripe to a table without a service: plan, extract, load."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from counterfoil.archive import Archive, check_part_keys, claim, sweep
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import SYSTEM_COLUMNS
from counterfoil.destinations import Destination
from counterfoil.errors import CounterfoilError, RunError
from counterfoil.http.async_bridge import run as wait_for
from counterfoil.runs.explain import Explain, Explainer, Explanation
from counterfoil.runs.loads.size_check import check_size
from counterfoil.runs.pipeline import build_load, extract, new_run_id, stamp_of, store_stamp, stored_stamp
from counterfoil.runs.plans.overwrite_check import Confirm, check_table
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.runs.progress import Observe, ProgressReporter
from counterfoil.runs.resume import age_of_pages, drop_contradictory_pages, drop_old_pages
from counterfoil.settings import Settings
from counterfoil.stripe.client import API_VERSION, Client
from counterfoil.values import Method

_ALLOW_SHRINK = "If these rows were deleted at Stripe, repeat this pull with --resume --allow-shrink."


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """The result of a pull. `rows` counts the loaded rows, `columns` the table's columns."""

    report: str
    table: str
    destination: str
    rows: int = 0
    columns: int = 0
    requests: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    error: str | None = None
    hint: str | None = None
    #: None unless requested.
    explained: Explanation | None = None

    @classmethod
    def failed(cls, error: CounterfoilError, **known: Any) -> Pulled:
        """The result of a pull that ended with an error; `known` are the values of other fields."""
        return cls(**known, error=str(error), hint=error.hint)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def pull(
    client: Client,
    destination: Destination,
    plan: Plan,
    *,
    table: str,
    method: Method,
    settings: Settings,
    overwrite: bool = False,
    resume: bool = False,
    allow_shrink: bool = False,
    confirm: Confirm | None = None,
    observe: Observe,
    explain: Explain | None = None,
) -> Pulled:
    """Loads the plan's rows into `table`; calls `explain` with the estimated cost first.

    The table is unchanged until the load's transaction commits. The pages of a failed or killed pull are stored; with
    `resume`, the next identical pull continues from them.
    """
    progress = ProgressReporter(client, plan.report.key, observe)
    progress.tell("connecting")
    identity = wait_for(client.account())
    overwrite = overwrite and method == "replace"
    check_table(destination, plan, table, method, identity=identity, overwrite=overwrite, confirm=confirm)
    schema = arrow_schema((*plan.report.columns, *SYSTEM_COLUMNS))
    warnings: list[str] = []
    sweep(settings.archive, now=time.time())
    with claim(settings.archive, _archive_name(client, destination, plan, table), keep=resume) as folder:
        aged = drop_contradictory_pages(folder, plan)
        aged += drop_old_pages(folder, now=client.date or int(time.time()))
        stamp = stored_stamp(folder) or stamp_of(plan.report, run=new_run_id(), account=identity.id)
        store_stamp(folder, stamp)
        with Archive(folder, schema) as archive, resume_hint(archive):
            aged += age_of_pages(archive)
            explaining = Explainer(client, plan, settings, archive.ledger, explain)
            extract(
                client,
                plan,
                archive,
                stamp,
                columns=plan.report.columns,
                digits=settings.currency_digits,
                progress=progress,
                warn=lambda _, sentences: warnings.extend(sentences),
            )
            _check_rows(archive, plan)
            if not allow_shrink:
                note = check_size(destination, table, plan, method, rows=progress.rows, hint=_ALLOW_SHRINK)
                aged += [note] if note else []
            progress.tell("loading")
            loaded = destination.load(
                replace(build_load(plan, identity, run=stamp.run, table=table, method=method), overwrite=overwrite),
                schema,
                archive.parts(),
                progress=lambda note: progress.tell("waiting", note=note),
            )
    progress.tell("done")
    return Pulled(
        report=plan.report.key,
        table=table,
        destination=destination.name,
        rows=loaded.rows,
        columns=len(schema),
        requests=progress.requests,
        seconds=round(progress.seconds, 3),
        warnings=(*aged, *warnings),
        explained=explaining.ended(archive.ledger),
    )


def _check_rows(archive: Archive, plan: Plan) -> None:
    """Rejects missing and duplicate keys; removes the pages, so that no later pull resumes from them."""
    try:
        check_part_keys(archive.parts(), plan.report.primary_key, report=plan.report.title)
    except RunError:
        archive.remove()
        raise


@contextmanager
def resume_hint(archive: Archive) -> Iterator[None]:
    """Adds to an error's hint, or to an interrupt's notes, that the pull can be resumed."""
    try:
        yield
    except (CounterfoilError, KeyboardInterrupt) as error:
        if archive.spool.ledger.pages and archive.folder.is_dir():
            resume = "Pass --resume to continue from the stored pages."
            if isinstance(error, CounterfoilError):
                error.hint = f"{error.hint} {resume}" if error.hint else resume
            else:
                error.add_note(resume)
        raise


def _archive_name(client: Client, destination: Destination, plan: Plan, table: str) -> str:
    """The same name for identical pulls, so that a later one finds the pages of a killed one."""
    parts = [client.fingerprint, API_VERSION, plan.report.key, plan.scope, destination.name, table]
    return f"pull-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}"
