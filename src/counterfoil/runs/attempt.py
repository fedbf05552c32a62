"""One attempt of a dataset's run, in steps that can each be done again: plan, extract, load, finish.

What an attempt read is kept in the run's archive, so that a later one, or the same one after a crash, goes on behind
it. Each step takes the run over: what an earlier process of it still does is refused.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from counterfoil.archive import Archive, read_ledger, verify
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.redact import Redact, redaction
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import DELETED, SYSTEM_COLUMNS
from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.destination import Stop
from counterfoil.errors import DestinationBusy, RunError
from counterfoil.extract import Notices
from counterfoil.runs.dataset_plan import DatasetPlan, Held, as_json, from_json, plan_run
from counterfoil.runs.endings import Endings
from counterfoil.runs.extract import Stamp, batches, check_archive, spooled_pages, stamp_of, warnings_of
from counterfoil.runs.overwriting import at_stake, scope_of
from counterfoil.runs.reverting import back_to, replayed
from counterfoil.runs.signals import Canceled, DeadlinePassed, Signals
from counterfoil.settings import Settings
from counterfoil.state.accounts import Accounts
from counterfoil.state.database import Clock
from counterfoil.state.datasets import Dataset, Datasets, Target
from counterfoil.state.hash_keys import HashKeys
from counterfoil.state.run import Counts, Run, TakenOver
from counterfoil.state.runs import Runs
from counterfoil.stripe.client import AccountIdentity, Client
from counterfoil.stripe.loop import run as wait_for
from counterfoil.stripe.loop import stream
from counterfoil.values import Load, Loaded, Page, Part

#: How often a run is told how far it is.
_TOLD_EVERY = timedelta(seconds=1)
#: How long a look at a table waits for a file that is held, before it is asked again whether to go on.
_LOOK_SECONDS = 1.0

_Seen = TypeVar("_Seen")


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
        self._endings = Endings(records.accounts, records.datasets, records.runs, records.now)
        #: The tokens of steps under way or failed, by run: only whoever holds the run may end it.
        self._owners: dict[str, str] = {}

    def plan(self, run: str, attempt: int) -> str:
        """Fixes what is read, the first time; refuses a table that is not ours to write."""
        signals = self._signals(run)
        signals.check()
        with self._taken(run, attempt) as (found, owner):
            if found.plan:
                return "planned"
            dataset = self._records.datasets.get(found.dataset)
            if dataset.deadline_minutes is not None and found.deadline_at is None:
                deadline_at = self._records.now() + timedelta(minutes=dataset.deadline_minutes)
                self._records.runs.update(run, owner=owner, deadline_at=deadline_at)
            self._check_method(dataset)
            with self._client(dataset.account, found, owner) as client:
                identity = _identity(client, signals)
                self._records.accounts.accept(dataset.account)
                holds = self._looked(dataset, found, signals, lambda target, place: _holds(dataset, target, place))
                plan, why = plan_run(dataset, identity, date=client.date, tables=tuple(holds))
                self._looked(
                    dataset,
                    found,
                    signals,
                    lambda target, place: at_stake(place, plan.plan, target.table, plan.method, identity=identity),
                )
            self._records.runs.update(run, owner=owner, plan=as_json(plan), **({} if why is None else {"reason": why}))
            if why is not None:
                self._records.runs.log(run, "info", why)
        return "planned"

    def extract(self, run: str, attempt: int) -> str:
        """Reads what is not in the archive yet, and cuts it into parts."""
        self._signals(run).check()
        with self._taken(run, attempt) as (found, owner):
            if back_to(found):
                return "nothing"
            plan, folder = from_json(found.plan), archive_of(self._records.settings, run)
            if read_ledger(folder) is None:
                with self._client(plan.credential, found, owner) as client:
                    self._read(client, plan, found, owner, folder)
            ledger = read_ledger(folder)
            if ledger is not None:
                size = sum(file.stat().st_size for file in folder.iterdir())
                counts = Counts(read=sum(part.rows for part in ledger.parts), bytes=size)
                self._records.runs.update(run, owner=owner, counts=counts)
        return folder.name

    def load(self, run: str, attempt: int) -> str:
        """Brings the parts into each of the dataset's tables."""
        with self._taken(run, attempt) as (found, owner):
            bring = self._bringing(found)
            signals, runs = self._signals(run), self._records.runs
            loaded = Loaded()
            for target, place in self._places(self._records.datasets.get(found.dataset)):
                stop = self._stop(found, target, signals)
                runs.log(run, "info", f"Loading into {target.table} of {place.name}.")
                loaded = bring(
                    place,
                    target.table,
                    progress=lambda note: runs.log(run, "info", note),
                    guard=lambda stop=stop: self._guard(run, owner, signals if stop else None),
                    stop=stop,
                )
                runs.record_load(run, target.url, target.table, str(found.plan.get("method", "replace")), loaded.rows)
            counts = replace(found.counts, added=loaded.added, changed=loaded.changed, deleted=loaded.deleted)
            runs.update(run, owner=owner, counts=counts)
        return "loaded"

    def _stop(self, found: Run, target: Target, signals: Signals) -> Stop | None:
        """What ends the load early; None for one that was done before its process was killed: nothing undoes it."""
        try:
            signals.check()
        except (Canceled, DeadlinePassed):
            if not self._has_load(found, target):
                raise
            return None
        return signals.stop

    def _has_load(self, found: Run, target: Target) -> bool:
        with closing(self._open(target, busy_seconds=0)) as place:
            try:
                return place.has_load(Load(run=found.id, table=target.table, method="replace"))
            except DestinationBusy:
                return False

    def _guard(self, run: str, owner: str, signals: Signals | None) -> None:
        """The last look before a load counts."""
        if signals is not None:
            signals.check(at_once=True)
        if not self._records.runs.owns(run, owner):
            raise TakenOver(f"Another attempt of the run {run} has taken over", hint="Nothing was written by this one.")

    def _bringing(self, found: Run) -> Callable[..., Loaded]:
        """What brings the run's rows, or those of the run that it goes back to, into a table of a destination."""
        other = back_to(found)
        if other is None:
            plan, parts = from_json(found.plan), self._parts(found.id)
            return lambda place, table, **how: place.load(load_of(plan, found.id, table), schema_of(plan), parts, **how)
        chain = replayed(self._records.runs, self._records.settings, self._records.runs.get(other))
        kept = [(run, plan, self._parts(run.id)) for run, plan in chain]
        start, first = chain[0]
        if first.method == "merge" and first.covers:
            note = f"Made anew from the run {start.id} on: rows that Stripe listed no longer by then are not in it."
            self._records.runs.log(found.id, "info", note)
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
                then = self._records.runs.get(other).bookmark if other else from_json(found.plan).bookmark(run)
                self._endings.succeeded(found, owner, then)
        return "finished"

    def failed(self, run: str, attempt: int, error: Exception) -> float | None:
        """Ends the attempt, and the run with it unless there is another one; the seconds until that."""
        return self._endings.failed(run, attempt, error, owner=self._owners.pop(run, None))

    @contextmanager
    def _taken(self, run: str, attempt: int) -> Iterator[tuple[Run, str]]:
        """The run, and the token with which it may be written from now on."""
        owner = self._records.runs.begin_attempt(run, workflow=f"{run}-{attempt}")
        self._owners[run] = owner
        yield self._records.runs.get(run), owner
        self._owners.pop(run, None)

    def _read(self, client: Client, plan: DatasetPlan, found: Run, owner: str, folder: Path) -> None:
        signals = self._signals(found.id)
        flattener = Flattener((*plan.chosen.columns, DELETED), digits=self._records.settings.currency_digits)
        notices = Notices()
        watch = _Watch(self._records, found, owner, client)
        with Archive(folder, schema_of(plan)) as archive:
            pages = spooled_pages(client, plan.plan, archive, notices, redact=self._redact(plan), check=signals.check)
            with closing(pages):
                for batch in batches(watch.counting(pages, signals), flattener, self._stamp(plan, found)):
                    archive.write(batch)
            # Before the archive is closed, for then nothing is read again.
            self._warn(found, owner, warnings_of(notices, flattener))
            archive.close()
        check_archive(archive, watch.rows)

    def _warn(self, found: Run, owner: str, warnings: tuple[str, ...]) -> None:
        for warning in warnings:
            self._records.runs.log(found.id, "warning", warning)
        self._records.runs.update(found.id, owner=owner, warnings=warnings)

    @staticmethod
    def _stamp(plan: DatasetPlan, found: Run) -> Stamp:
        return stamp_of(plan.plan.report, run=found.id, account=plan.account)

    def _redact(self, plan: DatasetPlan) -> Redact | None:
        chosen = plan.chosen
        if not chosen.redacts:
            return None
        return redaction(chosen, self._records.hash_keys.key(plan.credential) if chosen.hashed else b"")

    @contextmanager
    def _client(self, credential: str, found: Run, owner: str) -> Iterator[Client]:
        """A client with the key of one of our accounts; what it spends is added to the run's, also when it fails."""
        account = self._records.accounts.get(credential)
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

    def _places(self, dataset: Dataset, *, busy_seconds: float | None = None) -> Iterator[tuple[Target, Destination]]:
        for target in dataset.targets:
            with closing(self._open(target, busy_seconds=busy_seconds)) as place:
                yield target, place

    def _open(self, target: Target, *, busy_seconds: float | None) -> Destination:
        settings = self._records.settings
        if busy_seconds is not None:
            settings = settings.model_copy(update={"busy_seconds": min(busy_seconds, settings.busy_seconds)})
        return open_destination(target.url, relative_to=settings.home, settings=settings)

    def _looked(
        self, dataset: Dataset, found: Run, signals: Signals, look: Callable[[Target, Destination], _Seen]
    ) -> list[_Seen]:
        """What is seen in each of the dataset's tables; a signal ends the wait for a file that is held."""
        seen: list[_Seen] = []
        patience = self._records.settings.busy_seconds
        for target, place in self._places(dataset, busy_seconds=_LOOK_SECONDS):
            until, told = time.monotonic() + patience, False
            while True:
                signals.check()
                try:
                    seen.append(look(target, place))
                    break
                except DestinationBusy as busy:
                    held = busy.message.partition(", after waiting")[0]
                    if time.monotonic() >= until:
                        raise DestinationBusy(f"{held}, after waiting {patience:g} seconds", hint=busy.hint) from busy
                    if not told:
                        self._records.runs.log(found.id, "info", f"{held}; waiting for it.")
                        told = True
        return seen

    def _parts(self, run: str) -> tuple[Part, ...]:
        ledger = read_ledger(archive_of(self._records.settings, run))
        if ledger is None:
            raise RunError(f"The archive of the run {run} is gone", hint="Run the dataset again.")
        for part in ledger.parts:
            verify(part)
        return ledger.parts

    def _signals(self, run: str) -> Signals:
        return Signals(self._records.runs, run, stopping=self._stopping, now=self._records.now)


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


def _identity(client: Client, signals: Signals) -> AccountIdentity:
    """Whom the key reads; a signal ends the wait for Stripe's answer."""

    async def ask() -> AsyncIterator[AccountIdentity]:
        yield await client.account()

    with closing(stream(ask, check=signals.check)) as answers:
        return next(answers)


def _holds(dataset: Dataset, target: Target, place: Destination) -> Held:
    """What of the dataset is in the table."""
    if place.columns(target.table) is None:
        return "nothing"
    last = (dataset.bookmark or {}).get("run")
    if last is None or not place.has_load(Load(run=last, table=target.table, method="replace")):
        return "other"
    return "last"


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
