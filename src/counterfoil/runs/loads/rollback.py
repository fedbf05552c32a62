"""Rollbacks: the archived runs that restore a table to its state after an earlier run, or copy it to another table."""

from __future__ import annotations

from typing import Any

from counterfoil.archive import read_ledger
from counterfoil.errors import RunError
from counterfoil.runs.plans.dataset_plan import DatasetPlan, from_json
from counterfoil.settings import Settings
from counterfoil.state.dataset import Target
from counterfoil.state.run import Run
from counterfoil.state.runs import Runs

#: The codes of the errors.
ARCHIVE_REMOVED, EARLIER_RUNS_UNKNOWN = "archive_removed", "earlier_runs_unknown"
#: The entries of a rollback's plan: the id of the earlier run and, for a rollback of one table, that table.
_BACK_TO = "back_to"
_INTO = "into"
_MOST_RUNS = 10_000


def plan_rollback(run: Run, into: Target | None = None) -> dict[str, Any]:
    """The plan of a rollback to this run, for all of the dataset's tables or one of them."""
    return {_BACK_TO: run.id} | ({} if into is None else {_INTO: {"url": into.url, "table": into.table}})


def only_into(run: Run) -> Target | None:
    """The only table that the run is for; None if it is for all tables."""
    into = run.plan.get(_INTO)
    return None if into is None else Target(**into)


def rollback_target(run: Run) -> str | None:
    """The run that this one rolls back to; None if it reads Stripe."""
    found: str | None = run.plan.get(_BACK_TO)
    return found


def check_rollback(runs: Runs, settings: Settings, run: Run) -> None:
    """Raises RunError if the run did not succeed, or if an archive that the rollback needs was removed."""
    if run.status != "succeeded":
        raise RunError(f"can't roll back to run {run.id} with the status {run.status}", hint=_list(run))
    replayed(runs, settings, run)


def replayed(runs: Runs, settings: Settings, run: Run) -> tuple[tuple[Run, DatasetPlan], ...]:
    """The runs that, loaded in order into an empty table, restore its state after `run`.

    RunError names the run whose archive was removed, or whose earlier runs are unknown.
    """
    earlier = runs.list(run.dataset, "succeeded", limit=_MOST_RUNS)
    chain: list[tuple[Run, DatasetPlan]] = []
    at: Run | None = run
    while at is not None:
        other = rollback_target(at)
        if other is not None:
            at = runs.get(other)
            continue
        plan = from_json(at.plan)
        if read_ledger(settings.archive / "runs" / at.id) is None:
            raise RunError(
                f"the table can't be rebuilt: the archive of run {at.id} was removed",
                hint=_list(run),
                code=ARCHIVE_REMOVED,
            )
        chain.append((at, plan))
        if starts_anew(plan):
            break
        at = next((one for one in earlier if (one.created_at, one.id) < (at.created_at, at.id)), None)
    start, plan = chain[-1]
    if not plan.whole:
        # The list of runs is limited.
        raise RunError(
            f"the table can't be rebuilt: the runs before {start.id} are unknown",
            hint=_list(run),
            code=EARLIER_RUNS_UNKNOWN,
        )
    return tuple(reversed(chain))


def starts_anew(plan: DatasetPlan) -> bool:
    """Whether the run rebuilds the table, whatever it held before.

    A merge of everything does, except for rows that Stripe no longer listed before. A merge that covers nothing, such
    as that of events, keeps all such rows, so it does not.
    """
    return plan.method == "replace" or (plan.method == "merge" and plan.whole and bool(plan.covers))


def _list(run: Run) -> str:
    return f"List the runs: counterfoil runs list {run.dataset}"
