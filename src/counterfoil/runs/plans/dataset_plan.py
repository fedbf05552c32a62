"""The plan of a dataset's run: the rows that it reads and loads. Made by the first attempt and stored as JSON."""

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
    """The plan of one run."""

    dataset: str
    report: str
    method: Method
    choice: Choice
    window: Window
    #: Ranges of `created` that will be complete, for `Load.covers`.
    covers: tuple[Window, ...]
    #: Whether the run reads all rows of the dataset.
    whole: bool
    #: By the earlier of Stripe's clock and this machine's, in Unix seconds; later changes may be missing.
    as_of: int
    #: The id of the account that provides the key.
    credential: str
    #: The Stripe account that owns the data, and whether it is live.
    account: str
    livemode: bool
    api_version: str = API_VERSION
    #: The run of the dataset's bookmark at planning; a run that is not `whole` continues from its table.
    after: str | None = None
    #: The settings of a merge.
    merge: Merge | None = None
    #: The changes that an incremental run reads.
    changes: Changes | None = None
    #: The table's sync state before an incremental run, and how far back the gradual reread comes with it.
    sync_state: SyncState | None = None
    swept_to: int | None = None
    #: A digest of the table's columns and key at planning; empty in plans of earlier versions.
    layout: str = ""
    #: Warnings about the clocks.
    warnings: tuple[str, ...] = ()
    #: Whether the load may remove more than half of the table.
    allow_shrink: bool = False

    @property
    def chosen(self) -> Chosen:
        """The table's columns, and the redaction of objects."""
        choice = self.choice
        return choose(report_of(self.report), promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)

    @property
    def plan(self) -> Plan:
        """The rows to read, with the report's columns as the dataset has them."""
        report = replace(report_of(self.report), columns=self.chosen.columns)
        return Plan(report, self.window, None, self.choice.options)

    @property
    def identity(self) -> AccountIdentity:
        return AccountIdentity(self.account, self.livemode)

    @property
    def now(self) -> int:
        """The earlier of Stripe's clock and this machine's at planning."""
        return self.as_of + MARGIN_SECONDS

    def bookmark(self, run: str, sync_state: SyncState | None = None) -> dict[str, Any]:
        """The dataset's bookmark after this plan was loaded as the run."""
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


#: The state of one of the dataset's tables: missing, without the last run, or with it.
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
    """The plan of a run that begins at `date`, by the earlier of Stripe's clock and this machine's, in Unix seconds.

    Also returns the reason for a full refresh where the update method would have read less; `why` is that reason if
    it is known before.
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
        # A table that keeps rows which Stripe no longer lists, such as events, covers nothing.
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
        return replace(made, method="replace"), why  # rebuilds the table with the current columns
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
    """Why the table can't be updated in part; None if it can."""
    before = dataset.bookmark
    if before is None:
        return "Full refresh: this is the first run, or a reload was requested."
    if "nothing" in tables:
        return "Full refresh: the table does not exist."
    if before.get("choice") != choice_json(dataset.choice):
        return "Full refresh: the dataset's range, options or columns were changed."
    if before.get("method") not in methods:
        return "Full refresh: the update method was changed."
    if before.get("api_version") != API_VERSION:
        return "Full refresh: the version of Stripe's API has changed."
    if "other" in tables:
        return "Full refresh: the table does not have the dataset's last run."
    if before.get("columns") != _layout(report_of(dataset.report), dataset.choice):
        return "Full refresh: this version of Counterfoil has different columns or another key for the table."
    return None


def _why_reread(dataset: Dataset, report: Report, merge: Merge, as_of: int, most_requests: int) -> str | None:
    """Why a table that allows incremental runs needs a full refresh; None if it does not."""
    before = dataset.bookmark or {}
    choice = dataset.choice
    chosen = choose(report, promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)
    if "standing" not in before:
        return "Full refresh: the sync state after the last run is unknown."
    if before.get("deleted") != merge.deleted:
        return "Full refresh: the treatment of deleted rows was changed."
    if report.events and as_of - before["as_of"] > EVENT_DAYS * DAY:
        return f"Full refresh: the last run is more than {EVENT_DAYS} days ago, and Stripe keeps events for 30 days."
    if report.parents is not None and choice.last_days is not None:
        return "Full refresh: rows leave the period of the last days, and Stripe has no event for that."
    drifting = next((option.name for option in report.options if option.drifts and option.name in choice.options), None)
    if drifting is not None:
        return f"Full refresh: the rows that match the option {drifting} change without an event."
    readable = {column.name for column in chosen.columns} - set(choice.hashed)
    rule = report.pending
    if rule is not None and not {rule.column, rule.due} <= readable:
        return f"Full refresh: the rows that will change are unknown without {rule.column} and {rule.due}."
    if report.parents is not None and report.parents.column not in readable:
        return f"Full refresh: the rows that belong together are unknown without {report.parents.column}."
    if needs_full_refresh(
        sync_state_of(before["standing"]),
        as_of,
        dataset=dataset.id,
        report=report,
        days=merge.reread_days,
        most_requests=most_requests,
    ):
        return f"Full refresh: due every {merge.reread_days} days, for changes without an event."
    return None


def _layout(report: Report, choice: Choice) -> str:
    """A digest of the table's columns and key."""
    chosen = choose(report, promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)
    schema = arrow_schema((*chosen.columns, *SYSTEM_COLUMNS))
    named: list[tuple[str, ...]] = [(field.name, str(field.type)) for field in schema]
    if len(report.primary_key) > 1:  # bookmarks of earlier versions do not include keys of one column
        named.append(report.primary_key)
    return hashlib.sha256(str(named).encode()).hexdigest()[:16]


def window_of(choice: Choice, as_of: int) -> Window:
    """The range of `created` of a run at that instant."""
    if choice.last_days is None:
        return Window(choice.since, choice.until)
    return Window(as_of // DAY * DAY - choice.last_days * DAY)


def _rolling(partition: Partition, as_of: int, before: Mapping[str, Any]) -> Window:
    """The last N days, weeks (from Monday) or months in UTC, including the current one.

    Reaches back to the period in which the last run ended, because later objects of that period were not read.
    """
    current = _start(partition, as_of)
    first = min(_moved(current, partition, 1 - partition.last), _start(partition, before.get("as_of", as_of)))
    return Window(int(first.timestamp()), int(_moved(current, partition, 1).timestamp()))


def _start(partition: Partition, instant: int) -> datetime:
    """The beginning of the day, week or month."""
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
    """The dataset's choice as JSON, as runs and bookmarks store it."""
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
    """The choice from its JSON."""
    return Choice(**{**kept, **{name: tuple(kept[name]) for name in ("promoted", "left_out", "hashed")}})


def as_json(plan: DatasetPlan) -> dict[str, Any]:
    """The plan as JSON, as the run stores it."""
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
    """The stored plan, which is empty before planning, changed to allow a load that removes most of the table."""
    return {**kept, "allow_shrink": True}


def is_planned(kept: Mapping[str, Any]) -> bool:
    """Whether a run's stored plan is complete."""
    return bool(kept.keys() - {"allow_shrink"})


def from_json(kept: Mapping[str, Any]) -> DatasetPlan:
    """The plan from its JSON."""
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
