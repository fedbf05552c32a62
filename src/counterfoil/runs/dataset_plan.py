"""What one run of a dataset reads and loads, fixed by its first attempt and kept with the run as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

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

    @property
    def bookmark(self) -> dict[str, Any]:
        """How far the dataset is when this run is loaded, and what for."""
        return {"as_of": self.as_of, "choice": choice_json(self.choice), "api_version": self.api_version}


def plan_run(
    dataset: Dataset, identity: AccountIdentity, *, date: int, tables_exist: bool = True
) -> tuple[DatasetPlan, str | None]:
    """The plan of a run that begins at `date`, by Stripe's clock in Unix seconds.

    With it, where the update method would have read less, why everything is read.
    """
    report = report_of(dataset.report)
    as_of = date - _MARGIN_SECONDS
    window = _window(dataset.choice, as_of)
    by_parts = dataset.method == "partition" and dataset.partition is not None
    why = _why_whole(dataset, tables_exist=tables_exist) if by_parts else None
    whole = not by_parts or why is not None
    covers: tuple[Window, ...] = (window,)
    if not whole and dataset.partition is not None:
        covers = tuple(_within(window, _units(dataset.partition, as_of)))
        window = Window(covers[0].since, covers[-1].until) if covers else Window(as_of, as_of)
    if report.changes == "immutable" and dataset.method == "merge":
        covers = ()  # what Stripe no longer lists is kept, as events are
    made = DatasetPlan(
        dataset=dataset.id,
        report=report.key,
        method=dataset.method,
        choice=dataset.choice,
        window=window,
        covers=covers,
        whole=whole,
        as_of=as_of,
        account=identity.id,
        livemode=identity.livemode,
    )
    return made, why


def _why_whole(dataset: Dataset, *, tables_exist: bool) -> str | None:
    """Why what is there can't be brought up to date by parts; None when it can."""
    before = dataset.bookmark
    if before is None:
        return "Everything is read: it is the first run, or a reload was asked for."
    if not tables_exist:
        return "Everything is read: the table is gone."
    if before.get("choice") != choice_json(dataset.choice):
        return "Everything is read: what the dataset holds of the report was changed."
    if before.get("api_version") != API_VERSION:
        return "Everything is read: the version of Stripe's API is another one."
    return None


def _window(choice: Choice, as_of: int) -> Window:
    if choice.last_days is None:
        return Window(choice.since, choice.until)
    return Window(as_of // _DAY * _DAY - choice.last_days * _DAY)


def _units(partition: Partition, as_of: int) -> list[Window]:
    """The last so many days, weeks (from Monday) or months of UTC, the current one included, the oldest first."""
    start = datetime.fromtimestamp(as_of, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if partition.unit == "week":
        start -= timedelta(days=start.weekday())
    if partition.unit == "month":
        start = start.replace(day=1)
    starts = [_moved(start, partition, -number) for number in range(partition.last - 1, -2, -1)]
    seconds = [int(one.timestamp()) for one in starts]
    return [Window(since, until) for since, until in pairwise(seconds)]


def _moved(start: datetime, partition: Partition, units: int) -> datetime:
    if partition.unit == "month":
        months = start.year * 12 + start.month - 1 + units
        return start.replace(year=months // 12, month=months % 12 + 1)
    return start + timedelta(days=units * (7 if partition.unit == "week" else 1))


def _within(window: Window, units: list[Window]) -> Iterator[Window]:
    """The parts of the units that the window holds."""
    for unit in units:
        since = max(unit.since or 0, window.since or 0)
        until = min(unit.until or since, window.until if window.until is not None else unit.until or since)
        if since < until:
            yield Window(since, until)


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
