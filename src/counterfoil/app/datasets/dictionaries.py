"""Datasets as plain values, for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from counterfoil.app.accounts import mode
from counterfoil.app.datasets.service import DatasetSummary
from counterfoil.app.run_dict import run_dict
from counterfoil.logging import redacted
from counterfoil.runs.preview import Preview
from counterfoil.schedules import describe
from counterfoil.state.check import worst
from counterfoil.state.dataset import Choice, Dataset


def dataset_dict(dataset: Dataset) -> dict[str, Any]:
    """A dataset by itself: others go by their ids."""
    pause = dataset.pause
    return {
        "id": dataset.id,
        "name": dataset.name,
        "description": dataset.description,
        "account": dataset.account,
        "report": dataset.report,
        "choice": _choice(dataset.choice),
        "method": dataset.method,
        "partition": dataset.partition and asdict(dataset.partition),
        "merge": dataset.merge and asdict(dataset.merge),
        "targets": [{"url": redacted(target.url), "table": target.table} for target in dataset.targets],
        "schedule": describe(dataset.schedule),
        "zone": dataset.schedule.zone,
        "after": dataset.after,
        "retry": asdict(dataset.retry),
        "proof": {
            "after": dataset.proof.after,
            "deep": dataset.proof.deep and describe(dataset.proof.deep),
            "hold": dataset.proof.hold,
        },
        "deadline_minutes": dataset.deadline_minutes,
        "pause": pause
        and {"reason": pause.reason, "action": pause.action, "at": _instant(pause.at), "code": pause.code},
        "failures": dataset.failures,
        "next_due_at": _instant(dataset.next_due_at),
        "created_at": _instant(dataset.created_at),
        "updated_at": _instant(dataset.updated_at),
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
        "behind": [{"url": redacted(target.url), "table": target.table} for target in shown.behind],
        "checks": {
            "result": worst(shown.checks),
            "failed": [f"{check.family}: {check.name}" for check in shown.checks if check.result == "FAIL"],
            "run": shown.checks[0].run if shown.checks else None,
        },
    }


def row_dicts(preview: Preview) -> Iterator[dict[str, Any]]:
    """The rows for JSON: instants and decimals as text, so that no digit is lost."""
    for row in preview.rows:
        yield {name: _plain(value) for name, value in row.items()}


def _choice(choice: Choice) -> dict[str, Any]:
    lists: Mapping[str, tuple[str, ...]] = {name: getattr(choice, name) for name in ("promoted", "left_out", "hashed")}
    return {
        "since": _second(choice.since),
        "until": _second(choice.until),
        "last_days": choice.last_days,
        "options": dict(choice.options),
        **{name: list(words) for name, words in lists.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _instant(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at is not None else None


def _second(unix: int | None) -> str | None:
    return _instant(datetime.fromtimestamp(unix, UTC)) if unix is not None else None
