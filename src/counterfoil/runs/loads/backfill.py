"""Finds the runs that a table lacks, such as after an outage of its destination, and the archives that fill it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from counterfoil.archive import read_ledger
from counterfoil.destinations import Destination
from counterfoil.errors import RunError
from counterfoil.runs.loads.rollback import (
    ARCHIVE_REMOVED,
    EARLIER_RUNS_UNKNOWN,
    only_into,
    replayed,
    rollback_target,
    starts_anew,
)
from counterfoil.runs.loads.table_load import holds
from counterfoil.runs.plans.dataset_plan import DatasetPlan, from_json
from counterfoil.runs.run_context import RunContext, archive_of
from counterfoil.state.dataset import Dataset, Target
from counterfoil.state.run import Run
from counterfoil.state.runs import Runs

#: Runs per query of the state.
_PAGE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The runs to load into a table, oldest first."""

    runs: tuple[tuple[Run, DatasetPlan], ...]
    #: Whether they rebuild the table from nothing; otherwise they continue from its rows.
    rebuild: bool
    #: The run that the table is then recorded to have.
    last: str


def backlog_of(records: RunContext, dataset: Dataset, target: Target, destination: Destination) -> Backlog | None:
    """The runs that the table lacks; None if it has the last successful one. RunError if an archive was removed."""
    chain: list[tuple[Run, DatasetPlan]] = []
    last = ""
    for run in _succeeded(records.runs, dataset.id):
        if _is_loaded(records.runs, run, target) and _is_there(records, dataset, run, target, destination):
            break
        if only_into(run) is not None:
            continue  # that run was for one table only
        last = last or run.id
        if rollback_target(run) is not None:
            before = replayed(records.runs, records.settings, run)
            return Backlog(runs=(*before, *reversed(chain)), rebuild=True, last=last)
        plan = from_json(run.plan)
        if read_ledger(archive_of(records.settings, run.id)) is None:
            raise RunError(
                f"the archive of run {run.id} was removed", hint="Start a full refresh.", code=ARCHIVE_REMOVED
            )
        chain.append((run, plan))
        if starts_anew(plan):
            return Backlog(runs=tuple(reversed(chain)), rebuild=True, last=last)
    else:
        if chain and not chain[-1][1].whole:
            raise RunError(f"the runs before {chain[-1][0].id} are unknown", code=EARLIER_RUNS_UNKNOWN)
        return Backlog(runs=tuple(reversed(chain)), rebuild=True, last=last) if chain else None
    return Backlog(runs=tuple(reversed(chain)), rebuild=False, last=last) if chain else None


def behind(runs: Runs, dataset: Dataset) -> tuple[Target, ...]:
    """The tables that lack the dataset's last run, according to the state; empty for a dataset with one table."""
    if len(dataset.targets) > 1:
        for run in _succeeded(runs, dataset.id):
            if only_into(run) is None:
                return tuple(one for one in dataset.targets if not _is_loaded(runs, run, one))
    return ()


def newest_read(runs: Runs, dataset: str) -> tuple[tuple[Run, Run] | None, Run | None]:
    """The newest successful run for all tables, with the run of its version; and the newest run that read Stripe."""
    held: tuple[Run, Run] | None = None
    for run in _succeeded(runs, dataset):
        if only_into(run) is not None:
            continue
        version = run
        while (other := rollback_target(version)) is not None:
            version = runs.get(other)
        held = held or (run, version)
        if rollback_target(run) is None:
            return held, run
    return held, None


def same_state(records: RunContext, dataset: Dataset, run: str) -> tuple[str, ...]:
    """The ids of the run and of all rollbacks to it."""
    ids = [run]
    later = tuple(takewhile(lambda one: one.id != run, _succeeded(records.runs, dataset.id)))
    for one in reversed(later):
        if rollback_target(one) in ids:
            ids.append(one.id)
    return tuple(ids)


def _is_there(records: RunContext, dataset: Dataset, run: Run, target: Target, destination: Destination) -> bool:
    """Whether the destination has the run too: the table may have been dropped or lost."""
    ids = same_state(records, dataset, rollback_target(run) or run.id)
    return holds(ids, target, destination) == "last"


def _succeeded(runs: Runs, dataset: str) -> Iterator[Run]:
    """Successful runs, newest first; fetched in pages, because most callers need only the first."""
    before: Run | None = None
    while page := runs.list(dataset, "succeeded", _PAGE, before=before):
        yield from page
        before = page[-1]


def _is_loaded(runs: Runs, run: Run, target: Target) -> bool:
    return any((load.url, load.table) == (target.url, target.table) for load in runs.loads(run.id))
