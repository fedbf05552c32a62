"""Response models of datasets and their tables."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, create_model

from counterfoil.app.datasets.input import default_of
from counterfoil.dataset_options import OPTIONS, Kind
from counterfoil.web.api.answers import ApiModel, Instant, ReportColumn
from counterfoil.web.api.run_answers import Result, Run

#: All other kinds are text.
_TYPES: dict[Kind, Any] = {
    "number": int,
    "attempts": int,
    "switch": bool,
    "names": list[str],
    "pairs": dict[str, str],
    "instant": Instant,
}


def _options(group: str = "") -> Any:
    """A model with a field for each option of a group; without a group, for each option outside groups."""
    fields: dict[str, Any] = {}
    for option in OPTIONS:
        if option.group == group:
            kind: Any = Literal.__getitem__(option.choices) if option.choices else _TYPES.get(option.kind, str)
            fields[option.attribute] = (kind | None if default_of(option) is None else kind, ...)
    return create_model("Options", __base__=ApiModel, **fields)


class Choice(_options("choice"), ApiModel):  # type: ignore[misc] # the fields come from the table
    """The options that select rows and columns of the report."""


class Merge(_options("merge"), ApiModel):  # type: ignore[misc]
    pass


class Retry(_options("retry"), ApiModel):  # type: ignore[misc]
    on: bool


class Proof(_options("proof"), ApiModel):  # type: ignore[misc]
    pass


class Partition(ApiModel):
    unit: str
    last: int


class Target(ApiModel):
    url: str
    table: str


class Pause(ApiModel):
    reason: str
    action: str | None
    at: Instant
    code: Literal["manual", "key_rejected", "permission_missing", "failures", "schedule"] | None = Field(
        description="`key_rejected` ends automatically when Stripe accepts the key. Null in pauses of older versions."
    )


class Outlook(ApiModel):
    """The forecast for the next 30 days. `reads` are API requests (GET)."""

    next_times: list[Instant]
    runs_a_month: int
    reads_of_the_last_full_run: int | None
    reads_of_the_last_run_of_changes: int | None
    reads_a_month: int | None
    share_of_allocation: float | None
    warning: str | None


class _DatasetFacts(_options(), ApiModel):  # type: ignore[misc]
    id: str
    name: str
    report: str
    choice: Choice
    method: str
    partition: Partition | None
    merge: Merge | None
    targets: list[Target]
    zone: str
    retry: Retry
    proof: Proof
    pause: Pause | None
    failures: int = Field(description="Consecutive failed runs.")
    next_due_at: Instant | None
    created_at: Instant
    updated_at: Instant


class Dataset(_DatasetFacts):
    """A dataset that refers to other objects by id."""

    account: str


class DatasetPlanned(Dataset):
    """A dataset, saved or planned by a dry run."""

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
    """The reason why a dataset needs attention."""

    cause: Literal["account", "paused", "table_would_shrink", "run_failed", "check_failed", "behind"]
    message: str | None
    hint: str | None


class Rollback(ApiModel):
    """A rollback of the tables to an earlier version."""

    run: str = Field(description="The run that the tables were rolled back to.")
    version_at: Instant = Field(description="When this run ended.")
    at: Instant = Field(description="When the tables were rolled back.")


class DatasetSummary(_DatasetFacts):
    """A dataset with its account, status, last run and checks."""

    account: DatasetAccount
    after: DatasetBefore | None
    status: Literal[
        "running", "paused", "attention", "late", "rolled_back", "new", "verified", "partly_verified", "ok"
    ] = Field(description="The status of the dataset: the first of these that applies.")
    attention: Attention | None
    rollback: Rollback | None = Field(description="The rollback, if its tables hold an earlier version.")
    last_run: Run | None
    behind: list[Target] = Field(description="Tables that lack the last run because their load failed.")
    checks: ChecksShort


class DatasetDetail(DatasetSummary):
    """A dataset with the forecast of its runs and API requests."""

    outlook: Outlook


class DatasetColumn(ApiModel):
    """A column that the next run fills."""

    name: str
    type: str
    origin: Literal["stripe", "metadata", "system"]
    path: list[str] = Field(description="The path in Stripe's object; empty for columns that Counterfoil adds.")
    hashed: bool
    currency: str | None = Field(description="For amounts: the column that holds the currency.")
    major: bool = Field(description="Whether the amount is in major units.")
    is_key: bool
    description: str


class NamedColumn(ApiModel):
    name: str
    type: str


class Preview(ApiModel):
    """The first rows at Stripe. Instants and decimals are strings, so no digit is lost."""

    report: str
    columns: list[NamedColumn]
    rows: list[dict[str, Any]]
    requests: int
    warnings: list[str]


class Rows(ApiModel):
    """A page of a table. Instants and decimals are strings, so no digit is lost."""

    columns: list[ReportColumn]
    rows: list[dict[str, Any]]
    total: int = Field(description="The number of rows that match the filters.")
    offset: int
    next: int | None = Field(description="The offset of the next page; null on the last page.")


class TopValue(ApiModel):
    value: str | None
    rows: int


class Profile(ApiModel):
    """Statistics of a column."""

    column: ReportColumn
    rows: int
    nulls: int
    distinct: int = Field(description="The approximate number of distinct values.")
    least: str | None
    greatest: str | None
    top: list[TopValue]


class Datasets(ApiModel):
    items: list[DatasetSummary]


class DatasetColumns(ApiModel):
    items: list[DatasetColumn]
