"""Datasets as dictionaries, for JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from counterfoil.app.accounts import mode
from counterfoil.app.datasets.service import DatasetSummary, PlannedDataset
from counterfoil.app.dictionaries import plain, plain_fields, plain_second, run_dict
from counterfoil.logging import redacted
from counterfoil.state.check import worst
from counterfoil.state.dataset import Dataset, Target


def dataset_dict(dataset: Dataset) -> dict[str, Any]:
    """A dataset, with references to other objects as ids."""
    choice = dataset.choice
    return {
        **plain_fields(dataset, *(name for name in Dataset.__slots__ if name != "bookmark")),
        "choice": {**plain(choice), "since": plain_second(choice.since), "until": plain_second(choice.until)},
        "targets": _targets(dataset.targets),
        "zone": dataset.schedule.zone,
    }


def summary_dict(shown: DatasetSummary) -> dict[str, Any]:
    """A dataset with its account, the name of the one before it, and its newest run."""
    account, run, status = shown.account, shown.last_run, shown.status
    return {
        **dataset_dict(shown.dataset),
        "account": {**plain_fields(account, "id", "name", "status"), "mode": mode(account)},
        "after": shown.after and {"id": shown.dataset.after, "name": shown.after},
        "status": status.code,
        "attention": status.cause and plain_fields(status, "cause", "message", "hint"),
        "rollback": shown.rollback and plain_fields(shown.rollback, "run", "version_at", "at"),
        "last_run": run and run_dict(run, shown.dataset.name),
        "behind": _targets(shown.behind),
        "checks": {
            "result": worst(shown.checks),
            "failed": [f"{check.family}: {check.name}" for check in shown.checks if check.result == "FAIL"],
            "run": shown.checks[0].run if shown.checks else None,
        },
    }


def planned_dict(planned: PlannedDataset) -> dict[str, Any]:
    """A created or edited dataset, with its forecast and warnings."""
    more = {"outlook": planned.outlook.as_dict(), **plain_fields(planned, "warnings", "dry_run")}
    return {**dataset_dict(planned.dataset), **more}


def _targets(targets: Iterable[Target]) -> list[dict[str, str]]:
    return [{"url": redacted(target.url), "table": target.table} for target in targets]
