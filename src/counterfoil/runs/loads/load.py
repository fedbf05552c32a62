"""Loads a run's rows into each table of its dataset; an unavailable destination does not block the others."""

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

#: How long to wait for a locked table if the dataset has several; the run is retried afterwards.
_BUSY_SECONDS = 10.0
#: Errors that end the run for all tables.
_ENDS = (Canceled, DeadlinePassed, ServiceStops, LostOwnership)

_Bring = Callable[..., Loaded]


@dataclass(frozen=True, slots=True)
class LoadOutcome:
    """The result of loading one run into the tables of its dataset."""

    #: The result of the first loaded table; all tables get the same rows.
    done: Loaded
    #: The tables that could not be loaded, with their errors.
    failed: Mapping[Target, CounterfoilError]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLoader:
    """Loads one run into its tables, one after the other."""

    records: RunContext
    destinations: TargetDestinations
    dataset: Dataset
    run: Run
    owner: str
    cancellation: Cancellation
    #: Called before this run's rows are loaded; a RunError prevents the load.
    check: Callable[[Target, Destination], None] | None = None

    def all(self) -> LoadOutcome:
        """Raises the first error if no table could be loaded."""
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
        """Checks the sizes of all tables before the first load; skips unavailable tables."""
        for target in targets:
            opened = self.destinations.open(target, busy_seconds=_BUSY_SECONDS)
            with suppress(TransientError), closing(opened) as destination, destination.holding():
                self._check_size(target, destination)

    def _check_size(self, target: Target, destination: Destination) -> None:
        """Stops a full refresh that would remove more than half of the table, unless that is allowed."""
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
            hint=f"If these rows were deleted at Stripe, load the rest from the archive: {accept}",
        )
        if note is not None:
            self.records.runs.log(self.run.id, "info", note)

    def _record(self, run: Run, target: Target, rows: int) -> None:
        runs, method = self.records.runs, str(self.run.plan.get("method", "replace"))
        runs.record_load(run.id, target.url, target.table, method, rows)
        other = rollback_target(run)
        if only_into(run) is not None and other is not None:
            for one in same_state(self.records, self.dataset, other):
                # This table now has that run's rows too.
                known = next((load.rows for load in runs.loads(one) if one != run.id), rows)
                runs.record_load(one, target.url, target.table, method, known)

    def _catch_up(self, target: Target, destination: Destination, how: Mapping[str, Any]) -> None:
        """Loads earlier runs that the table lacks, unless this run rebuilds the table."""
        if rollback_target(self.run) is not None:
            return
        plan = from_json(self.run.plan)
        # The destination may have been unavailable when the run was planned.
        overwrite_risk(destination, plan.plan, target.table, plan.method, identity=plan.identity)
        if plan.after is None or plan.method == "replace" or destination.has_load(_named(self.run.id, target)):
            return
        try:
            backlog = backlog_of(self.records, self.dataset, target, destination)
        except RunError as error:
            if plan.method != "append" and not starts_anew(plan):
                raise
            if plan.method == "append":
                text = f"{target.table} of {destination.name} lacks rows of earlier runs: {error.message}"
                self.records.runs.log(self.run.id, "warning", text)
            return
        if backlog is not None:
            self._give(backlog, target, destination, how)

    def _give(self, backlog: Backlog, target: Target, destination: Destination, how: Mapping[str, Any]) -> None:
        ids = ", ".join(run.id for run, _ in backlog.runs)
        text = f"Loading earlier runs into {target.table} of {destination.name}: {ids}."
        self.records.runs.log(self.run.id, "info", text)
        archived = [(run, plan, checked_ledger(self.records, run.id, plan)) for run, plan in backlog.runs]
        if backlog.rebuild and destination.columns(target.table) is not None:
            _replay(archived, backlog.last)(destination, target.table, **how)
        else:
            for run, plan, ledger in archived:
                destination.load(load_of(plan, run.id, target.table, ledger), schema_of(plan), ledger.parts, **how)
        for run, plan, ledger in archived:
            rows = sum(part.rows for part in ledger.parts)
            self.records.runs.record_load(run.id, target.url, target.table, plan.method, rows)
        if backlog.last not in {run.id for run, _ in backlog.runs}:
            self.records.runs.record_load(
                backlog.last, target.url, target.table, "replace", destination.rows(target.table) or 0
            )

    def _bring(self) -> _Bring:
        """The function that loads the run's rows, or those of its rollback target, into a table."""
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
        archived = [(one, plan, checked_ledger(self.records, one.id, plan)) for one, plan in chain]
        start, first = chain[0]
        if first.method == "merge" and first.covers:
            note = f"Rebuilt from run {start.id} on; rows that Stripe no longer listed then are missing."
            self.records.runs.log(run.id, "info", note)
        return _replay(archived, run.id)

    def _stop(self, target: Target) -> Stop | None:
        """The callback that ends the load early; None if the load was committed before a crash."""
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
        """The last check before a load is committed."""
        if signaled:
            self.cancellation.check(at_once=True)
        if not self.records.runs.owns(self.run.id, self.owner):
            raise LostOwnership(
                f"another attempt of run {self.run.id} has taken over; this one wrote nothing",
                hint="Wait for the other attempt.",
            )


def _replay(archived: Sequence[tuple[Run, DatasetPlan, Ledger]], run: str) -> _Bring:
    return lambda destination, table, **how: destination.replay(
        [(load_of(plan, one.id, table, ledger), ledger.parts) for one, plan, ledger in archived],
        schema_of(archived[-1][1]),
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
    """The ledger of a run's archive, after its parts were verified."""
    ledger = read_ledger(archive_of(records.settings, run))
    if ledger is None:
        raise RunError(f"the archive of run {run} was not found", hint="Run the dataset again.")
    for part in ledger.parts:
        verify(part)
    return ledger


def checked_ledger(records: RunContext, run: str, plan: DatasetPlan) -> Ledger:
    """The ledger, after the keys of its rows were checked too; RunError names a missing or duplicate key."""
    ledger = ledger_of(records, run)
    report = plan.plan.report
    # An incremental run can read an object twice, as new and as changed; the merge takes its newest version.
    unique = plan.changes is None or ledger.whole
    check_part_keys(ledger.parts, report.primary_key, report=report.title, unique=unique)
    return ledger
