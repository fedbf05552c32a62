"""Values as JSON, for `--json`, the API and `run_dataset`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from counterfoil.schedules import Schedule, describe

if TYPE_CHECKING:
    from counterfoil.app.runs import RunDetail
    from counterfoil.state.run import Run


def plain(value: Any) -> Any:
    """Dataclasses as dictionaries, times in RFC 3339 to the second, schedules as text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Schedule):
        return describe(value)
    if is_dataclass(value):
        return plain_fields(value, *(one.name for one in fields(value)))
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def plain_fields(value: object, *names: str) -> dict[str, Any]:
    """The named fields of a value."""
    return {name: plain(getattr(value, name)) for name in names}


def plain_second(unix: int | None) -> str | None:
    """A time in Unix seconds, as RFC 3339 in UTC."""
    return plain(datetime.fromtimestamp(unix, UTC)) if unix is not None else None


def run_dict(run: Run, dataset: str) -> dict[str, Any]:
    """A run of a dataset (by name)."""
    window = run.plan.get("window")
    return {
        "id": run.id,
        "dataset": dataset,
        "dataset_id": run.dataset,
        **plain_fields(run, "status", "trigger", "reason", "due_at", "created_at", "started_at", "finished_at"),
        **plain_fields(run, "deadline_at", "attempt"),
        **{name: run.plan.get(name) for name in ("report", "method", "whole")},
        "window": window and {"since": plain_second(window[0]), "until": plain_second(window[1])},
        "rows": plain_fields(run.counts, "read", "added", "changed", "deleted"),
        "archive_bytes": run.counts.bytes,
        "requests": sum(run.requests.values()),
        "requests_by_endpoint": dict(run.requests),
        **plain_fields(run, "warnings", "error"),
    }


def detail_dict(shown: RunDetail) -> dict[str, Any]:
    """A run with its attempts, checks and loads."""
    attempt = ("number", "status", "started_at", "finished_at", "error")
    return {
        **run_dict(shown.run, shown.dataset),
        "next_attempt_at": plain(shown.next_attempt_at),
        "rows_kept": shown.kept,
        "attempts": [plain_fields(one, *attempt) for one in shown.attempts],
        "checks": [plain_fields(one, "family", "name", "result", "reason") for one in shown.checks],
        "loads": [plain_fields(one, "url", "table", "method", "rows", "at") for one in shown.loads],
    }
