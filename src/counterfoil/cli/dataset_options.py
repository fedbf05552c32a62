"""The flags that say what a dataset is: the same for creating, changing and previewing one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from counterfoil.state.dataset import Choice, Dataset

FLAG = Parameter(negative=(), show_default=False)
JSON = Parameter(name="--json", negative=(), show_default=False)
WORDS = Parameter(negative=())


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ChoiceFlags:
    """What of the report."""

    option: Annotated[tuple[str, ...] | None, WORDS] = None
    """NAME=VALUE, an option of the report; may be given several times."""
    since: str | None = None
    """Only what was created from here on: 2026-01-31 (UTC midnight) or 2026-01-31T09:30:00Z."""
    until: str | None = None
    """Only what was created before."""
    last_days: int | None = None
    """Only what was created in so many days before each run."""
    promote: Annotated[tuple[str, ...] | None, WORDS] = None
    """A key of metadata that becomes a column; may be given several times."""
    leave_out: Annotated[tuple[str, ...] | None, WORDS] = None
    """A column that is never kept; may be given several times."""
    hash_columns: Annotated[tuple[str, ...] | None, Parameter(name="--hash", negative=())] = None
    """A column of which only a keyed hash is kept; may be given several times."""

    def read(self, before: Choice) -> Choice:
        """The choice that they make of another."""
        from counterfoil.app.datasets.input import read_choice

        return read_choice(
            before,
            since=self.since,
            until=self.until,
            last_days=self.last_days,
            options=self.option,
            promoted=self.promote,
            left_out=self.leave_out,
            hashed=self.hash_columns,
        )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Flags(ChoiceFlags):
    """What, where to, when."""

    method: Literal["replace", "append", "merge", "partition"] | None = None
    """How the table is updated; the report's own way unless given."""
    partition: str | None = None
    """With the method partition: the period that each run replaces, such as "3 months"."""
    deleted: Literal["keep", "drop"] | None = None
    """With the method merge: rows that Stripe deleted are kept and marked (usual), or dropped."""
    history: Annotated[bool | None, Parameter(negative="--no-history")] = None
    """With the method merge: every version of every row is kept, in TABLE__history."""
    reread_days: int | None = None
    """With the method merge: days within which all is read again, for what no event tells; 7 unless given."""
    to: Annotated[tuple[str, ...] | None, WORDS] = None
    """A destination by its URL, without a password or secret: duckdb:///file, below the home of Counterfoil or with
    four slashes from the root; postgresql://user@host/database?schema=…; others by docs/destinations.md. May be given
    several times."""
    table: str | None = None
    """The table's name; the report's key unless given."""
    schedule: str | None = None
    """When it runs: "every 2 hours", "daily at 06:00", "cron 0 6 * * *" and more, by docs/schedules.md."""
    zone: str | None = None
    """The schedule's time zone, such as Europe/Berlin; UTC unless given."""
    after: str | None = None
    """A dataset after whose success this one runs."""
    retry: int | None = None
    """How many attempts a run has; 3 unless given."""
    retry_minutes: int | None = None
    """Minutes between two attempts; 15 unless given."""
    no_retry: Annotated[bool, FLAG] = False
    """One attempt only."""
    retry_manual: Annotated[bool | None, Parameter(negative="--no-retry-manual")] = None
    """Runs that were started by hand are tried again too."""
    deadline_minutes: int | None = None
    """Minutes after which a run is given up."""
    checks: Literal["cheap", "none"] | None = None
    """Checks that follow each run: those that cost few requests (usual), or none."""
    deep_checks: str | None = None
    """When the deeper checks are due, which the next run then makes too: "weekly on sun at 03:00"."""
    hold: Annotated[bool | None, Parameter(negative="--no-hold")] = None
    """Load nothing when a check fails that can be made before."""
    description: str | None = None
    """What it is for."""
    overwrite: Annotated[bool, FLAG] = False
    """Let the first run replace a table that an earlier load filled with more than this dataset holds."""
    dry_run: Annotated[bool, FLAG] = False
    """Check everything and show what would be, without saving it."""

    def changes(self, before: Dataset | None) -> dict[str, Any]:
        """The fields that were given, as the calls on datasets take them."""
        from counterfoil.app.datasets.input import read_merge, read_partition, read_proof, read_retry, read_schedule
        from counterfoil.schedules import Manual
        from counterfoil.state.dataset import Choice, Proof, Retry

        made: dict[str, Any] = {
            "choice": self.read(Choice() if before is None else before.choice),
            "schedule": read_schedule(Manual() if before is None else before.schedule, self.schedule, self.zone),
            "retry": read_retry(
                Retry() if before is None else before.retry,
                on=False if self.no_retry else None,
                attempts=self.retry,
                every_minutes=self.retry_minutes,
                manual=self.retry_manual,
            ),
            "proof": read_proof(
                Proof() if before is None else before.proof, after=self.checks, deep=self.deep_checks, hold=self.hold
            ),
        }
        if before is not None:
            made = {name: value for name, value in made.items() if value != getattr(before, name)}
        if self.method is not None:
            made["method"] = self.method
        if self.partition is not None:
            made["partition"] = read_partition(self.partition)
        merged = None if before is None else before.merge
        merge = read_merge(merged, deleted=self.deleted, history=self.history, reread_days=self.reread_days)
        if merge != merged:
            made["merge"] = merge
        if self.after is not None:
            made["after"] = self.after.strip() or None
        if self.deadline_minutes is not None:
            made["deadline_minutes"] = self.deadline_minutes or None
        if self.description is not None:
            made["description"] = self.description.strip()
        given = {"to": self.to or None, "table": self.table}
        return made | {name: word for name, word in given.items() if word is not None}
