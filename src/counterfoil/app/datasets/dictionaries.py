"""Datasets as plain values, for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from counterfoil.app.accounts import mode
from counterfoil.app.datasets.service import DatasetSummary, PlannedDataset
from counterfoil.app.run_dict import run_dict
from counterfoil.logging import redacted
from counterfoil.runs.preview import Preview
from counterfoil.schedules import Schedule, describe
from counterfoil.state.check import worst
from counterfoil.state.dataset import Dataset, Target


def dataset_dict(dataset: Dataset) -> dict[str, Any]:
    """A dataset by itself: others go by their ids."""
    choice = dataset.choice
    return {
        **{one.name: _plain(getattr(dataset, one.name)) for one in fields(dataset) if one.name != "bookmark"},
        "choice": {**_plain(choice), "since": _second(choice.since), "until": _second(choice.until)},
        "targets": _targets(dataset.targets),
        "zone": dataset.schedule.zone,
    }


def summary_dict(shown: DatasetSummary) -> dict[str, Any]:
    """A dataset with its account, the name of the one before it, and its newest run."""
    account, run = shown.account, shown.last_run
    return {
        **dataset_dict(shown.dataset),
        "account": {"id": account.id, "name": account.name, "mode": mode(account), "status": account.status},
        "after": shown.after and {"id": shown.dataset.after, "name": shown.after},
        "status": shown.status.code,
        "attention": shown.status.cause
        and {"cause": shown.status.cause, "message": shown.status.message, "hint": shown.status.hint},
        "rollback": shown.rollback
        and {
            "run": shown.rollback.run,
            "version_at": _instant(shown.rollback.version_at),
            "at": _instant(shown.rollback.at),
        },
        "last_run": run and run_dict(run, shown.dataset.name),
        "behind": _targets(shown.behind),
        "checks": {
            "result": worst(shown.checks),
            "failed": [f"{check.family}: {check.name}" for check in shown.checks if check.result == "FAIL"],
            "run": shown.checks[0].run if shown.checks else None,
        },
    }


def planned_dict(planned: PlannedDataset) -> dict[str, Any]:
    """A dataset as it is, or would be, with its forecast and its warnings."""
    more = {"outlook": planned.outlook.as_dict(), "warnings": list(planned.warnings), "dry_run": planned.dry_run}
    return {**dataset_dict(planned.dataset), **more}


def row_dicts(preview: Preview) -> Iterator[dict[str, Any]]:
    """The rows for JSON: instants and decimals as text, so that no digit is lost."""
    for row in preview.rows:
        yield {name: _cell(value) for name, value in row.items()}


def _targets(targets: Iterable[Target]) -> list[dict[str, str]]:
    return [{"url": redacted(target.url), "table": target.table} for target in targets]


def _plain(value: Any) -> Any:
    """A field of a dataset: schedules in words, instants as text."""
    if isinstance(value, Schedule):
        return describe(value)
    if isinstance(value, datetime):
        return _instant(value)
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _cell(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _instant(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at is not None else None


def _second(unix: int | None) -> str | None:
    return _instant(datetime.fromtimestamp(unix, UTC)) if unix is not None else None
