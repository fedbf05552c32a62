"""Response models of runs and checks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from counterfoil.web.api.answers import CURSOR, ApiModel, Instant

Status = Literal["queued", "running", "waiting", "succeeded", "failed", "canceled", "skipped"]
Result = Literal["PASS", "FAIL", "INCONCLUSIVE", "NOT APPLICABLE"]


class Window(ApiModel):
    since: Instant | None
    until: Instant | None


class RowCounts(ApiModel):
    read: int
    added: int
    changed: int
    deleted: int


class RunFailure(ApiModel):
    kind: str
    message: str
    hint: str | None
    request_id: str | None
    path: str | None
    code: str | None


class Run(ApiModel):
    """One execution of a dataset."""

    id: str
    dataset: str = Field(description="The dataset's name.")
    dataset_id: str
    status: Status
    trigger: str
    reason: str | None
    due_at: Instant | None
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    deadline_at: Instant | None
    attempt: int
    report: str | None
    method: str | None
    whole: bool | None = Field(description="Whether it was a full refresh; false for an incremental run.")
    window: Window | None
    rows: RowCounts
    archive_bytes: int
    requests: int
    requests_by_endpoint: dict[str, int]
    warnings: list[str]
    error: RunFailure | None


class Attempt(ApiModel):
    number: int
    status: str
    started_at: Instant
    finished_at: Instant | None
    error: RunFailure | None


class CheckResult(ApiModel):
    family: str
    name: str
    result: Result
    reason: str


class Load(ApiModel):
    url: str
    table: str
    method: str
    rows: int
    at: Instant


class RunDetail(Run):
    """A run with its attempts, checks and loads."""

    next_attempt_at: Instant | None
    rows_kept: bool = Field(description="Whether the rows of the run are still archived, for `/runs/{run}/rows`.")
    attempts: list[Attempt]
    checks: list[CheckResult]
    loads: list[Load]


class Runs(ApiModel):
    """Runs, newest first."""

    items: list[Run]
    next: str | None = Field(description=CURSOR)


class Line(ApiModel):
    number: int
    at: Instant
    level: str
    message: str
    fields: dict[str, Any]


class Lines(ApiModel):
    """Lines of the log of a run."""

    items: list[Line]
    next: int = Field(description="Pass this value as `after` to get the following lines.")


class Check(CheckResult):
    table: str
    figures: dict[str, Any]
    differences: list[dict[str, Any]]
    different: int
    made_at: Instant


class StatementAccount(ApiModel):
    name: str
    stripe_id: str
    livemode: bool


class Proving(ApiModel):
    """The progress of running checks, or the error of the last ones."""

    going_on: bool
    seconds: int | None
    doing: str | None
    requests: int | None
    problem: str | None = Field(description="The error that ended the last checks, if any.")


class StatementDetail(ApiModel):
    """The statement of completeness of a run."""

    result: Result | None
    dataset: str
    report: str
    choice: str
    method: str
    tables: list[str]
    account: StatementAccount
    run: str
    run_ended_at: Instant | None
    as_of: Instant
    api_version: str
    program_version: str
    made_at: Instant | None
    requests: int | None
    checks: list[Check]
    proving: Proving
