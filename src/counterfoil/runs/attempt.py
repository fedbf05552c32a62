"""One attempt of a dataset's run, in steps that can each be done again: plan, extract, load, finish.

What an attempt read is kept in the run's archive, so that a later one, or the same one after a crash, goes on behind
it. Each step takes the run over: what an earlier process of it still does is refused.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from counterfoil.archive import Archive, read_ledger, verify
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.redact import Redact, redaction
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import DELETED, SYSTEM_COLUMNS
from counterfoil.destinations import Destination, open_destination
from counterfoil.errors import RunError
from counterfoil.extract import Notices
from counterfoil.runs.dataset_plan import DatasetPlan, as_json, from_json, plan_run
from counterfoil.runs.endings import Endings
from counterfoil.runs.extract import Stamp, batches, check_archive, spooled_pages, stamp_of, warnings_of
from counterfoil.runs.overwriting import at_stake, scope_of
from counterfoil.runs.reverting import back_to, replayed
from counterfoil.runs.signals import Signals
from counterfoil.settings import Settings
from counterfoil.state.accounts import Accounts
from counterfoil.state.database import Clock
from counterfoil.state.datasets import Dataset, Datasets, Target
from counterfoil.state.hash_keys import HashKeys
from counterfoil.state.run import Counts, Run, TakenOver
from counterfoil.state.runs import Runs
from counterfoil.stripe.client import Client
from counterfoil.stripe.loop import run as wait_for
from counterfoil.values import Load, Loaded, Page, Part

#: How often a run is told how far it is.
_TOLD_EVERY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What the steps read and write of the state."""

    accounts: Accounts
    datasets: Datasets
    runs: Runs
    hash_keys: HashKeys
    settings: Settings
    now: Clock


def archive_of(settings: Settings, run: str) -> Path:
    """The folder of what a run read."""
    return settings.archive / "runs" / run


class Attempt:
    """The steps of every attempt in this process. Safe to share between threads."""

    def __init__(self, records: Records, *, stopping: threading.Event | None = None) -> None:
        self._records = records
        self._stopping = stopping or threading.Event()
        self._endings = Endings(records.datasets, records.runs, records.now)

    def plan(self, run: str, attempt: int) -> str:
        """Fixes what is read, the first time; refuses a table that is not ours to write."""
        with self._taken(run, attempt) as (found, owner):
            if found.plan:
                return "planned"
            dataset = self._records.datasets.get(found.dataset)
            if dataset.deadline_minutes is not None and found.deadline_at is None:
                deadline_at = self._records.now() + timedelta(minutes=dataset.deadline_minutes)
                self._records.runs.update(run, owner=owner, deadline_at=deadline_at)
            self._check_method(dataset)
            with self._client(dataset, found, owner) as client:
                identity = wait_for(client.account())
                exist = all(place.columns(target.table) is not None for target, place in self._places(dataset))
                plan, why = plan_run(dataset, identity, date=client.date, tables_exist=exist)
                for target, place in self._places(dataset):
                    at_stake(place, plan.plan, target.table, plan.method, identity=identity)
            self._records.runs.update(run, owner=owner, plan=as_json(plan), **({} if why is None else {"reason": why}))
            if why is not None:
                self._records.runs.log(run, "info", why)
        return "planned"

    def extract(self, run: str, attempt: int) -> str:
        """Reads what is not in the archive yet, and cuts it into parts."""
        with self._taken(run, attempt) as (found, owner):
            if back_to(found):
                return "nothing"
            plan, folder = from_json(found.plan), archive_of(self._records.settings, run)
            dataset = self._records.datasets.get(found.dataset)
            if read_ledger(folder) is None:
                with self._client(dataset, found, owner) as client:
                    self._read(client, dataset, plan, found, owner, folder)
        return folder.name

    def load(self, run: str, attempt: int) -> str:
        """Brings the parts into each of the dataset's tables."""
        with self._taken(run, attempt) as (found, owner):
            bring = self._bringing(found)
            signals, runs = self._signals(run), self._records.runs
            loaded = Loaded()
            for target, place in self._places(self._records.datasets.get(found.dataset)):
                signals.check()
                runs.log(run, "info", f"Loading into {target.table} of {place.name}.")
                loaded = bring(
                    place,
                    target.table,
                    progress=lambda note: runs.log(run, "info", note),
                    guard=lambda: self._check_owner(run, owner),
                    stop=signals.stop,
                )
                runs.record_load(run, target.url, target.table, str(found.plan.get("method", "replace")), loaded.rows)
            counts = replace(found.counts, added=loaded.added, changed=loaded.changed, deleted=loaded.deleted)
            runs.update(run, owner=owner, counts=counts)
        return "loaded"

    def _bringing(self, found: Run) -> Callable[..., Loaded]:
        """What brings the run's rows, or those of the run that it goes back to, into a table of a destination."""
        other = back_to(found)
        if other is None:
            plan, parts = from_json(found.plan), self._parts(found.id)
            return lambda place, table, **how: place.load(load_of(plan, found.id, table), schema_of(plan), parts, **how)
        chain = replayed(self._records.runs, self._records.settings, self._records.runs.get(other))
        kept = [(run, plan, self._parts(run.id)) for run, plan in chain]
        return lambda place, table, **how: place.replay(
            [(load_of(plan, run.id, table), parts) for run, plan, parts in kept],
            schema_of(kept[-1][1]),
            run=found.id,
            **how,
        )

    def finish(self, run: str, attempt: int) -> str:
        """Ends the run well: the dataset's bookmark is this run's from now on."""
        found = self._records.runs.get(run)
        if found.status != "succeeded":
            with self._taken(run, attempt) as (found, owner):
                other = back_to(found)
                then = self._records.runs.get(other).bookmark if other else from_json(found.plan).bookmark
                self._endings.succeeded(found, owner, then)
        return "finished"

    def failed(self, run: str, attempt: int, error: Exception) -> float | None:
        """Ends the attempt, and the run with it unless there is another one; the seconds until that."""
        return self._endings.failed(run, attempt, error)

    @contextmanager
    def _taken(self, run: str, attempt: int) -> Iterator[tuple[Run, str]]:
        """The run, and the token with which it may be written from now on."""
        self._signals(run).check()
        owner = self._records.runs.begin_attempt(run, workflow=f"{run}-{attempt}")
        yield self._records.runs.get(run), owner

    def _read(self, client: Client, dataset: Dataset, plan: DatasetPlan, found: Run, owner: str, folder: Path) -> None:
        signals = self._signals(found.id)
        flattener = Flattener((*plan.chosen.columns, DELETED), digits=self._records.settings.currency_digits)
        notices = Notices()
        watch = _Watch(self._records, found, owner, client)
        with Archive(folder, schema_of(plan)) as archive:
            pages = spooled_pages(
                client, plan.plan, archive, notices, redact=self._redact(dataset, plan), check=signals.check
            )
            with closing(pages):
                for batch in batches(watch.counting(pages, signals), flattener, self._stamp(plan, found)):
                    archive.write(batch)
            archive.close()
        check_archive(archive, watch.rows)
        counts = Counts(read=watch.rows, bytes=sum(file.stat().st_size for file in folder.iterdir()))
        warnings = warnings_of(notices, flattener)
        for warning in warnings:
            self._records.runs.log(found.id, "warning", warning)
        self._records.runs.update(found.id, owner=owner, counts=counts, warnings=warnings)

    @staticmethod
    def _stamp(plan: DatasetPlan, found: Run) -> Stamp:
        return stamp_of(plan.plan.report, run=found.id, account=plan.account)

    def _redact(self, dataset: Dataset, plan: DatasetPlan) -> Redact | None:
        chosen = plan.chosen
        if not chosen.redacts:
            return None
        return redaction(chosen, self._records.hash_keys.key(dataset.account) if chosen.hashed else b"")

    @contextmanager
    def _client(self, dataset: Dataset, found: Run, owner: str) -> Iterator[Client]:
        """A client with the account's key; what it spends is added to the run's, also when it fails."""
        account = self._records.accounts.get(dataset.account)
        client = Client(
            self._records.accounts.key(account.id),
            api_base=account.api_base,
            stripe_account=account.stripe_account,
            settings=self._records.settings,
        )
        try:
            yield client
        finally:
            wait_for(client.close())
            self._records.runs.update(found.id, owner=owner, requests=_spent(found, client))

    def _check_method(self, dataset: Dataset) -> None:
        for target, place in self._places(dataset):
            if dataset.method not in place.methods:
                raise RunError(
                    f"{target.url} cannot {dataset.method}", hint=f"It can {' and '.join(sorted(place.methods))}."
                )

    def _places(self, dataset: Dataset) -> Iterator[tuple[Target, Destination]]:
        for target in dataset.targets:
            place = open_destination(
                target.url, relative_to=self._records.settings.home, settings=self._records.settings
            )
            with closing(place):
                yield target, place

    def _parts(self, run: str) -> tuple[Part, ...]:
        ledger = read_ledger(archive_of(self._records.settings, run))
        if ledger is None:
            raise RunError(f"The archive of the run {run} is gone", hint="Run the dataset again.")
        for part in ledger.parts:
            verify(part)
        return ledger.parts

    def _signals(self, run: str) -> Signals:
        return Signals(self._records.runs, run, stopping=self._stopping, now=self._records.now)

    def _check_owner(self, run: str, owner: str) -> None:
        if not self._records.runs.owns(run, owner):
            raise TakenOver(f"Another attempt of the run {run} has taken over", hint="Nothing was written by this one.")


class _Watch:
    """Counts what an attempt reads, and tells the run, not too often."""

    def __init__(self, records: Records, run: Run, owner: str, client: Client) -> None:
        self._records = records
        self._run = run
        self._owner = owner
        self._client = client
        self._told_at = records.now()
        self.rows = 0

    def counting(self, pages: Iterable[Page], signals: Signals) -> Iterator[Page]:
        """Passes the pages on until a signal ends that."""
        for page in pages:
            signals.check()
            self.rows += len(page.objects)
            if self._records.now() - self._told_at >= _TOLD_EVERY:
                self._tell()
            yield page

    def _tell(self) -> None:
        self._told_at = self._records.now()
        self._records.runs.update(
            self._run.id, owner=self._owner, counts=Counts(read=self.rows), requests=_spent(self._run, self._client)
        )


def schema_of(plan: DatasetPlan) -> pa.Schema:
    """The table's columns."""
    return arrow_schema((*plan.chosen.columns, *SYSTEM_COLUMNS))


def load_of(plan: DatasetPlan, run: str, table: str) -> Load:
    """How a run's parts come into the table."""
    report = plan.plan.report
    columns = (*report.columns, *SYSTEM_COLUMNS)
    return Load(
        run=run,
        table=table,
        method=plan.method,
        scope=scope_of(plan.plan, plan.identity),
        report=report.key,
        account=plan.account,
        primary_key=report.primary_key,
        created=report.created,
        covers=plan.covers,
        as_of=plan.as_of,
        order=report.order,
        comments={column.name: column.description for column in columns},
        comment=f"{report.title}: {report.description}",
    )


def _spent(found: Run, client: Client) -> Mapping[str, int]:
    return dict(Counter(found.requests) + client.requests)
