"""One attempt of a dataset's run, in repeatable steps: plan, extract, load, prove, finish.

The rows that an attempt reads are stored in the run's archive. A later attempt, or the same one after a crash, resumes
from there. Each step takes ownership of the run, which rejects writes of an earlier process.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from counterfoil.archive import Archive, Ledger, read_ledger
from counterfoil.columns.redact import Redact, redaction
from counterfoil.destinations import Destination
from counterfoil.errors import KeyRejected, PermissionMissing, RunError
from counterfoil.extract import Warnings
from counterfoil.http.async_bridge import run as wait_for
from counterfoil.http.async_bridge import stream
from counterfoil.reports.catalogue import report as report_of
from counterfoil.runs.cancellation import Cancellation
from counterfoil.runs.checks.run_checks import PROOF_SECONDS, Prover
from counterfoil.runs.clients import client_of, confirm_rejected
from counterfoil.runs.clocks import Clocks
from counterfoil.runs.loads.backfill import Backlog, backlog_of, same_state
from counterfoil.runs.loads.load import RunLoader, ledger_of
from counterfoil.runs.loads.rollback import rollback_target
from counterfoil.runs.loads.table_load import holds, schema_of
from counterfoil.runs.loads.targets import TargetDestinations
from counterfoil.runs.outcome import Outcomes
from counterfoil.runs.pipeline import extract, stamp_of
from counterfoil.runs.plans.dataset_plan import DatasetPlan, Held, as_json, from_json, is_planned, plan_run
from counterfoil.runs.plans.overwrite_check import overwrite_risk
from counterfoil.runs.plans.sync_state import SyncState, state_after_changes, state_after_full_refresh
from counterfoil.runs.progress import Progress, ProgressReporter
from counterfoil.runs.resume import drop_contradictory_pages
from counterfoil.runs.run_context import RunContext, archive_of
from counterfoil.state.datasets import Dataset, Target
from counterfoil.state.run import Counts, Run
from counterfoil.stripe.client import AccountIdentity, Client
from counterfoil.stripe.retries import PROOF, Backoff

T = TypeVar("T")

#: Interval between updates of the run's record during extraction.
_REPORT_SECONDS = 1.0


class Attempt:
    """Runs the steps of all attempts in this process. Safe to share between threads."""

    def __init__(self, records: RunContext, *, stopping: threading.Event | None = None) -> None:
        self._records = records
        self._stopping = stopping or threading.Event()
        self._endings = Outcomes(records)
        self._destinations = TargetDestinations(records)
        #: The ownership tokens of running and failed steps, by run: only the owner may end a run.
        self._owners: dict[str, str] = {}

    def plan(self, run: str, attempt: int) -> str:
        """Makes and stores the run's plan unless it has one; raises for a table that the run may not write."""
        cancellation = self._cancellation(run)
        cancellation.check()
        with self._taken(run, attempt) as (found, owner):
            if is_planned(found.plan):
                return "planned"
            dataset = self._records.datasets.get(found.dataset)
            if dataset.deadline_minutes is not None and found.deadline_at is None:
                deadline_at = self._records.now() + timedelta(minutes=dataset.deadline_minutes)
                self._records.runs.update(run, owner=owner, deadline_at=deadline_at)
            self._check_method(dataset)
            self._destinations.check(dataset)
            with self._client(dataset.account, found, owner) as client:
                identity = _waited(client.account, cancellation)
                self._records.accounts.accept(dataset.account)
                clocks = Clocks(client.date, int(self._records.now().timestamp()))
                clocks.check_bookmark(dataset.bookmark, dataset.name)
                plan, why = self._planned(
                    dataset, identity, client, clocks.earlier, self._held(dataset, run, cancellation), cancellation
                )
                plan = replace(plan, warnings=clocks.warnings)
                self._destinations.looked(
                    dataset,
                    run,
                    cancellation,
                    lambda target, destination: overwrite_risk(
                        destination, plan.plan, target.table, plan.method, identity=identity
                    ),
                )
            plan = replace(plan, allow_shrink=bool(found.plan.get("allow_shrink")))
            reason = {} if why is None else {"reason": why}
            self._records.runs.update(run, owner=owner, plan=as_json(plan), warnings=plan.warnings, **reason)
            for warning in plan.warnings:
                self._records.runs.log(run, "warning", warning, clock_difference_seconds=clocks.difference)
            if why is not None:
                self._records.runs.log(run, "info", why)
        return "planned"

    def _planned(
        self,
        dataset: Dataset,
        identity: AccountIdentity,
        client: Client,
        date: int,
        held: tuple[Held, ...],
        cancellation: Cancellation,
    ) -> tuple[DatasetPlan, str | None]:
        """The run's plan, and the reason for a full refresh, such as a key without permission to read events."""
        most = self._records.settings.reread_requests
        plan, why = plan_run(dataset, identity, date=date, tables=held, most_requests=most)
        events = report_of(dataset.report).events
        if plan.changes is not None and events:
            try:
                _waited(partial(client.get, "/v1/events", {"limit": 1, "type": events[0].type}), cancellation)
            except PermissionMissing as missing:
                permission = missing.permission or "rak_event_read"
                return plan_run(
                    dataset,
                    identity,
                    date=date,
                    why=f"Full refresh: the key lacks the permission {permission} to read events.",
                )
        return plan, why

    def extract(self, run: str, attempt: int) -> str:
        """Reads the pages that are not in the archive yet, and writes their rows as parts."""
        self._cancellation(run).check()
        with self._taken(run, attempt) as (found, owner):
            if rollback_target(found):
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
        """Loads the parts into each of the dataset's tables; retries or skips tables that are unavailable."""
        with self._taken(run, attempt) as (found, owner):
            dataset, hold = self._records.datasets.get(found.dataset), self._prover(found).before_load
            outcome = RunLoader(
                records=self._records,
                destinations=self._destinations,
                dataset=dataset,
                run=found,
                owner=owner,
                cancellation=self._cancellation(run),
                check=hold if dataset.proof.hold else None,
            ).all()
            done = outcome.done
            counts = replace(found.counts, added=done.added, changed=done.changed, deleted=done.deleted)
            self._records.runs.update(run, owner=owner, counts=counts)
            if outcome.failed:
                self._endings.report_behind(self._records.runs.get(run), attempt, outcome.failed, owner=owner)
        return "loaded"

    def prove(self, run: str, attempt: int) -> str:
        """Compares the loaded rows with the archive and with Stripe. A failed check does not fail the run."""
        with self._taken(run, attempt) as (found, owner):
            prover = self._prover(found)
            if rollback_target(found) or prover.dataset.proof.after == "none":
                return "nothing"
            prover.after_load(
                self._destinations.each(prover.dataset, busy_seconds=PROOF_SECONDS),
                lambda: self._client(from_json(found.plan).credential, found, owner, backoff=PROOF),
                self._cancellation(run),
            )
        return "proved"

    def _prover(self, found: Run) -> Prover:
        return Prover(records=self._records, dataset=self._records.datasets.get(found.dataset), run=found)

    def finish(self, run: str, attempt: int) -> str:
        """Ends the run as succeeded and makes its bookmark the dataset's, unless that changed during the run."""
        found = self._records.runs.get(run)
        if found.status != "succeeded":
            with self._taken(run, attempt) as (found, owner):
                other = rollback_target(found)
                then = self._records.runs.get(other).bookmark if other else self._bookmark(found)
                self._endings.succeeded(found, owner, then, goes_on=other is not None or self._goes_on(found))
        return "finished"

    def _goes_on(self, found: Run) -> bool:
        """Whether the dataset still has the bookmark that the run was planned with; a reload clears it."""
        bookmark = self._records.datasets.get(found.dataset).bookmark or {}
        return bookmark.get("run") == from_json(found.plan).after

    def _bookmark(self, found: Run) -> Mapping[str, Any]:
        """The dataset's bookmark after this run."""
        plan, sync_state = from_json(found.plan), None
        if plan.merge is not None:
            sync_state = _standing(plan, found, ledger_of(self._records, found.id))
        return plan.bookmark(found.id, sync_state)

    def failed(self, run: str, attempt: int, error: Exception) -> float | None:
        """Ends the attempt. Returns the seconds until the next one; None if there is none and the run has ended."""
        again = self._endings.failed(run, attempt, error, owner=self._owners.get(run))
        self._owners.pop(run, None)
        return again

    @contextmanager
    def _taken(self, run: str, attempt: int) -> Iterator[tuple[Run, str]]:
        """Takes ownership of the run; yields the run and the token that its writes need."""
        owner = self._records.runs.begin_attempt(run, workflow=f"{run}-{attempt}")
        self._owners[run] = owner
        yield self._records.runs.get(run), owner
        self._owners.pop(run, None)

    def _read(self, client: Client, plan: DatasetPlan, found: Run, owner: str, folder: Path) -> None:
        runs = self._records.runs

        def report(progress: Progress) -> None:
            runs.update(found.id, owner=owner, counts=Counts(read=progress.rows), requests=_spent(found, client))

        def warn(notices: Warnings, sentences: tuple[str, ...]) -> None:
            for sentence, count in notices.counts.items():
                runs.log(found.id, "info", f"{sentence}: {count:,}")
            self._warn(found, owner, plan, sentences)

        if plan.changes is not None:
            # Objects that an earlier attempt read may have changed again: read all of them again.
            shutil.rmtree(folder, ignore_errors=True)
        self._warn(found, owner, plan, tuple(drop_contradictory_pages(folder, plan.plan)))
        key, check = plan.plan.report.key, self._cancellation(found.id).check
        with Archive(folder, schema_of(plan)) as archive:
            extract(
                client,
                plan.plan,
                archive,
                stamp_of(plan.plan.report, run=found.id, account=plan.account),
                columns=plan.chosen.columns,
                digits=self._records.settings.currency_digits,
                progress=ProgressReporter(client, key, report, every_seconds=_REPORT_SECONDS, check=check),
                warn=warn,
                changes=plan.changes,
                redact=self._redact(plan),
            )

    def _warn(self, found: Run, owner: str, plan: DatasetPlan, warnings: tuple[str, ...]) -> None:
        """Logs warnings, and adds them to those of the plan and of earlier attempts."""
        for warning in warnings:
            self._records.runs.log(found.id, "warning", warning)
        known = self._records.runs.get(found.id).warnings
        merged = tuple(dict.fromkeys((*plan.warnings, *known, *warnings)))
        self._records.runs.update(found.id, owner=owner, warnings=merged)

    def _redact(self, plan: DatasetPlan) -> Redact | None:
        chosen = plan.chosen
        if not chosen.redacts:
            return None
        return redaction(chosen, self._records.hash_keys.key(plan.credential) if chosen.hashed else b"")

    @contextmanager
    def _client(self, credential: str, found: Run, owner: str, *, backoff: Backoff | None = None) -> Iterator[Client]:
        """A client with the key of an account. Its requests are added to the run's, even after an error.

        A rejection of the key is confirmed with a second request.
        """
        client = client_of(self._records, credential, backoff=backoff)
        try:
            yield client
        except KeyRejected as rejected:
            confirm_rejected(client, rejected, self._records.settings.key_confirm_seconds, self._cancellation(found.id))
            raise
        finally:
            wait_for(client.close())
            self._records.runs.update(found.id, owner=owner, requests=_spent(found, client))

    def _check_method(self, dataset: Dataset) -> None:
        for _, destination in self._destinations.each(dataset):
            if dataset.method not in destination.kind.methods:
                raise RunError(
                    f"{destination.name} does not support the update method {dataset.method}",
                    hint=f"Use {' or '.join(sorted(destination.kind.methods))}.",
                )

    def _held(self, dataset: Dataset, run: str, cancellation: Cancellation) -> tuple[Held, ...]:
        """What each table holds. Tables that archives can backfill are left out: they need no full refresh."""
        last = (dataset.bookmark or {}).get("run")
        ids = () if last is None else same_state(self._records, dataset, last)

        def look(target: Target, destination: Destination) -> tuple[Held, Backlog | None]:
            held, backlog = holds(ids, target, destination), None
            if ids and len(dataset.targets) > 1:
                with suppress(RunError):
                    backlog = backlog_of(self._records, dataset, target, destination)
            return held, backlog

        looked = self._destinations.looked(dataset, run, cancellation, look).values()
        if all(backlog.rebuild if backlog else held != "last" for held, backlog in looked):
            return tuple(held for held, _ in looked)
        return tuple(held for held, backlog in looked if backlog is None) or ("last",)

    def _cancellation(self, run: str) -> Cancellation:
        return Cancellation(self._records.runs, run, stopping=self._stopping, now=self._records.now)


def _spent(found: Run, client: Client) -> Mapping[str, int]:
    """Requests of all attempts, by endpoint."""
    return dict(Counter(found.requests) + client.requests)


def _waited(ask: Callable[[], Awaitable[T]], cancellation: Cancellation) -> T:
    """Stripe's response; a cancellation ends the wait for it."""

    async def asked() -> AsyncIterator[T]:
        yield await ask()

    with closing(stream(asked, check=cancellation.check)) as answers:
        return next(answers)


def _standing(plan: DatasetPlan, found: Run, ledger: Ledger) -> SyncState:
    """The table's sync state after the run, for later incremental runs."""
    report = plan.plan.report
    if plan.sync_state is None or ledger.whole:
        return state_after_full_refresh(report, ledger.parts, as_of=plan.as_of, requests=sum(found.requests.values()))
    return state_after_changes(
        plan.sync_state, report, ledger.parts, as_of=plan.now, added=found.counts.added, swept_to=plan.swept_to
    )
