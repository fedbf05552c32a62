"""Runs as plain values, for JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from counterfoil.app.runs import RunDetail
    from counterfoil.state.run import Line, Run


def run_dict(run: Run, dataset: str) -> dict[str, Any]:
    """A run of a dataset (by name)."""
    window = run.plan.get("window")
    return {
        "id": run.id,
        "dataset": dataset,
        "dataset_id": run.dataset,
        "status": run.status,
        "trigger": run.trigger,
        "reason": run.reason,
        **{name: _instant(getattr(run, name)) for name in ("due_at", "created_at", "started_at", "finished_at")},
        "deadline_at": _instant(run.deadline_at),
        "attempt": run.attempt,
        "report": run.plan.get("report"),
        "method": run.plan.get("method"),
        "whole": run.plan.get("whole"),
        "window": window and {"since": _second(window[0]), "until": _second(window[1])},
        "rows": {name: getattr(run.counts, name) for name in ("read", "added", "changed", "deleted")},
        "archive_bytes": run.counts.bytes,
        "requests": sum(run.requests.values()),
        "requests_by_endpoint": dict(run.requests),
        "warnings": list(run.warnings),
        "error": run.error and dict(run.error),
    }


def detail_dict(told: RunDetail) -> dict[str, Any]:
    """A run with its attempts and loads."""
    return {
        **run_dict(told.run, told.dataset),
        "next_attempt_at": _instant(told.next_attempt_at),
        "rows_kept": told.kept,
        "attempts": [
            _instants({name: getattr(one, name) for name in _ATTEMPT}, "started_at", "finished_at")
            for one in told.attempts
        ],
        "checks": [{name: getattr(one, name) for name in _CHECK} for one in told.checks],
        "loads": [_instants({name: getattr(one, name) for name in _LOAD}, "at") for one in told.loads],
    }


def line_dict(line: Line) -> dict[str, Any]:
    """A line of a run's log."""
    return _instants(asdict(line), "at")


_ATTEMPT = ("number", "status", "started_at", "finished_at", "error")
_CHECK = ("family", "name", "result", "reason")
_LOAD = ("url", "table", "method", "rows", "at")


def _instants(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {**values, **{name: _instant(values[name]) for name in names}}


def _instant(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at is not None else None


def _second(unix: int | None) -> str | None:
    return _instant(datetime.fromtimestamp(unix, UTC)) if unix is not None else None
