"""Builds the loads of a dataset's runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from counterfoil.archive import Ledger
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import SYSTEM_COLUMNS
from counterfoil.destinations import Destination
from counterfoil.errors import RunError
from counterfoil.runs.pipeline import build_load
from counterfoil.runs.plans.dataset_plan import DatasetPlan, Held
from counterfoil.state.dataset import Merge
from counterfoil.state.datasets import Target
from counterfoil.values import Load, Parents


def holds(runs: Sequence[str], target: Target, destination: Destination) -> Held:
    """Whether the table has the dataset's last run; `runs` are that run and the rollbacks to it."""
    if destination.columns(target.table) is None:
        return "nothing"
    return "last" if any(_has(destination, target.table, run) for run in runs) else "other"


def check_goes_on(
    plan: DatasetPlan, run: str, table: str, ledger: Ledger, destination: Destination, *, after: Sequence[str]
) -> None:
    """Raises RunError if an incremental run would load into a table that has none of the runs `after`.

    The table may have been changed or lost since the run was planned.
    """
    if plan.whole or ledger.whole or plan.after is None:
        return
    if destination.columns(table) is None or not any(_has(destination, table, one) for one in (run, *after)):
        raise RunError(
            f"table {table} lacks the run that this run continues from; it was changed while the run was in progress",
            hint="Run the dataset again, which then makes a full refresh.",
        )


def _has(destination: Destination, table: str, run: str) -> bool:
    return destination.has_load(Load(run=run, table=table, method="replace"))


def schema_of(plan: DatasetPlan) -> pa.Schema:
    """The schema of the table."""
    return arrow_schema((*plan.chosen.columns, *SYSTEM_COLUMNS))


def load_of(plan: DatasetPlan, run: str, table: str, ledger: Ledger) -> Load:
    """The load of a run's parts into the table."""
    parents, merge = plan.plan.report.parents, plan.merge or Merge()
    return replace(
        build_load(plan.plan, plan.identity, run=run, table=table, method=plan.method),
        covers=(plan.window,) if ledger.whole else plan.covers,
        parents=Parents(parents.column, tuple(ledger.parents)) if parents and ledger.parents else None,
        deleted=merge.deleted,
        history=merge.history,
        as_of=plan.as_of,
    )
