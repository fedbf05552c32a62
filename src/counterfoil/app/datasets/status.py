"""The status of a dataset, for the UI, the command line and the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from counterfoil.logging import redacted
from counterfoil.runs.loads.backfill import newest_read
from counterfoil.runs.loads.size_check import TABLE_WOULD_SHRINK
from counterfoil.state.check import worst

if TYPE_CHECKING:
    from counterfoil.state.accounts import Account
    from counterfoil.state.check import StoredCheck
    from counterfoil.state.dataset import Dataset, Target
    from counterfoil.state.run import Run
    from counterfoil.state.runs import Runs

#: All statuses of a dataset.
StatusCode = Literal[
    "running", "paused", "attention", "late", "rolled_back", "new", "verified", "partly_verified", "ok"
]
#: Why a dataset needs attention; the first that applies.
Cause = Literal["account", "paused", "table_would_shrink", "run_failed", "check_failed", "behind"]

LABELS: dict[StatusCode, str] = {
    "attention": "Needs attention",
    "late": "Late",
    "running": "Running",
    "rolled_back": "Rolled back",
    "verified": "Verified",
    "partly_verified": "Partly verified",
    "ok": "OK",
    "new": "Not run yet",
    "paused": "Paused",
}

#: How long after its due time a dataset is late.
GRACE = timedelta(minutes=5)
_ACTIVE = ("queued", "running", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStatus:
    """The status of a dataset."""

    code: StatusCode
    #: Why it needs attention.
    cause: Cause | None = None
    #: The problem and the next step.
    message: str | None = None
    hint: str | None = None

    @property
    def label(self) -> str:
        return LABELS[self.code]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """A rollback: the tables contain an earlier version."""

    #: The run of the version, and the time of its end.
    run: str
    version_at: datetime
    #: The time of the rollback.
    at: datetime


def status_of(
    dataset: Dataset,
    account: Account,
    run: Run | None,
    checks: Sequence[StoredCheck],
    behind: Sequence[Target],
    rollback: Rollback | None,
    *,
    now: datetime,
) -> DatasetStatus:
    """The status of a dataset with its newest run and the checks of its tables."""
    error = dict(run.error) if run is not None and run.error is not None else {}
    if run is not None and run.status in _ACTIVE:
        return DatasetStatus(code="running", message=error.get("message"), hint=error.get("hint"))
    if dataset.pause is not None and dataset.pause.code == "manual":
        return DatasetStatus(code="paused", message=dataset.pause.reason, hint=dataset.pause.action)
    attention = _attention(dataset, account, run, checks, behind)
    if attention is not None:
        return attention
    if dataset.next_due_at is not None and dataset.next_due_at < now - GRACE:
        return DatasetStatus(code="late")
    if rollback is not None:
        return DatasetStatus(code="rolled_back")
    if run is None:
        return DatasetStatus(code="new")
    verified: dict[str | None, StatusCode] = {"PASS": "verified", "INCONCLUSIVE": "partly_verified"}
    return DatasetStatus(code=verified.get(worst(checks), "ok"))


def _attention(
    dataset: Dataset, account: Account, run: Run | None, checks: Sequence[StoredCheck], behind: Sequence[Target]
) -> DatasetStatus | None:
    if account.status != "ok":
        problem = account.problem or "the key of the account cannot be read"
        return _needs("account", problem, "Replace the key of the account.")
    if dataset.pause is not None:
        return _needs("paused", dataset.pause.reason, dataset.pause.action)
    if run is not None and run.status == "failed":
        error = run.error or {}
        cause: Cause = "table_would_shrink" if error.get("code") == TABLE_WOULD_SHRINK else "run_failed"
        return _needs(cause, error.get("message") or "the last run failed", error.get("hint"))
    failed = [check for check in checks if check.result == "FAIL"]
    if failed:
        first, more = failed[0], len(failed) - 1
        names = f"{first.name} and {more} more checks failed" if more else f"check failed: {first.name}"
        return _needs("check_failed", f"{names}: {first.reason}", "See the figures in the statement of completeness.")
    if behind:
        tables = ", ".join(f"{one.table} of {redacted(one.url)}" for one in behind)
        hint = "Wait for the next run, or backfill the table from the archive."
        return _needs("behind", f"not up to date: {tables}", hint)
    return None


def _needs(cause: Cause, message: str, hint: str | None) -> DatasetStatus:
    return DatasetStatus(code="attention", cause=cause, message=message, hint=hint)


def rollback_of(runs: Runs, dataset: Dataset, newest: Run | None) -> Rollback | None:
    """The rollback of the tables; None if they contain the newest version, or no version."""
    if newest is None or (dataset.bookmark or {}).get("run") == newest.id:
        return None
    held, read = newest_read(runs, dataset.id)
    if held is None or read is None:
        return None
    by, version = held
    if version.id == read.id:
        return None
    return Rollback(
        run=version.id, version_at=version.finished_at or version.created_at, at=by.finished_at or by.created_at
    )
