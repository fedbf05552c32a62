"""One run from Stripe to a table, without a service: plan, extract, load, in a row."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from counterfoil.archive import Archive, claim
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import SYSTEM_COLUMNS
from counterfoil.destinations import Destination
from counterfoil.errors import CounterfoilError
from counterfoil.extract import Notices, read
from counterfoil.runs.extract import batches, stamp_of
from counterfoil.runs.overwriting import Confirm, check_table
from counterfoil.runs.plan import Plan
from counterfoil.runs.progress import Observe, Progress, Stage
from counterfoil.settings import Settings
from counterfoil.stripe.client import Client
from counterfoil.stripe.loop import run as wait_for
from counterfoil.values import Load, Method, Page

#: Progress is told at most this often, but for the first and the last of a stage.
_TOLD_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What one pull did. `rows` are those that it loaded, `columns` those of the table."""

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

    @classmethod
    def failed(cls, report: str, error: CounterfoilError) -> Pulled:
        """The result of a pull that ended with an error."""
        return cls(report=report, table="", destination="", error=str(error), hint=error.hint)

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
    confirm: Confirm | None = None,
    observe: Observe,
) -> Pulled:
    """Loads what the plan reads into `table`.

    Until the load's transaction ends, the table stays as it was, whatever happens. A replace that would leave fewer
    rows than the table was loaded with is asked about with `confirm`, and refused when there is nobody to ask.
    """
    watch = Watch(client, plan.report.key, observe)
    watch.tell("connecting")
    identity = wait_for(client.account())
    if not overwrite:
        check_table(destination, plan, table, method, account=identity.id, confirm=confirm)
    stamp = stamp_of(plan.report, run=new_run_id(), account=identity.id, synced_at=client.date)
    flattener = Flattener(plan.report.columns, digits=settings.currency_digits)
    schema = arrow_schema((*plan.report.columns, *SYSTEM_COLUMNS))
    notices = Notices()
    with claim(settings.archive, _archive_name(client, destination, plan, table)) as folder:
        rows = 0
        pages = read(client, plan.report, plan.window, notices=notices, params=plan.params, limit=plan.limit)
        with Archive(folder, schema) as archive, closing(pages):
            for batch in batches(_spooled(archive, pages, watch), flattener, stamp):
                archive.write(batch)
                rows += batch.num_rows
        load = Load(
            run=stamp.run,
            table=table,
            method=method,
            scope={**plan.scope, "report": plan.report.key, "account": identity.id},
            report=plan.report.key,
            account=identity.id,
            primary_key=plan.report.primary_key,
            order=plan.report.order,
            comments={column.name: column.description for column in (*plan.report.columns, *SYSTEM_COLUMNS)},
            comment=f"{plan.report.title}: {plan.report.description}",
            overwrite=overwrite,
        )
        watch.tell("loading", rows)
        loaded = destination.load(
            load, schema, archive.parts(), progress=lambda note: watch.tell("waiting", rows, note)
        )
    watch.tell("done", loaded)
    return Pulled(
        report=plan.report.key,
        table=table,
        destination=destination.name,
        rows=loaded,
        columns=len(schema),
        requests=watch.requests,
        seconds=round(watch.seconds, 3),
        # A new field without a value is nothing to act on.
        warnings=(*notices, *(drift.message for drift in flattener.drift.values() if drift.example != "null")),
    )


class Watch:
    """Counts what a run spends, and tells whoever watches, not too often."""

    def __init__(self, client: Client, report: str, observe: Observe) -> None:
        self._client = client
        self._report = report
        self._observe = observe
        self._started = time.monotonic()
        self._before = sum(client.requests.values())
        self._retries_before = client.retries
        self._told_at = 0.0
        self._stage: Stage | None = None

    @property
    def requests(self) -> int:
        """Requests since the watch began."""
        return sum(self._client.requests.values()) - self._before

    @property
    def seconds(self) -> float:
        """Since the watch began."""
        return time.monotonic() - self._started

    def tell(self, stage: Stage, rows: int = 0, note: str = "") -> None:
        """Passes a moment on."""
        now = time.monotonic()
        if stage == self._stage and now - self._told_at < _TOLD_SECONDS:
            return
        self._stage, self._told_at = stage, now
        retries = self._client.retries - self._retries_before
        self._observe(Progress(self._report, stage, rows, self.requests, retries, note))


def _spooled(archive: Archive, pages: Iterator[Page], watch: Watch) -> Iterator[Page]:
    rows = 0
    for page in pages:
        archive.spool.append(page)
        rows += len(page.objects)
        watch.tell("reading", rows)
        yield page


def new_run_id() -> str:
    """Sorts by time, and differs between runs that start in the same second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _archive_name(client: Client, destination: Destination, plan: Plan, table: str) -> str:
    """The same for the same pull, so that a later one finds what a killed one left."""
    told = [client.fingerprint, plan.report.key, plan.scope, destination.name, table]
    return f"pull-{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]}"
