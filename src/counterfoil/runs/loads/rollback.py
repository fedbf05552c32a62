"""Going back to a run: which archived runs make a table what it was after it, or make another table the same."""

from __future__ import annotations

from typing import Any

from counterfoil.archive import read_ledger
from counterfoil.errors import RunError
from counterfoil.runs.plans.dataset_plan import DatasetPlan, from_json
from counterfoil.settings import Settings
from counterfoil.state.dataset import Target
from counterfoil.state.run import Run
from counterfoil.state.runs import Runs

#: The entries of the plan of a run that goes back: the id of the other run, and where it is for one table alone.
_BACK_TO = "back_to"
_INTO = "into"
_MOST_RUNS = 10_000


def plan_rollback(run: Run, into: Target | None = None) -> dict[str, Any]:
    """The plan of a run that goes back to this one, with all of the dataset's tables or one of them."""
    return {_BACK_TO: run.id} | ({} if into is None else {_INTO: {"url": into.url, "table": into.table}})


def only_into(run: Run) -> Target | None:
    """The table that the run is for; None when it is for all of them."""
    into = run.plan.get(_INTO)
    return None if into is None else Target(**into)


def rollback_target(run: Run) -> str | None:
    """The run that this one goes back to; None when it reads Stripe."""
    found: str | None = run.plan.get(_BACK_TO)
    return found


def check_rollback(runs: Runs, settings: Settings, run: Run) -> None:
    """Refuses to go back to a run that brought nothing, or of whose rows some are kept no longer."""
    if run.status != "succeeded":
        raise RunError(f"The run {run.id} {run.status}: it left no table to go back to", hint=_list(run))
    replayed(runs, settings, run)


def replayed(runs: Runs, settings: Settings, run: Run) -> tuple[tuple[Run, DatasetPlan], ...]:
    """The runs whose loads, one after the other into no table, make it what it was after `run`.

    RunError names the run whose archive is gone, or before which nothing is known.
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
                f"What the run {at.id} read is kept no longer, so the table can't be rebuilt", hint=_list(run)
            )
        chain.append((at, plan))
        if starts_anew(plan):
            break
        at = next((one for one in earlier if (one.created_at, one.id) < (at.created_at, at.id)), None)
    start, plan = chain[-1]
    if not plan.whole:
        # The list of runs goes back so far and no further.
        raise RunError(
            f"What was before the run {start.id} is not known any more, so the table can't be rebuilt", hint=_list(run)
        )
    return tuple(reversed(chain))


def starts_anew(plan: DatasetPlan) -> bool:
    """Whether what was in the table before does not matter any more.

    After a merge of everything that is so but for rows which Stripe had stopped to list before; a merge that covers
    nothing, as that of events, keeps all of those.
    """
    return plan.method == "replace" or (plan.method == "merge" and plan.whole and bool(plan.covers))


def _list(run: Run) -> str:
    return f"See which there are: counterfoil runs list {run.dataset}"
