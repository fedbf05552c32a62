"""What the routes return. `app` makes the dictionaries, for `--json` too; these models check and describe them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.responses import JSONResponse

from counterfoil.logging import redacted

CURSOR = "What to give for the next page; null when there is none."


class RedactedJson(JSONResponse):
    """JSON without Stripe keys and tokens."""

    def render(self, content: object) -> bytes:
        return redacted(json.dumps(content, ensure_ascii=False, allow_nan=False)).encode(errors="replace")


class ApiModel(BaseModel):
    """Has exactly the fields of what is sent."""

    model_config = ConfigDict(extra="forbid")


#: An instant as `app` writes it, in RFC 3339.
Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class Problem(ApiModel):
    """What went wrong (RFC 9457)."""

    title: str
    status: int
    detail: str = Field(description="What happened, with names and values, for people.")
    hint: str | None = Field(description="What to do, for people.")
    code: str = Field(description="What happened, for programs: it stays the same.")


class Readable(ApiModel):
    """Whether the key may read a report."""

    report: str
    title: str
    readable: bool | None = Field(description="Null when that was never tried.")
    permission: str | None = Field(description="What the key lacks, `rak_…`.")


class Account(ApiModel):
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
    checked_at: Instant | None
    created_at: Instant
    mode: Literal["live", "test"] | None
    reports: list[Readable]


class AccountGone(ApiModel):
    """What was removed, by name."""

    removed: str
    datasets: list[str]


class ReportColumn(ApiModel):
    name: str
    type: str
    description: str


class ReportOption(ApiModel):
    name: str
    choices: list[str]
    default: str | None
    description: str


class Report(ApiModel):
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


class Destination(ApiModel):
    """Where datasets go, and what can be asked there."""

    id: str
    name: str
    tables: list[str]


class AnswerColumn(ApiModel):
    name: str
    type: str


class AskedWarning(ApiModel):
    """What is odd about an answer. `snapshots_added`: it adds up the rows of several runs of an append table."""

    code: Literal["snapshots_added"]
    table: str
    runs: int = Field(description="How many runs the table holds the rows of.")
    latest: str | None = Field(description="The view of the latest run's rows, where the destination has one.")
    message: str
    hint: str


class Asked(ApiModel):
    """What a question gave: at most 10,000 rows, each a list in the order of the columns."""

    columns: list[AnswerColumn]
    rows: list[list[Any]]
    cut: bool = Field(description="Whether there were more.")
    warnings: list[AskedWarning]


class Question(ApiModel):
    name: str
    sql: str
    destination: str | None


class Change(ApiModel):
    kind: Literal["account", "dataset"]
    name: str
    action: Literal["create", "change", "none"]
    before: dict[str, Any]
    after: dict[str, Any]
    warnings: list[str]


class Applied(ApiModel):
    """What a configuration changes, or would."""

    changes: list[Change]
    others: list[str] = Field(description="What it does not name, which is left alone.")
    dry_run: bool


class Alert(ApiModel):
    """A place that is told; of its address what is no secret."""

    id: str
    name: str
    shown: str
    kinds: list[str]
    problem: str | None = Field(description="Why the newest notice did not arrive.")
    sent_at: Instant | None
    created_at: Instant


class Alerts(ApiModel):
    items: list[Alert]


class Accounts(ApiModel):
    items: list[Account]


class Reports(ApiModel):
    items: list[Report]


class Destinations(ApiModel):
    items: list[Destination]


class Questions(ApiModel):
    items: list[Question]
