"""What requests bring, with the words of `docs/configuration.md`. A word that is not here is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

_Number = Annotated[int, Field(ge=0, le=1_000_000)]
#: Postgres, where the state may be, has no text with a zero in it.
_Word = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
_Words = Annotated[list[_Word], Field(max_length=1000)]


class Body(BaseModel):
    """Types are not guessed: "5" is no number."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    def said(self) -> dict[str, Any]:
        """What was said, a null too."""
        return self.model_dump(exclude_unset=True)


class AccountBody(Body):
    """A key to save."""

    key: SecretStr = Field(description="Stripe's key. It is tried first, kept encrypted, and never told again.")
    name: _Word | None = Field(
        default=None,
        description="How you call the account. Without one it is as Stripe calls it, and a key that is saved "
        "already is not saved again.",
    )
    stripe_account: _Word | None = Field(default=None, description="A connected account of a platform, `acct_…`.")
    api_base: _Word | None = Field(default=None, description="Where another Stripe is, such as a sandbox.")


class AccountChanges(Body):
    """Another name of an account."""

    name: _Word


class KeyBody(Body):
    """Another key of the same Stripe account and mode."""

    key: SecretStr


class ChoiceWords(Body):
    """What of the report."""

    options: dict[_Word, _Word] | None = Field(
        default=None, description="The report's options, as `/reports` lists them."
    )
    since: _Word | None = Field(default=None, description="`2026-01-31` (UTC midnight) or `2026-01-31T09:30:00Z`.")
    until: _Word | None = Field(default=None, description="Only what was created before.")
    last_days: _Number | None = Field(
        default=None, description="Only what was created in so many days before each run."
    )
    promote: _Words | None = Field(default=None, description="Keys of metadata that become columns.")
    leave_out: _Words | None = Field(default=None, description="Columns that are never kept.")
    hash: _Words | None = Field(default=None, description="Columns of which only a keyed hash is kept.")


class DatasetWords(ChoiceWords):
    """What, where to, when. Null, or what is left out of a new dataset, is as it usually is."""

    description: _Word | None = None
    method: Literal["replace", "append", "merge", "partition"] | None = Field(
        default=None, description="How the table is updated; the report's own way unless given."
    )
    partition: _Word | None = Field(
        default=None, description="With `partition`: the period that runs replace, `3 months`."
    )
    deleted: Literal["keep", "drop"] | None = Field(default=None, description="With `merge`: rows that Stripe deleted.")
    history: bool | None = Field(default=None, description="With `merge`: every version is kept, in `TABLE__history`.")
    reread_days: _Number | None = Field(default=None, description="With `merge`: days within which all is read again.")
    to: _Word | list[_Word] | None = Field(
        default=None, description="Where to, such as `duckdb:///file.duckdb` below the home; or several of them."
    )
    table: _Word | None = Field(default=None, description="The report's key unless given.")
    schedule: _Word | None = Field(
        default=None, description="`every 2 hours`, `daily at 06:00`, `cron 0 6 * * *`, `manual`."
    )
    zone: _Word | None = Field(default=None, description="The schedule's time zone; UTC unless given.")
    after: _Word | None = Field(
        default=None, description="A dataset, by name or id, after whose success this one runs."
    )
    retry: _Number | bool | None = Field(default=None, description="How many attempts a run has; false for one.")
    retry_minutes: _Number | None = Field(default=None, description="Minutes between two attempts.")
    retry_manual: bool | None = Field(default=None, description="Whether runs started by hand are tried again too.")
    deadline_minutes: _Number | None = Field(default=None, description="Minutes after which a run is given up.")
    checks: Literal["cheap", "none"] | None = Field(default=None, description="Checks that follow each run.")
    deep_checks: _Word | None = Field(default=None, description="When the deeper checks are due.")
    hold: bool | None = Field(default=None, description="Whether nothing is loaded when a check fails before the load.")


class DatasetBody(DatasetWords):
    """A dataset to make."""

    name: _Word
    account: _Word = Field(description="An account's name or id.")
    report: _Word = Field(description="A report's key.")


class DatasetChanges(DatasetWords):
    """Words of a dataset to change: those that are not given stay, null takes one back."""

    name: _Word | None = None
    account: _Word | None = Field(default=None, description="Another account's name or id.")


class PreviewBody(ChoiceWords):
    """A report of an account, as a dataset would have it."""

    account: _Word
    report: _Word
    rows: Annotated[int, Field(ge=1, le=100)] = 20


class ReloadBody(Body):
    """Which table."""

    to: _Word | None = Field(
        default=None,
        description="A destination, of the dataset or a new one: its table is made anew from what is kept, at once.",
    )


class PauseBody(Body):
    """Why."""

    reason: _Word = "Paused by another program."


class RunBody(Body):
    """How it may run."""

    allow_shrink: bool = Field(
        default=False,
        description="Load even if that removes more than half of the table. A run that stopped for that continues "
        "from its archive.",
    )


class ProveBody(Body):
    """How much is checked."""

    recount: Annotated[int, Field(ge=1, le=1000)] | Literal["all"] = Field(
        default=3, description="Windows of time, chosen by chance, that are read again."
    )
    seed: _Number | None = Field(default=None, description="Chooses the same windows as before.")
    payouts: _Number = Field(default=30, description="How many of the newest payouts are added up.")


_Kind = Literal["failed", "recovered", "paused", "late", "proof"]


class AlertBody(Body):
    """A place that is told."""

    name: _Word
    url: SecretStr = Field(description="An address of Apprise's (docs/alerts.md). It is kept encrypted, and not told.")
    on: list[_Kind] | None = Field(default=None, description="What it is told of; everything unless given.")


class AlertChanges(Body):
    """What of an alert to change."""

    name: _Word | None = None
    url: SecretStr | None = None
    on: list[_Kind] | None = None


class AskBody(Body):
    """One SELECT over the tables of a destination."""

    sql: str = Field(max_length=20_000)
    destination: _Word | None = Field(
        default=None, description="An id of `/destinations`; the one that most datasets have unless given."
    )


class QuestionBody(AskBody):
    """A question to keep under the name in the address."""
