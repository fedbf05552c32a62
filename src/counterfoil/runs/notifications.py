"""Notifications about runs and datasets, with the next step.

Repeated failures of a dataset, or of a check, are notified once until it succeeds.
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

#: A dataset is late this long after its due time.
GRACE = timedelta(minutes=5)


def failed(alerts: Alerts, dataset: Dataset, run: Run, error: CounterfoilError) -> None:
    """Notifies that a run failed without another attempt. `dataset` is its state after the failure."""
    pause = dataset.pause
    if dataset.failures > 1 and pause is None:
        return
    lines = [error.sentence, error.hint, _attempts(run)]
    if pause is None:
        title = f"{dataset.name} failed"
        lines.append("There are no further notifications of its failures until a run succeeds.")
    else:
        title = f"{dataset.name} failed and is paused"
        lines += [pause.reason, f"To resume it: {pause.action}"]
        if isinstance(error, KeyRejected):
            lines.append("All other datasets of the account are paused too.")
    kinds: tuple[Kind, ...] = ("failed",) if pause is None else ("paused", "failed")
    alerts.tell(kinds, f"failed:{run.id}", title, _body(lines))


def recovered(alerts: Alerts, before: Dataset, run: Run) -> None:
    """Notifies that a run succeeded after failures. `before` is the dataset before the run ended."""
    if before.failures:
        text = f"Run {run.id} succeeded after {counted(before.failures, 'failed run')}."
        alerts.tell(("recovered",), f"recovered:{run.id}", f"{before.name} works again", text)


def behind(alerts: Alerts, dataset: Dataset, run: Run, tables: Sequence[str]) -> None:
    """Notifies that a run succeeded but could not load tables that have the previous run."""
    if not tables:
        return
    lines = [f"{', '.join(tables)}: not loaded. The dataset's other tables are up to date."]
    lines += [*run.warnings, "A later run loads the missing rows from the archives.", f"Run {run.id}."]
    alerts.tell(("late",), f"behind:{run.id}", f"{dataset.name}: {counted(len(tables), 'table')} behind", _body(lines))


def check_failed(alerts: Alerts, dataset: Dataset, run: Run, checks: Sequence[Check], earlier: Iterable[Check]) -> None:
    """Notifies of failed checks that did not fail in the previous run, whose checks are `earlier`."""
    known = {(check.family, check.name) for check in earlier if check.result == "FAIL"}
    found = [check for check in checks if check.result == "FAIL"]
    if not found or {(check.family, check.name) for check in found} <= known:
        return
    lines = [f"{check.family}: {check.name}: {check.reason}" for check in found]
    lines.append(f"See the figures on the dataset's page, under Proof. Run {run.id}.")
    title = f"{dataset.name}: {counted(len(found), 'check')} failed"
    alerts.tell(("proof",), f"proof:{run.id}", title, _body(lines))


def late(alerts: Alerts, dataset: Dataset, updated_at: datetime | None, now: datetime) -> bool:
    """Whether the dataset missed two due times in a row; notifies if so."""
    since = updated_at or dataset.created_at
    due = next_after(dataset.schedule, since)
    missed = None if due is None else next_after(dataset.schedule, due)
    if dataset.pause is not None or missed is None or now < missed + GRACE:
        return False
    last = "Never updated" if updated_at is None else f"Last updated at {_instant(updated_at)}"
    lines = [f"{last}; due at {_instant(due)} and {_instant(missed)}.", "Check that the service is running."]
    alerts.tell(("late",), f"late:{dataset.id}:{since:%Y%m%dT%H%M%S}", f"{dataset.name} is late", _body(lines))
    return True


def _attempts(run: Run) -> str:
    return f"Run {run.id}, attempt {run.attempt}." if run.attempt > 1 else f"Run {run.id}."


def _body(lines: Iterable[str | None]) -> str:
    return "\n".join(line for line in lines if line)


def _instant(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
