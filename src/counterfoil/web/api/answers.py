"""Response models. They validate and describe the dictionaries of `app`, which `--json` prints too."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.responses import JSONResponse

from counterfoil.logging import redacted

CURSOR = "Pass this value to get the next page; null on the last page."


class RedactedJson(JSONResponse):
    """JSON with redacted Stripe keys and tokens."""

    def render(self, content: object) -> bytes:
        return redacted(json.dumps(content, ensure_ascii=False, allow_nan=False)).encode(errors="replace")


class ApiModel(BaseModel):
    """The base of response models; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


#: An instant in RFC 3339, formatted by `app`.
Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class Problem(ApiModel):
    """An error (RFC 9457)."""

    title: str
    status: int
    detail: str = Field(description="The error with names and values, for people.")
    hint: str | None = Field(description="The next step, for people.")
    code: str = Field(description="The error code, for programs. Codes don't change between versions.")


class Readable(ApiModel):
    """Whether the key can read a report."""

    report: str
    title: str
    readable: bool | None = Field(description="Null if it was never tested.")
    permission: str | None = Field(description="The missing permission of the key, `rak_…`.")


class Account(ApiModel):
    """A saved Stripe key. The key itself is never returned."""

    id: str
    name: str
    stripe_id: str | None
    display_name: str | None
    shown: str = Field(description="The shortened key, `sk_test_…4242`.")
    reference: str | None = Field(description="Where the key is stored, if not in Counterfoil.")
    api_base: str
    stripe_account: str | None
    status: str
    problem: str | None
    checked_at: Instant | None
    created_at: Instant
    mode: Literal["live", "test"] | None
    reports: list[Readable]


class AccountGone(ApiModel):
    """The names of the removed account and datasets."""

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
    """A report that datasets can load."""

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
    """A destination of datasets, and the tables that can be queried there."""

    id: str
    name: str
    tables: list[str]


class AnswerColumn(ApiModel):
    name: str
    type: str


class AskedWarning(ApiModel):
    """A warning about a result. `snapshots_added`: the query adds up the rows of several runs of an append table."""

    code: Literal["snapshots_added"]
    table: str
    runs: int = Field(description="The number of runs with rows in the table.")
    latest: str | None = Field(description="The view of the latest run's rows, if the destination has one.")
    message: str
    hint: str


class Asked(ApiModel):
    """The result of a query: at most 10,000 rows, each a list in the order of the columns."""

    columns: list[AnswerColumn]
    rows: list[list[Any]]
    cut: bool = Field(description="Whether the result has more rows.")
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
    """The changes of a configuration, applied or planned."""

    changes: list[Change]
    others: list[str] = Field(description="Accounts and datasets that are not in the file; they stay unchanged.")
    dry_run: bool


class Alert(ApiModel):
    """A recipient of notifications. `shown` is its URL without secrets."""

    id: str
    name: str
    shown: str
    kinds: list[str]
    problem: str | None = Field(description="Why the last notification could not be sent.")
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
