"""Datasets, as frozen values, and their JSON in the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from counterfoil.schedules import Manual, Schedule, as_json, from_json
from counterfoil.values import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The part of its report that a dataset holds."""

    #: `[since, until)` of `created` in Unix seconds, or a number of days before each run.
    since: int | None = None
    until: int | None = None
    last_days: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    #: Keys of `metadata` that become separate columns.
    promoted: tuple[str, ...] = ()
    #: Names of columns.
    left_out: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A table of a destination."""

    url: str
    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """The number of whole days, weeks or months of `created`, including the current one, that each run replaces."""

    unit: Literal["day", "week", "month"]
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """The options of a merge."""

    #: Whether rows deleted at Stripe are kept and marked, or dropped.
    deleted: Literal["keep", "drop"] = "keep"
    #: Whether every version of every row is stored, in a second table.
    history: bool = False
    #: The interval of full refreshes in days, for deletions without an event.
    reread_days: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Whether and how often a run is retried after a transient error."""

    on: bool = True
    every_minutes: int = 15
    attempts: int = 3
    #: Whether manual runs are retried too.
    manual: bool = False


#: The checks that each run makes.
After = Literal["cheap", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The checks that a dataset's runs make."""

    #: After each run: checks that cost few requests, or none.
    after: After = "cheap"
    #: When the next run makes the deep checks too; None for never.
    deep: Schedule | None = None
    #: Whether a FAIL before the load prevents the load.
    hold: bool = False


#: Why a dataset is paused, as a code. Only `key_rejected` ends automatically, once Stripe accepts the key again.
PauseCode = Literal["manual", "key_rejected", "permission_missing", "failures", "schedule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Why the scheduled runs of a dataset are paused, and how to resume them."""

    reason: str
    action: str
    at: datetime
    #: None for a pause that an earlier version stored.
    code: PauseCode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A report of an account, with its choice, targets, schedule and so on. Fields with a default are options."""

    id: str
    name: str
    description: str = ""
    #: The id of the account.
    account: str
    #: The key of the report.
    report: str
    choice: Choice = field(default=Choice())
    method: Method
    partition: Partition | None = None
    #: None for all methods except merge.
    merge: Merge | None = None
    targets: tuple[Target, ...]
    schedule: Schedule = field(default=Manual())
    #: The id of another dataset; this one runs after each success of that one.
    after: str | None = None
    retry: Retry = field(default=Retry())
    proof: Proof = field(default=Proof())
    deadline_minutes: int | None = None
    pause: Pause | None
    #: The instant and state that the next run continues from; None before the first run, or for a full refresh.
    bookmark: Mapping[str, Any] | None
    #: None for a dataset that is paused or has no schedule.
    next_due_at: datetime | None
    #: Failed runs in a row.
    failures: int
    created_at: datetime
    updated_at: datetime


#: The default options of a dataset; `OPTION_GROUPS` has the defaults of options that are stored together.
DEFAULTS: Mapping[str, Any] = {one.name: one.default for one in fields(Dataset) if one.default is not MISSING}
OPTION_GROUPS: Mapping[str, Any] = {"choice": Choice(), "merge": Merge(), "retry": Retry(), "proof": Proof()}


def stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset's fields as values of its row; omits fields that are not columns."""
    made = {name: value for name, value in values.items() if name != "targets"}
    for name in ("choice", "partition", "merge", "retry"):
        if made.get(name) is not None:
            made[name] = asdict(made[name])
    if "schedule" in made:
        made["schedule"] = as_json(made["schedule"])
    if "proof" in made:
        proof = made["proof"]
        made["proof"] = {"after": proof.after, "deep": proof.deep and as_json(proof.deep), "hold": proof.hold}
    if made.get("pause") is not None:
        pause = made["pause"]
        made["pause"] = {"reason": pause.reason, "action": pause.action, "at": pause.at.isoformat(), "code": pause.code}
    return made


def restored(row: Mapping[str, Any], targets: tuple[Target, ...]) -> Dataset:
    """The dataset of a row and its targets."""
    choice = dict(row["choice"])
    for name in ("promoted", "left_out", "hashed"):
        choice[name] = tuple(choice[name])
    pause = row["pause"]
    made = {
        "choice": Choice(**choice),
        "partition": row["partition"] and Partition(**row["partition"]),
        "merge": row["merge"] and Merge(**row["merge"]),
        "targets": targets,
        "schedule": from_json(row["schedule"]),
        "retry": Retry(**row["retry"]),
        "proof": _proof(row["proof"] or {}),
        "pause": pause and Pause(**{**pause, "at": datetime.fromisoformat(pause["at"])}),
    }
    return Dataset(**{**{name: row[name] for name in Dataset.__slots__ if name not in made}, **made})


def _proof(kept: Mapping[str, Any]) -> Proof:
    deep = kept.get("deep")
    return Proof(**{**kept, "deep": deep and from_json(deep)})
