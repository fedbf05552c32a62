"""What one run of a dataset reads and loads, fixed by its first attempt and kept with the run as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from counterfoil.columns.chosen import Chosen, choose
from counterfoil.reports.catalogue import report as report_of
from counterfoil.runs.plan import Plan
from counterfoil.state.datasets import Choice, Dataset, Partition
from counterfoil.stripe.client import API_VERSION, AccountIdentity
from counterfoil.values import Method, Window

#: What Stripe may still be writing when it answers is left to the next run.
_MARGIN_SECONDS = 60
_DAY = 86_400


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
    #: By Stripe's clock, in Unix seconds: what changed later may be missing.
    as_of: int
    #: The id of our account with whose key it is read.
    credential: str
    #: Whose data it is: the Stripe account, and whether it is live.
    account: str
    livemode: bool
    api_version: str = API_VERSION

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

    def bookmark(self, run: str) -> dict[str, Any]:
        """How far the dataset is when this is loaded as the run, and what for."""
        return {
            "run": run,
            "as_of": self.as_of,
            "choice": choice_json(self.choice),
            "method": self.method,
            "api_version": self.api_version,
        }


#: What is in one of the dataset's tables: no table, not what the last run left there, or just that.
Held = Literal["nothing", "other", "last"]


def plan_run(
    dataset: Dataset, identity: AccountIdentity, *, date: int, tables: tuple[Held, ...] = ("last",)
) -> tuple[DatasetPlan, str | None]:
    """The plan of a run that begins at `date`, by Stripe's clock in Unix seconds.

    With it, where the update method would have read less, why everything is read.
    """
    report = report_of(dataset.report)
    as_of = date - _MARGIN_SECONDS
    window, method = _window(dataset.choice, as_of), dataset.method
    why = None
    if dataset.method == "partition" and dataset.partition is not None:
        why = _why_whole(dataset, tables)
        if why is None:
            window = _rolling(dataset.partition, as_of, dataset.bookmark or {})
        else:
            method = "replace"  # the table is made anew, with the columns of now
    made = DatasetPlan(
        dataset=dataset.id,
        report=report.key,
        method=method,
        choice=dataset.choice,
        window=window,
        # Where what Stripe no longer lists is kept, as events are, nothing is covered.
        covers=() if report.changes == "immutable" and method == "merge" else (window,),
        whole=method != "partition",
        as_of=as_of,
        credential=dataset.account,
        account=identity.id,
        livemode=identity.livemode,
    )
    return made, why


def _why_whole(dataset: Dataset, tables: tuple[Held, ...]) -> str | None:
    """Why what is there can't be brought up to date by parts; None when it can."""
    before = dataset.bookmark
    if before is None:
        return "Everything is read: it is the first run, or a reload was asked for."
    if "nothing" in tables:
        return "Everything is read: the table is gone."
    if before.get("choice") != choice_json(dataset.choice):
        return "Everything is read: what the dataset holds of the report was changed."
    if before.get("method") not in ("replace", "partition"):
        return "Everything is read: the update method was changed."
    if before.get("api_version") != API_VERSION:
        return "Everything is read: the version of Stripe's API is another one."
    if "other" in tables:
        return "Everything is read: the table is not the one that the last run left."
    return None


def _window(choice: Choice, as_of: int) -> Window:
    if choice.last_days is None:
        return Window(choice.since, choice.until)
    return Window(as_of // _DAY * _DAY - choice.last_days * _DAY)


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
    }


def from_json(kept: Mapping[str, Any]) -> DatasetPlan:
    """The plan of a run."""
    choice = dict(kept["choice"])
    lists = {name: tuple(choice[name]) for name in ("promoted", "left_out", "hashed")}
    made = {
        "choice": Choice(**{**choice, **lists}),
        "window": Window(*kept["window"]),
        "covers": tuple(Window(*bounds) for bounds in kept["covers"]),
    }
    return DatasetPlan(**{**kept, **made})
