"""What a dataset is: frozen values, and how the state keeps them as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from counterfoil.schedules import Manual, Schedule, as_json, from_json
from counterfoil.values import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What of the report a dataset holds."""

    #: `[since, until)` of `created` in Unix seconds, or the days before each run.
    since: int | None = None
    until: int | None = None
    last_days: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    #: Keys of `metadata` that are columns of their own.
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
    """How many whole days, weeks or months of `created`, the current one included, each run replaces."""

    unit: Literal["day", "week", "month"]
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """How a merge keeps its table."""

    #: Rows that Stripe deleted: kept and marked, or dropped.
    deleted: Literal["keep", "drop"] = "keep"
    #: Whether every version of every row is kept beside the table.
    history: bool = False
    #: Within how many days all is read again, for deletions that no event tells.
    reread_days: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Whether and how often a run that met something transient is tried again."""

    on: bool = True
    every_minutes: int = 15
    attempts: int = 3
    #: Manual runs too.
    manual: bool = False


#: Checks that each run makes.
After = Literal["cheap", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Which checks a dataset's runs make."""

    #: After each run those that cost few requests, or none.
    after: After = "cheap"
    #: From when on the next run makes the deeper ones too; None for never.
    deep: Schedule | None = None
    #: Whether a FAIL that shows before the load keeps the rows from being loaded.
    hold: bool = False


#: Why a dataset is paused, for programs. Only `key_rejected` ends by itself, once Stripe accepts the key again.
PauseCode = Literal["manual", "key_rejected", "permission_missing", "failures", "schedule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Why a dataset does not run by itself, and what to do about it."""

    reason: str
    action: str
    at: datetime
    #: None for a pause that an older version stored.
    code: PauseCode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """An account, a report, what of it, where to, when. Fields with a default are options."""

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
    #: None for every other method than merge.
    merge: Merge | None = None
    targets: tuple[Target, ...]
    schedule: Schedule = field(default=Manual())
    #: The id of the dataset after whose success this one runs.
    after: str | None = None
    retry: Retry = field(default=Retry())
    proof: Proof = field(default=Proof())
    deadline_minutes: int | None = None
    pause: Pause | None
    #: How far the changes are known; None before the first run, or when everything is to be read again.
    bookmark: Mapping[str, Any] | None
    #: None for a dataset that is paused, or has no schedule.
    next_due_at: datetime | None
    #: Failed runs in a row.
    failures: int
    created_at: datetime
    updated_at: datetime


#: The options of a dataset that sets none; `OPTION_GROUPS` has the defaults of those that are stored together.
DEFAULTS: Mapping[str, Any] = {one.name: one.default for one in fields(Dataset) if one.default is not MISSING}
OPTION_GROUPS: Mapping[str, Any] = {"choice": Choice(), "merge": Merge(), "retry": Retry(), "proof": Proof()}


def stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset's fields as its row has them; fields that are not columns of it are left out."""
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
