"""What one run of a dataset reads and loads, fixed by its first attempt and kept with the run as JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from counterfoil.columns.chosen import Chosen, choose
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import SYSTEM_COLUMNS
from counterfoil.extract import Changes
from counterfoil.reports.catalogue import report as report_of
from counterfoil.reports.report import Report
from counterfoil.runs.clocks import MARGIN_SECONDS
from counterfoil.runs.plans.change_plan import (
    CHANGING,
    DAY,
    EVENT_DAYS,
    ChangePlan,
    changes_json,
    changes_of,
    needs_full_refresh,
    plan_changes,
)
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.runs.plans.sync_state import SyncState, sync_state_of
from counterfoil.state.dataset import Merge
from counterfoil.state.datasets import Choice, Dataset, Partition
from counterfoil.stripe.client import API_VERSION, AccountIdentity
from counterfoil.values import Method, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPlan:
    """One run's plan."""

    dataset: str
    report: str
    method: Method
    choice: Choice
    window: Window
    #: Ranges of `created` that will be complete, for `Load.covers`.
    covers: tuple[Window, ...]
    #: Whether it reads all that the dataset is to hold.
    whole: bool
    #: By the earlier of Stripe's clock and ours, in Unix seconds: what changed later may be missing.
    as_of: int
    #: The id of our account with whose key it is read.
    credential: str
    #: Whose data it is: the Stripe account, and whether it is live.
    account: str
    livemode: bool
    api_version: str = API_VERSION
    #: The run that the dataset's bookmark was of when this was planned: what is not whole goes on from its table.
    after: str | None = None
    #: How a merge keeps the table.
    merge: Merge | None = None
    #: What a run reads that need not read everything.
    changes: Changes | None = None
    #: Of the table before such a run, and how far back the reread comes with it.
    sync_state: SyncState | None = None
    swept_to: int | None = None
    #: Of the table's columns and key when this was planned; empty for a plan of an earlier version.
    layout: str = ""
    #: Of the clocks.
    warnings: tuple[str, ...] = ()
    #: Whether the load may remove more than half of the table.
    allow_shrink: bool = False

    @property
    def chosen(self) -> Chosen:
        """The table's columns and what is to be done to objects."""
        choice = self.choice
        return choose(report_of(self.report), promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)

    @property
    def plan(self) -> Plan:
        """What is read, with the report as the dataset has it."""
        report = replace(report_of(self.report), columns=self.chosen.columns)
        return Plan(report, self.window, None, self.choice.options)

    @property
    def identity(self) -> AccountIdentity:
        return AccountIdentity(self.account, self.livemode)

    @property
    def now(self) -> int:
        """The earlier of Stripe's clock and ours when it was made."""
        return self.as_of + MARGIN_SECONDS

    def bookmark(self, run: str, sync_state: SyncState | None = None) -> dict[str, Any]:
        """How far the dataset is when this is loaded as the run, and what for."""
        return {
            "run": run,
            "as_of": self.as_of,
            "choice": choice_json(self.choice),
            "method": self.method,
            "api_version": self.api_version,
            "columns": self.layout,
            **({} if self.merge is None else {"deleted": self.merge.deleted}),
            **({} if sync_state is None else {"standing": sync_state.as_json()}),
        }


#: What is in one of the dataset's tables: no table, not what the last run left there, or just that.
Held = Literal["nothing", "other", "last"]


def plan_run(
    dataset: Dataset,
    identity: AccountIdentity,
    *,
    date: int,
    tables: tuple[Held, ...] = ("last",),
    most_requests: int = 500,
    why: str | None = None,
) -> tuple[DatasetPlan, str | None]:
    """The plan of a run that begins at `date`, by the earlier of Stripe's clock and ours, in Unix seconds.

    With it, where the update method would have read less, why everything is read; `why` when that is known before.
    """
    report = report_of(dataset.report)
    as_of = date - MARGIN_SECONDS
    window, method = window_of(dataset.choice, as_of), dataset.method
    merge = (dataset.merge or Merge()) if method == "merge" else None
    before = dataset.bookmark or {}
    made = DatasetPlan(
        dataset=dataset.id,
        report=report.key,
        method=method,
        choice=dataset.choice,
        window=window,
        # Where what Stripe no longer lists is kept, as events are, nothing is covered.
        covers=() if report.changes == "immutable" and method == "merge" else (window,),
        whole=True,
        as_of=as_of,
        credential=dataset.account,
        account=identity.id,
        livemode=identity.livemode,
        after=before.get("run"),
        merge=merge,
        layout=_layout(report, dataset.choice),
    )
    if dataset.method == "partition" and dataset.partition is not None:
        why = why or _why_whole(dataset, tables, ("replace", "partition"))
        if why is None:
            window = _rolling(dataset.partition, as_of, before)
            return replace(made, window=window, covers=(window,), whole=False), None
        return replace(made, method="replace"), why  # the table is made anew, with the columns of now
    if merge is not None and report.changes in CHANGING:
        why = (
            why or _why_whole(dataset, tables, ("merge",)) or _why_reread(dataset, report, merge, as_of, most_requests)
        )
        if why is None:
            sync_state = sync_state_of(before["standing"])
            found = plan_changes(
                sync_state,
                report,
                window,
                before=before["as_of"],
                as_of=as_of,
                now=date,
                narrowed=made.plan.narrowed,
                days=merge.reread_days,
                most_requests=most_requests,
            )
            return _of_changes(made, sync_state, found), None
    return made, why


def _of_changes(made: DatasetPlan, sync_state: SyncState, found: ChangePlan) -> DatasetPlan:
    return replace(
        made, covers=found.covers, whole=False, changes=found.changes, sync_state=sync_state, swept_to=found.swept_to
    )


def _why_whole(dataset: Dataset, tables: tuple[Held, ...], methods: tuple[Method, ...]) -> str | None:
    """Why what is there can't be brought up to date by parts; None when it can."""
    before = dataset.bookmark
    if before is None:
        return "Everything is read: it is the first run, or a reload was asked for."
    if "nothing" in tables:
        return "Everything is read: the table is gone."
    if before.get("choice") != choice_json(dataset.choice):
        return "Everything is read: what the dataset holds of the report was changed."
    if before.get("method") not in methods:
        return "Everything is read: the update method was changed."
    if before.get("api_version") != API_VERSION:
        return "Everything is read: the version of Stripe's API is another one."
    if "other" in tables:
        return "Everything is read: the table is not the one that the last run left."
    if before.get("columns") != _layout(report_of(dataset.report), dataset.choice):
        return "Everything is read: this version of Counterfoil has other columns or another key for the table."
    return None


def _why_reread(dataset: Dataset, report: Report, merge: Merge, as_of: int, most_requests: int) -> str | None:
    """Why a table that could be brought up to date by changes is read whole all the same."""
    before = dataset.bookmark or {}
    choice = dataset.choice
    chosen = choose(report, promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)
    if "standing" not in before:
        return "Everything is read: nothing is known of the table that the last run left."
    if before.get("deleted") != merge.deleted:
        return "Everything is read: what is done with deleted rows was changed."
    if report.events and as_of - before["as_of"] > EVENT_DAYS * DAY:
        return f"Everything is read: the last run is more than {EVENT_DAYS} days ago, and Stripe keeps events for 30."
    if report.parents is not None and choice.last_days is not None:
        return "Everything is read: rows leave the period of the last days, and not for what Stripe says of them."
    drifting = next((option.name for option in report.options if option.drifts and option.name in choice.options), None)
    if drifting is not None:
        return f"Everything is read: what {drifting} lets through changes, and no event tells of it."
    readable = {column.name for column in chosen.columns} - set(choice.hashed)
    rule = report.pending
    if rule is not None and not {rule.column, rule.due} <= readable:
        return f"Everything is read: without {rule.column} and {rule.due} nothing tells which rows will change."
    if report.parents is not None and report.parents.column not in readable:
        return f"Everything is read: without {report.parents.column} nothing tells which rows belong together."
    if needs_full_refresh(
        sync_state_of(before["standing"]),
        as_of,
        dataset=dataset.id,
        report=report,
        days=merge.reread_days,
        most_requests=most_requests,
    ):
        return f"Everything is read again, as it is every {merge.reread_days} days: for what no event tells."
    return None


def _layout(report: Report, choice: Choice) -> str:
    """A digest of the table's columns and key."""
    chosen = choose(report, promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)
    schema = arrow_schema((*chosen.columns, *SYSTEM_COLUMNS))
    named: list[tuple[str, ...]] = [(field.name, str(field.type)) for field in schema]
    if len(report.primary_key) > 1:  # bookmarks of earlier versions know nothing of keys of one column
        named.append(report.primary_key)
    return hashlib.sha256(str(named).encode()).hexdigest()[:16]


def window_of(choice: Choice, as_of: int) -> Window:
    """What was created when, of a run at that instant."""
    if choice.last_days is None:
        return Window(choice.since, choice.until)
    return Window(as_of // DAY * DAY - choice.last_days * DAY)


def _rolling(partition: Partition, as_of: int, before: Mapping[str, Any]) -> Window:
    """The last so many days, weeks (from Monday) or months of UTC, the current one included.

    It reaches back to the one in which the last run ended: what came later in it has never been read.
    """
    current = _start(partition, as_of)
    first = min(_moved(current, partition, 1 - partition.last), _start(partition, before.get("as_of", as_of)))
    return Window(int(first.timestamp()), int(_moved(current, partition, 1).timestamp()))


def _start(partition: Partition, instant: int) -> datetime:
    """When the day, week or month began."""
    start = datetime.fromtimestamp(instant, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if partition.unit == "week":
        return start - timedelta(days=start.weekday())
    return start.replace(day=1) if partition.unit == "month" else start


def _moved(start: datetime, partition: Partition, units: int) -> datetime:
    if partition.unit == "month":
        months = start.year * 12 + start.month - 1 + units
        return start.replace(year=months // 12, month=months % 12 + 1)
    return start + timedelta(days=units * (7 if partition.unit == "week" else 1))


def choice_json(choice: Choice) -> dict[str, Any]:
    """What the dataset holds of the report, as runs and bookmarks keep it."""
    return {
        "since": choice.since,
        "until": choice.until,
        "last_days": choice.last_days,
        "options": dict(choice.options),
        "promoted": list(choice.promoted),
        "left_out": list(choice.left_out),
        "hashed": list(choice.hashed),
    }


def choice_of(kept: Mapping[str, Any]) -> Choice:
    """The same from their JSON."""
    return Choice(**{**kept, **{name: tuple(kept[name]) for name in ("promoted", "left_out", "hashed")}})


def as_json(plan: DatasetPlan) -> dict[str, Any]:
    """The plan as the run keeps it."""
    return {
        "dataset": plan.dataset,
        "report": plan.report,
        "method": plan.method,
        "choice": choice_json(plan.choice),
        "window": [plan.window.since, plan.window.until],
        "covers": [[one.since, one.until] for one in plan.covers],
        "whole": plan.whole,
        "as_of": plan.as_of,
        "credential": plan.credential,
        "account": plan.account,
        "livemode": plan.livemode,
        "api_version": plan.api_version,
        "after": plan.after,
        "merge": plan.merge and asdict(plan.merge),
        "changes": changes_json(plan.changes),
        "standing": plan.sync_state and plan.sync_state.as_json(),
        "swept_to": plan.swept_to,
        "layout": plan.layout,
        "warnings": list(plan.warnings),
        **({"allow_shrink": True} if plan.allow_shrink else {}),
    }


def allowing_shrink(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The stored plan of a run whose load may remove more than half of its table; empty before it is planned."""
    return {**kept, "allow_shrink": True}


def is_planned(kept: Mapping[str, Any]) -> bool:
    """Whether a run's stored plan says what it reads."""
    return bool(kept.keys() - {"allow_shrink"})


def from_json(kept: Mapping[str, Any]) -> DatasetPlan:
    """The plan of a run."""
    sync_state = sync_state_of(kept["standing"]) if kept.get("standing") else None
    merge = kept.get("merge")
    made = {
        "merge": merge and Merge(**merge),
        "changes": changes_of(kept.get("changes"), sync_state),
        "sync_state": sync_state,
        "choice": choice_of(kept["choice"]),
        "window": Window(*kept["window"]),
        "covers": tuple(Window(*bounds) for bounds in kept["covers"]),
        "warnings": tuple(kept.get("warnings", ())),
    }
    same = {name: value for name, value in kept.items() if name != "standing"}
    return DatasetPlan(**{**same, **made})
