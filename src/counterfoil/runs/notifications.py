"""What is told of runs and datasets to those who want to know: once, in words that say what to do.

A dataset that fails again and again is told of once, until it succeeds; so is a check that goes on failing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from counterfoil.errors import CounterfoilError, KeyRejected
from counterfoil.proof.check import Check, counted
from counterfoil.schedules import next_after
from counterfoil.state.alerts import Alerts, Kind
from counterfoil.state.dataset import Dataset
from counterfoil.state.run import Run

#: How long after its time a dataset is late.
GRACE = timedelta(minutes=5)


def failed(alerts: Alerts, dataset: Dataset, run: Run, error: CounterfoilError) -> None:
    """A run failed for good. `dataset` is as it is after it."""
    pause = dataset.pause
    if dataset.failures > 1 and pause is None:
        return
    told = [error.sentence, error.hint, _attempts(run)]
    if pause is None:
        title = f"{dataset.name} failed"
        told.append("Nothing more is told of its failures until it has succeeded.")
    else:
        title = f"{dataset.name} failed, and is paused"
        told += [pause.reason, f"To let it go on: {pause.action}"]
        if isinstance(error, KeyRejected):
            told.append("Every other dataset of its account is paused with it.")
    kinds: tuple[Kind, ...] = ("failed",) if pause is None else ("paused", "failed")
    alerts.tell(kinds, f"failed:{run.id}", title, _body(told))


def recovered(alerts: Alerts, before: Dataset, run: Run) -> None:
    """A run succeeded. `before` is the dataset as it was before that."""
    if before.failures:
        told = f"Its run {run.id} succeeded, after {counted(before.failures, 'run')} that failed."
        alerts.tell(("recovered",), f"recovered:{run.id}", f"{before.name} works again", told)


def behind(alerts: Alerts, dataset: Dataset, run: Run, tables: Sequence[str]) -> None:
    """A run succeeded without some of its dataset's tables, which had the run before."""
    if not tables:
        return
    told = [f"{', '.join(tables)}: not loaded. The dataset's other tables are up to date."]
    told += [*run.warnings, "A later run gives it what it lacks, from what is kept.", f"Run {run.id}."]
    alerts.tell(
        ("late",), f"behind:{run.id}", f"{dataset.name}: {counted(len(tables), 'table')} left behind", _body(told)
    )


def check_failed(alerts: Alerts, dataset: Dataset, run: Run, checks: Sequence[Check], earlier: Iterable[Check]) -> None:
    """Checks of a run were made; `earlier` are those of the run before."""
    known = {(check.family, check.name) for check in earlier if check.result == "FAIL"}
    found = [check for check in checks if check.result == "FAIL"]
    if not found or {(check.family, check.name) for check in found} <= known:
        return
    told = [f"{check.family}: {check.name}: {check.reason}" for check in found]
    told.append(f"Its page has the figures under Proof. Run {run.id}.")
    title = f"{dataset.name}: {counted(len(found), 'check')} failed"
    alerts.tell(("proof",), f"proof:{run.id}", title, _body(told))


def late(alerts: Alerts, dataset: Dataset, updated_at: datetime | None, now: datetime) -> bool:
    """Whether a dataset was not updated for longer than its schedule says: a whole turn of it was missed."""
    since = updated_at or dataset.created_at
    due = next_after(dataset.schedule, since)
    missed = None if due is None else next_after(dataset.schedule, due)
    if dataset.pause is not None or missed is None or now < missed + GRACE:
        return False
    when = "It was never updated" if updated_at is None else f"It was updated last at {_instant(updated_at)}"
    told = [f"{when}, and was due at {_instant(due)} and {_instant(missed)}.", "Look whether the service runs."]
    alerts.tell(("late",), f"late:{dataset.id}:{since:%Y%m%dT%H%M%S}", f"{dataset.name} is late", _body(told))
    return True


def _attempts(run: Run) -> str:
    return f"Run {run.id}, attempt {run.attempt}." if run.attempt > 1 else f"Run {run.id}."


def _body(told: Iterable[str | None]) -> str:
    return "\n".join(line for line in told if line)


def _instant(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
