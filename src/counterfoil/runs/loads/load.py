"""What a run read, brought into each of its dataset's tables; one that is down does not hold up the others."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from counterfoil.archive import Ledger, check_part_keys, read_ledger, verify
from counterfoil.destinations import Destination
from counterfoil.destinations.protocol import Stop
from counterfoil.errors import CounterfoilError, DestinationBusy, RunError, TransientError
from counterfoil.runs.cancellation import Canceled, Cancellation, DeadlinePassed, ServiceStops
from counterfoil.runs.loads.backfill import Backlog, backlog_of, same_state
from counterfoil.runs.loads.rollback import only_into, replayed, rollback_target, starts_anew
from counterfoil.runs.loads.size_check import check_size, is_comparable
from counterfoil.runs.loads.table_load import check_goes_on, load_of, schema_of
from counterfoil.runs.loads.targets import TargetDestinations
from counterfoil.runs.plans.dataset_plan import DatasetPlan, from_json
from counterfoil.runs.plans.overwrite_check import overwrite_risk
from counterfoil.runs.run_context import RunContext, archive_of
from counterfoil.state.dataset import Dataset, Target
from counterfoil.state.run import LOAD_STEP, LostOwnership, Run
from counterfoil.values import Load, Loaded

#: How long a table of several is waited for that another process holds; the run is tried again.
_BUSY_SECONDS = 10.0
#: What ends the run, whichever table it was about.
_ENDS = (Canceled, DeadlinePassed, ServiceStops, LostOwnership)

_Bring = Callable[..., Loaded]


@dataclass(frozen=True, slots=True)
class LoadOutcome:
    """What one run did to the tables of its dataset."""

    #: What the first that was loaded says; all of them get the same rows.
    done: Loaded
    #: Those that could not be loaded, and why.
    failed: Mapping[Target, CounterfoilError]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLoader:
    """Loads one run into one table after the other."""

    records: RunContext
    destinations: TargetDestinations
    dataset: Dataset
    run: Run
    owner: str
    cancellation: Cancellation
    #: Asked before what this run read is loaded; its RunError keeps that out of the table.
    check: Callable[[Target, Destination], None] | None = None

    def all(self) -> LoadOutcome:
        """The first error is raised when there is no table that could be loaded."""
        into = only_into(self.run)
        targets = self.dataset.targets if into is None else (into,)
        bring, done = self._bring(), None
        failed: dict[Target, CounterfoilError] = {}
        if len(targets) > 1:
            self._check_sizes(targets)
        for target in targets:
            try:
                loaded = self._one(target, bring, alone=len(targets) == 1)
            except _ENDS:
                raise
            except CounterfoilError as error:
                failed[target] = error
            else:
                done = done or loaded
        if done is None:
            raise next(iter(failed.values()))
        return LoadOutcome(done, failed)

    def _one(self, target: Target, bring: _Bring, *, alone: bool) -> Loaded:
        runs, run = self.records.runs, self.run
        with closing(self.destinations.open(target, busy_seconds=None if alone else _BUSY_SECONDS)) as destination:
            if self.check is not None and rollback_target(run) is None:
                self.check(target, destination)
            stop = self._stop(target)
            runs.log(run.id, "info", f"Loading into {target.table} of {destination.name}.", step=LOAD_STEP)
            how: dict[str, Any] = {
                "progress": partial(runs.log, run.id, "info"),
                "guard": lambda: self._guard(signaled=stop is not None),
                "stop": stop,
            }
            with destination.holding(how["progress"], stop):
                self._check_size(target, destination)
                if not alone:
                    self._catch_up(target, destination, how)
                loaded = bring(destination, target.table, **how)
        self._record(run, target, loaded.rows)
        return loaded

    def _check_sizes(self, targets: Sequence[Target]) -> None:
        """Checks all tables before the first is loaded; those that are down are passed over."""
        for target in targets:
            opened = self.destinations.open(target, busy_seconds=_BUSY_SECONDS)
            with suppress(TransientError), closing(opened) as destination, destination.holding():
                self._check_size(target, destination)

    def _check_size(self, target: Target, destination: Destination) -> None:
        """Stops a full refresh that would remove more than half of the table, unless that is accepted."""
        if rollback_target(self.run) is not None:
            return
        plan, ledger = from_json(self.run.plan), read_ledger(archive_of(self.records.settings, self.run.id))
        if ledger is None or plan.allow_shrink or not is_full_refresh(plan, whole=plan.whole or ledger.whole):
            return
        accept = f"counterfoil run {shlex.quote(self.dataset.name)} --allow-shrink"
        note = check_size(
            destination,
            target.table,
            plan.plan,
            plan.method,
            rows=sum(part.rows for part in ledger.parts),
            hint=f"If these rows are deleted at Stripe, load the rest without reading Stripe again: {accept}",
        )
        if note is not None:
            self.records.runs.log(self.run.id, "info", note)

    def _record(self, run: Run, target: Target, rows: int) -> None:
        runs, method = self.records.runs, str(self.run.plan.get("method", "replace"))
        runs.record_load(run.id, target.url, target.table, method, rows)
        other = rollback_target(run)
        if only_into(run) is not None and other is not None:
            for one in same_state(self.records, self.dataset, other):
                # What that run brought into the other tables is in this one now, too.
                known = next((load.rows for load in runs.loads(one) if one != run.id), rows)
                runs.record_load(one, target.url, target.table, method, known)

    def _catch_up(self, target: Target, destination: Destination, how: Mapping[str, Any]) -> None:
        """Loads what the table lacks of earlier runs, unless this one makes it anew."""
        if rollback_target(self.run) is not None:
            return
        plan = from_json(self.run.plan)
        # It may have been down when the run was planned.
        overwrite_risk(destination, plan.plan, target.table, plan.method, identity=plan.identity)
        if plan.after is None or plan.method == "replace" or destination.has_load(_named(self.run.id, target)):
            return
        try:
            backlog = backlog_of(self.records, self.dataset, target, destination)
        except RunError as error:
            if plan.method != "append" and not starts_anew(plan):
                raise
            if plan.method == "append":
                told = f"{target.table} of {destination.name} lacks rows of earlier runs: {error.message}"
                self.records.runs.log(self.run.id, "warning", told)
            return
        if backlog is not None:
            self._give(backlog, target, destination, how)

    def _give(self, backlog: Backlog, target: Target, destination: Destination, how: Mapping[str, Any]) -> None:
        ids = ", ".join(run.id for run, _ in backlog.runs)
        self.records.runs.log(self.run.id, "info", f"{target.table} of {destination.name} gets what it lacks: {ids}.")
        kept = [(run, plan, checked_ledger(self.records, run.id, plan)) for run, plan in backlog.runs]
        if backlog.anew and destination.columns(target.table) is not None:
            _replay(kept, backlog.last)(destination, target.table, **how)
        else:
            for run, plan, ledger in kept:
                destination.load(load_of(plan, run.id, target.table, ledger), schema_of(plan), ledger.parts, **how)
        for run, plan, ledger in kept:
            rows = sum(part.rows for part in ledger.parts)
            self.records.runs.record_load(run.id, target.url, target.table, plan.method, rows)
        if backlog.last not in {run.id for run, _ in backlog.runs}:
            self.records.runs.record_load(
                backlog.last, target.url, target.table, "replace", destination.rows(target.table) or 0
            )

    def _bring(self) -> _Bring:
        """What brings the run's rows, or those of the run that it goes back to, into a table of a destination."""
        run, other = self.run, rollback_target(self.run)
        if other is None:
            plan = from_json(run.plan)
            ledger = checked_ledger(self.records, run.id, plan)
            after = () if plan.after is None else same_state(self.records, self.dataset, plan.after)

            def load(destination: Destination, table: str, **how: Any) -> Loaded:
                check_goes_on(plan, run.id, table, ledger, destination, after=after)
                return destination.load(load_of(plan, run.id, table, ledger), schema_of(plan), ledger.parts, **how)

            return load
        chain = replayed(self.records.runs, self.records.settings, self.records.runs.get(other))
        kept = [(one, plan, checked_ledger(self.records, one.id, plan)) for one, plan in chain]
        start, first = chain[0]
        if first.method == "merge" and first.covers:
            note = f"Made anew from the run {start.id} on: rows that Stripe listed no longer by then are not in it."
            self.records.runs.log(run.id, "info", note)
        return _replay(kept, run.id)

    def _stop(self, target: Target) -> Stop | None:
        """What ends the load early; None for one that was done before its process was killed: nothing undoes it."""
        try:
            self.cancellation.check()
        except (Canceled, DeadlinePassed):
            if not self._has_load(target):
                raise
            return None
        return self.cancellation.stop

    def _has_load(self, target: Target) -> bool:
        with closing(self.destinations.open(target, busy_seconds=0)) as destination:
            try:
                return destination.has_load(_named(self.run.id, target))
            except DestinationBusy:
                return False

    def _guard(self, *, signaled: bool) -> None:
        """The last look before a load counts."""
        if signaled:
            self.cancellation.check(at_once=True)
        if not self.records.runs.owns(self.run.id, self.owner):
            raise LostOwnership(
                f"Another attempt of the run {self.run.id} has taken over", hint="Nothing was written by this one."
            )


def _replay(kept: Sequence[tuple[Run, DatasetPlan, Ledger]], run: str) -> _Bring:
    return lambda destination, table, **how: destination.replay(
        [(load_of(plan, one.id, table, ledger), ledger.parts) for one, plan, ledger in kept],
        schema_of(kept[-1][1]),
        run=run,
        **how,
    )


def is_full_refresh(plan: DatasetPlan, *, whole: bool) -> bool:
    """Whether the run is a full refresh whose number of rows can be compared with the table's."""
    merges_nothing = plan.method == "merge" and not plan.covers
    return whole and plan.choice.last_days is None and not merges_nothing and is_comparable(plan.plan, plan.method)


def _named(run: str, target: Target) -> Load:
    return Load(run=run, table=target.table, method="replace")


def ledger_of(records: RunContext, run: str) -> Ledger:
    """What a run read, once its parts have been looked over."""
    ledger = read_ledger(archive_of(records.settings, run))
    if ledger is None:
        raise RunError(f"The archive of the run {run} is gone", hint="Run the dataset again.")
    for part in ledger.parts:
        verify(part)
    return ledger


def checked_ledger(records: RunContext, run: str, plan: DatasetPlan) -> Ledger:
    """The same, once the keys of its rows have been checked too; RunError names a key that is missing or doubled."""
    ledger = ledger_of(records, run)
    report = plan.plan.report
    # A run of changes can read an object twice, as new and as changed: the merge takes its newest version.
    unique = plan.changes is None or ledger.whole
    check_part_keys(ledger.parts, report.primary_key, report=report.title, unique=unique)
    return ledger
