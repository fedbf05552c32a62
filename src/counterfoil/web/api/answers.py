"""What routes answer. The dictionaries are made by `app`, as for `--json`; these say what is in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["queued", "running", "waiting", "succeeded", "failed", "canceled", "skipped"]
Result = Literal["PASS", "FAIL", "INCONCLUSIVE", "NOT APPLICABLE"]
_CURSOR = "What to give for the next page; null when there is none."


class Told(BaseModel):
    """Says all that there is."""

    model_config = ConfigDict(extra="forbid")


class Problem(Told):
    """What went wrong (RFC 9457)."""

    title: str
    status: int
    detail: str = Field(description="What happened, with names and values, for people.")
    hint: str | None = Field(description="What to do, for people.")
    code: str = Field(description="What happened, for programs: it stays the same.")


class Readable(Told):
    """Whether the key may read a report."""

    report: str
    title: str
    readable: bool | None = Field(description="Null when that was never tried.")
    permission: str | None = Field(description="What the key lacks, `rak_…`.")


class Account(Told):
    """A saved key of Stripe, which is not told."""

    id: str
    name: str
    stripe_id: str | None
    display_name: str | None
    shown: str = Field(description="The key as it may be shown, `sk_test_…4242`.")
    reference: str | None = Field(description="Where the key is kept, when it is not stored here.")
    api_base: str
    stripe_account: str | None
    status: str
    problem: str | None
    checked_at: datetime | None
    created_at: datetime
    mode: Literal["live", "test"] | None
    reports: list[Readable]


class AccountGone(Told):
    """What was removed, by name."""

    removed: str
    datasets: list[str]


class ReportColumn(Told):
    name: str
    type: str
    description: str


class ReportOption(Told):
    name: str
    choices: list[str]
    default: str | None
    description: str


class Report(Told):
    """What can be read."""

    key: str
    title: str
    description: str
    primary_key: list[str]
    created: str | None
    pull_methods: list[str]
    dataset_methods: list[str]
    dataset_default_method: str
    permissions: list[str]
    options: list[ReportOption]
    notes: list[str]
    columns: list[ReportColumn]


class Choice(Told):
    """What of the report."""

    since: datetime | None
    until: datetime | None
    last_days: int | None
    options: dict[str, str]
    promoted: list[str]
    left_out: list[str]
    hashed: list[str]


class Partition(Told):
    unit: str
    last: int


class Merge(Told):
    deleted: Literal["keep", "drop"]
    history: bool
    reread_days: int


class Target(Told):
    url: str
    table: str


class Retry(Told):
    on: bool
    attempts: int
    every_minutes: int
    manual: bool


class Proof(Told):
    after: Literal["cheap", "none"]
    deep: str | None
    hold: bool


class Pause(Told):
    reason: str
    action: str | None
    at: datetime


class Outlook(Told):
    """The thirty days to come."""

    next_times: list[datetime]
    runs_a_month: int
    reads_of_the_last_full_run: int | None
    reads_of_the_last_run_of_changes: int | None
    reads_a_month: int | None
    share_of_allocation: float | None
    warning: str | None


class _DatasetFacts(Told):
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


class Window(Told):
    since: datetime | None
    until: datetime | None


class RowCounts(Told):
    read: int
    added: int
    changed: int
    deleted: int


class RunFailure(Told):
    kind: str
    message: str
    hint: str | None
    request_id: str | None
    path: str | None
    code: str | None


class Run(Told):
    """One execution of a dataset."""

    id: str
    dataset: str = Field(description="The dataset's name.")
    dataset_id: str
    status: Status
    trigger: str
    reason: str | None
    due_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    attempt: int
    report: str | None
    method: str | None
    whole: bool | None = Field(description="Whether it read everything, not only changes.")
    window: Window | None
    rows: RowCounts
    archive_bytes: int
    requests: int
    requests_by_endpoint: dict[str, int]
    warnings: list[str]
    error: RunFailure | None


class Attempt(Told):
    number: int
    status: str
    started_at: datetime
    finished_at: datetime | None
    error: RunFailure | None


class CheckResult(Told):
    family: str
    name: str
    result: Result
    reason: str


class Load(Told):
    url: str
    table: str
    method: str
    rows: int
    at: datetime


class RunTold(Run):
    """A run with its attempts, checks and loads."""

    next_attempt_at: datetime | None
    rows_kept: bool = Field(description="Whether `/runs/{run}/rows` still has what it brought.")
    attempts: list[Attempt]
    checks: list[CheckResult]
    loads: list[Load]


class Runs(Told):
    """The newest first."""

    items: list[Run]
    next: str | None = Field(description=_CURSOR)


class Line(Told):
    number: int
    at: datetime
    level: str
    message: str
    fields: dict[str, Any]


class Lines(Told):
    """What a run said."""

    items: list[Line]
    next: int = Field(description="What to give as `after` for the lines that are still to come.")


class DatasetAccount(Told):
    id: str
    name: str
    mode: Literal["live", "test"] | None
    status: str


class DatasetBefore(Told):
    id: str
    name: str


class ChecksShort(Told):
    result: Result | None
    failed: list[str]
    run: str | None


class DatasetShown(_DatasetFacts):
    """A dataset with the names of what it refers to."""

    account: DatasetAccount
    after: DatasetBefore | None
    last_run: Run | None
    checks: ChecksShort


class DatasetTold(DatasetShown):
    """A dataset, and what it takes."""

    outlook: Outlook


class DatasetColumn(Told):
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


class NamedColumn(Told):
    name: str
    type: str


class Preview(Told):
    """The first rows that Stripe has. Instants and decimals are text, so that no digit is lost."""

    report: str
    columns: list[NamedColumn]
    rows: list[dict[str, Any]]
    requests: int
    warnings: list[str]


class Rows(Told):
    """A page of a table. Instants and decimals are text, so that no digit is lost."""

    columns: list[ReportColumn]
    rows: list[dict[str, Any]]
    total: int = Field(description="How many rows the filters leave.")
    offset: int
    next: int | None = Field(description="The offset of the next page; null when there is none.")


class TopValue(Told):
    value: str | None
    rows: int


class Profile(Told):
    """What is in a column."""

    column: ReportColumn
    rows: int
    nulls: int
    distinct: int = Field(description="About right.")
    least: str | None
    greatest: str | None
    top: list[TopValue]


class Check(Told):
    family: str
    name: str
    result: Result
    reason: str
    table: str
    figures: dict[str, Any]
    differences: list[dict[str, Any]]
    different: int
    made_at: datetime


class StatementAccount(Told):
    name: str
    stripe_id: str
    livemode: bool


class Statement(Told):
    """What was checked of a run's rows."""

    result: Result | None
    dataset: str
    report: str
    choice: str
    method: str
    tables: list[str]
    account: StatementAccount
    run: str
    run_ended_at: datetime | None
    as_of: datetime
    api_version: str
    program_version: str
    made_at: datetime | None
    requests: int | None
    checks: list[Check]


class Proving(Told):
    """A proof that goes on, or how the last one ended."""

    going_on: bool
    seconds: int | None
    doing: str | None
    requests: int | None
    problem: str | None = Field(description="Why the last one came to nothing.")


class StatementTold(Statement):
    proving: Proving


class Destination(Told):
    """Where datasets go, and what can be asked there."""

    id: str
    name: str
    tables: list[str]


class AnswerColumn(Told):
    name: str
    type: str


class Asked(Told):
    """What a question gave: at most 10,000 rows, each a list in the order of the columns."""

    columns: list[AnswerColumn]
    rows: list[list[Any]]
    cut: bool = Field(description="Whether there were more.")


class Question(Told):
    name: str
    sql: str
    destination: str | None


class Change(Told):
    kind: Literal["account", "dataset"]
    name: str
    action: Literal["create", "change", "none"]
    before: dict[str, Any]
    after: dict[str, Any]
    warnings: list[str]


class Applied(Told):
    """What a configuration changes, or would."""

    changes: list[Change]
    others: list[str] = Field(description="What it does not name, which is left alone.")
    dry_run: bool


class Alert(Told):
    """A place that is told; of its address what is no secret."""

    id: str
    name: str
    shown: str
    kinds: list[str]
    problem: str | None = Field(description="Why the newest notice did not arrive.")
    sent_at: datetime | None
    created_at: datetime


class Alerts(Told):
    items: list[Alert]


class Accounts(Told):
    items: list[Account]


class Reports(Told):
    items: list[Report]


class Datasets(Told):
    items: list[DatasetShown]


class DatasetColumns(Told):
    items: list[DatasetColumn]


class Destinations(Told):
    items: list[Destination]


class Questions(Told):
    items: list[Question]
