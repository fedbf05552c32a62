"""What routes answer of datasets and what is in their tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from counterfoil.web.api.answers import ApiModel, ReportColumn
from counterfoil.web.api.run_answers import Result, Run


class Choice(ApiModel):
    """What of the report."""

    since: datetime | None
    until: datetime | None
    last_days: int | None
    options: dict[str, str]
    promoted: list[str]
    left_out: list[str]
    hashed: list[str]


class Partition(ApiModel):
    unit: str
    last: int


class Merge(ApiModel):
    deleted: Literal["keep", "drop"]
    history: bool
    reread_days: int


class Target(ApiModel):
    url: str
    table: str


class Retry(ApiModel):
    on: bool
    attempts: int
    every_minutes: int
    manual: bool


class Proof(ApiModel):
    after: Literal["cheap", "none"]
    deep: str | None
    hold: bool


class Pause(ApiModel):
    reason: str
    action: str | None
    at: datetime
    code: Literal["manual", "key_rejected", "permission_missing", "failures", "schedule"] | None = Field(
        description="`key_rejected` ends by itself once Stripe accepts the key; null in a pause of an older version."
    )


class Outlook(ApiModel):
    """The thirty days to come."""

    next_times: list[datetime]
    runs_a_month: int
    reads_of_the_last_full_run: int | None
    reads_of_the_last_run_of_changes: int | None
    reads_a_month: int | None
    share_of_allocation: float | None
    warning: str | None


class _DatasetFacts(ApiModel):
    id: str
    name: str
    description: str
    report: str
    choice: Choice
    method: str
    partition: Partition | None
    merge: Merge | None
    targets: list[Target]
    schedule: str
    zone: str
    retry: Retry
    proof: Proof
    deadline_minutes: int | None
    pause: Pause | None
    failures: int = Field(description="Failed runs in a row.")
    next_due_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Dataset(_DatasetFacts):
    """A dataset by itself: what it refers to goes by ids."""

    account: str
    after: str | None


class DatasetPlanned(Dataset):
    """A dataset as it is, or would be."""

    outlook: Outlook
    warnings: list[str]
    dry_run: bool


class DatasetAccount(ApiModel):
    id: str
    name: str
    mode: Literal["live", "test"] | None
    status: str


class DatasetBefore(ApiModel):
    id: str
    name: str


class ChecksShort(ApiModel):
    result: Result | None
    failed: list[str]
    run: str | None


class Attention(ApiModel):
    """Why a dataset needs attention."""

    cause: Literal["account", "paused", "table_would_shrink", "run_failed", "check_failed", "behind"]
    message: str | None
    hint: str | None


class Rollback(ApiModel):
    """An earlier version in the tables."""

    run: str = Field(description="The run whose version it is.")
    version_at: datetime = Field(description="When that run ended.")
    at: datetime = Field(description="When the tables were returned to it.")


class DatasetSummary(_DatasetFacts):
    """A dataset with the names of what it refers to."""

    account: DatasetAccount
    after: DatasetBefore | None
    status: Literal[
        "running", "paused", "attention", "late", "rolled_back", "new", "verified", "partly_verified", "ok"
    ] = Field(description="The one status of the dataset: the first of these that applies.")
    attention: Attention | None
    rollback: Rollback | None = Field(description="Where its tables hold an earlier version.")
    last_run: Run | None
    behind: list[Target] = Field(description="Tables that lack the last run: their destinations could not be loaded.")
    checks: ChecksShort


class DatasetDetail(DatasetSummary):
    """A dataset, and what it takes."""

    outlook: Outlook


class DatasetColumn(ApiModel):
    """A column that the next run fills."""

    name: str
    type: str
    origin: Literal["stripe", "metadata", "system"]
    path: list[str] = Field(description="Keys from the top of Stripe's object; none for what Counterfoil adds.")
    hashed: bool
    currency: str | None = Field(description="For money: the column that holds its currency.")
    major: bool = Field(description="Whether the amount is in major units.")
    is_key: bool
    description: str


class NamedColumn(ApiModel):
    name: str
    type: str


class Preview(ApiModel):
    """The first rows that Stripe has. Instants and decimals are text, so that no digit is lost."""

    report: str
    columns: list[NamedColumn]
    rows: list[dict[str, Any]]
    requests: int
    warnings: list[str]


class Rows(ApiModel):
    """A page of a table. Instants and decimals are text, so that no digit is lost."""

    columns: list[ReportColumn]
    rows: list[dict[str, Any]]
    total: int = Field(description="How many rows the filters leave.")
    offset: int
    next: int | None = Field(description="The offset of the next page; null when there is none.")


class TopValue(ApiModel):
    value: str | None
    rows: int


class Profile(ApiModel):
    """What is in a column."""

    column: ReportColumn
    rows: int
    nulls: int
    distinct: int = Field(description="About right.")
    least: str | None
    greatest: str | None
    top: list[TopValue]


class Datasets(ApiModel):
    items: list[DatasetSummary]


class DatasetColumns(ApiModel):
    items: list[DatasetColumn]
