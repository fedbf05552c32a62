"""Runs, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from counterfoil.errors import CounterfoilError, RunError
from counterfoil.logging import redacted
from counterfoil.values import Method

Trigger = Literal["manual", "schedule", "after"]
#: `waiting`: between two attempts.
Status = Literal["queued", "running", "waiting", "succeeded", "failed", "canceled", "skipped"]
Ending = Literal["succeeded", "failed", "canceled"]
Level = Literal["debug", "info", "warning", "error"]


class LostOwnership(RunError):  # noqa: N818 - the names say what happened
    """Another attempt owns the run, or the run has ended: this attempt may not write any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The numbers of a run's rows, and the size of its archive."""

    read: int = 0
    added: int = 0
    changed: int = 0
    deleted: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a dataset."""

    id: str
    #: The id of the dataset.
    dataset: str
    trigger: Trigger
    #: The due time that it runs for.
    due_at: datetime | None
    status: Status
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    #: The number of the newest attempt; 0 before the first.
    attempt: int
    #: The plan, made by the first attempt; empty before.
    plan: Mapping[str, Any]
    counts: Counts
    #: Requests by endpoint.
    requests: Mapping[str, int]
    warnings: tuple[str, ...]
    #: `kind`, `message`, `hint`, `request_id`, `path`, `code`; None without an error.
    error: Mapping[str, Any] | None
    #: The dataset's bookmark once this run has succeeded.
    bookmark: Mapping[str, Any] | None
    #: The token of the attempt that may write.
    owner: str | None
    cancel_requested: bool
    deadline_at: datetime | None
    #: Why it was skipped, canceled or a full refresh.
    reason: str | None
    #: When its archive was removed; None before that.
    archive_removed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of a run."""

    run: str
    number: int
    status: Status
    started_at: datetime
    finished_at: datetime | None
    error: Mapping[str, Any] | None
    #: Its id in the queue.
    workflow: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRecord:
    """The record that a run's rows are in a table."""

    run: str
    url: str
    table: str
    method: Method
    rows: int
    at: datetime


#: The field `step` of the log line that begins the load of a table.
LOAD_STEP = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a run's log. The numbers increase."""

    number: int
    at: datetime
    level: Level
    message: str
    fields: Mapping[str, Any]


def described(error: CounterfoilError) -> dict[str, Any]:
    """An error as a run stores it."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "request_id": error.request_id,
        "path": error.path,
        "code": error.code,
    }


def without_secrets(value: Any) -> Any:
    """A JSON value in which the secret part of each Stripe key is replaced."""
    match value:
        case str():
            return redacted(value)
        case Mapping():
            return {without_secrets(key): without_secrets(each) for key, each in value.items()}
        case list() | tuple():
            return [without_secrets(each) for each in value]
        case _:
            return value
