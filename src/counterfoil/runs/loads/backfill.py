"""What a dataset's table lacks of its runs, as when its destination was down, and which archives give it that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from counterfoil.archive import read_ledger
from counterfoil.destinations import Destination
from counterfoil.errors import RunError
from counterfoil.runs.loads.rollback import only_into, replayed, rollback_target, starts_anew
from counterfoil.runs.loads.table_load import holds
from counterfoil.runs.plans.dataset_plan import DatasetPlan, from_json
from counterfoil.runs.run_context import RunContext, archive_of
from counterfoil.state.dataset import Dataset, Target
from counterfoil.state.run import Run
from counterfoil.state.runs import Runs

#: Runs that the state is asked for at a time.
_PAGE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Runs that give a table what it lacks, the oldest first."""

    runs: tuple[tuple[Run, DatasetPlan], ...]
    #: Whether they make the table by themselves, whatever is in it; else they go on from what is.
    anew: bool
    #: The run that the table is made as.
    last: str


def backlog_of(records: RunContext, dataset: Dataset, target: Target, destination: Destination) -> Backlog | None:
    """None when the last run that succeeded is in the table; RunError when what it lacks is kept no longer."""
    chain: list[tuple[Run, DatasetPlan]] = []
    last = ""
    for run in _succeeded(records.runs, dataset.id):
        if _is_loaded(records.runs, run, target) and _is_there(records, dataset, run, target, destination):
            break
        if only_into(run) is not None:
            continue  # it was for another table
        last = last or run.id
        if rollback_target(run) is not None:
            before = replayed(records.runs, records.settings, run)
            return Backlog(runs=(*before, *reversed(chain)), anew=True, last=last)
        plan = from_json(run.plan)
        if read_ledger(archive_of(records.settings, run.id)) is None:
            raise RunError(f"What the run {run.id} read is kept no longer", hint="Let everything be read again.")
        chain.append((run, plan))
        if starts_anew(plan):
            return Backlog(runs=tuple(reversed(chain)), anew=True, last=last)
    else:
        if chain and not chain[-1][1].whole:
            raise RunError(f"What was before the run {chain[-1][0].id} is not known any more")
        return Backlog(runs=tuple(reversed(chain)), anew=True, last=last) if chain else None
    return Backlog(runs=tuple(reversed(chain)), anew=False, last=last) if chain else None


def behind(runs: Runs, dataset: Dataset) -> tuple[Target, ...]:
    """Tables of a dataset with several that lack its last run, as the state knows it."""
    if len(dataset.targets) > 1:
        for run in _succeeded(runs, dataset.id):
            if only_into(run) is None:
                return tuple(one for one in dataset.targets if not _is_loaded(runs, run, one))
    return ()


def newest_read(runs: Runs, dataset: str) -> tuple[tuple[Run, Run] | None, Run | None]:
    """The newest success that was for all tables, with the run whose version it left; the newest that read Stripe."""
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
    """The ids of all runs that left what a run did: its own, and those that went back to it."""
    ids = [run]
    later = tuple(takewhile(lambda one: one.id != run, _succeeded(records.runs, dataset.id)))
    for one in reversed(later):
        if rollback_target(one) in ids:
            ids.append(one.id)
    return tuple(ids)


def _is_there(records: RunContext, dataset: Dataset, run: Run, target: Target, destination: Destination) -> bool:
    """Whether the place says so too: somebody may have dropped the table, or a disk lost it."""
    ids = same_state(records, dataset, rollback_target(run) or run.id)
    return holds(ids, target, destination) == "last"


def _succeeded(runs: Runs, dataset: str) -> Iterator[Run]:
    """The newest first; the state is asked for more as they are taken, since mostly the first tells all."""
    before: Run | None = None
    while page := runs.list(dataset, "succeeded", _PAGE, before=before):
        yield from page
        before = page[-1]


def _is_loaded(runs: Runs, run: Run, target: Target) -> bool:
    return any((load.url, load.table) == (target.url, target.table) for load in runs.loads(run.id))
