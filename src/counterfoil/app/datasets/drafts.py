"""Drafts of datasets: available options, validation and estimated cost before a dataset is saved."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from counterfoil.app.app import App
from counterfoil.app.datasets.usage_forecast import UsageForecast, schedule_forecast
from counterfoil.columns.chosen import choose
from counterfoil.columns.promoted import METADATA
from counterfoil.columns.schema import SQL_TYPES
from counterfoil.errors import CounterfoilError
from counterfoil.extract.estimates.estimate import estimate
from counterfoil.http.async_bridge import run as wait_for
from counterfoil.reports.catalogue import REPORTS
from counterfoil.reports.catalogue import report as report_of
from counterfoil.reports.options import checked_option
from counterfoil.reports.report import Option, Report
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.schedules import Schedule, check, describe, parse
from counterfoil.state import names
from counterfoil.state.dataset import Choice, Partition, Target
from counterfoil.state.dataset_rules import check_choice, check_method, check_targets
from counterfoil.stripe.client import Client
from counterfoil.stripe.retries import INTERACTIVE
from counterfoil.values import Method, Window

#: The five fields of cron; no other schedule looks like this.
_CRON = re.compile(r"[\d*](\S*\s+\S+){4}")
#: Few retries: a user waits, and the result is only an estimate.
_BACKOFF = replace(INTERACTIVE, tries=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOption:
    """A column of a report, and whether it can be left out or hashed."""

    name: str
    type: str
    description: str
    #: False for columns that identify, date or order rows, and for amounts in major units, which repeat a column.
    free: bool
    #: For amounts: the column of the currency, and whether the amount is in major units.
    currency: str | None
    major: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """The available options of a report."""

    key: str
    title: str
    description: str
    notes: tuple[str, ...]
    options: tuple[Option, ...]
    columns: tuple[ColumnOption, ...]
    #: Names of the columns that identify, date or order rows.
    needed: tuple[str, ...]
    methods: tuple[Method, ...]
    default_method: Method
    has_created: bool
    has_metadata: bool
    changes: str
    permissions: tuple[str, ...]


@cache
def report_options(key: str) -> ReportOptions:
    """The options of the report with this key; SettingsError suggests the closest key."""
    report = report_of(key)
    return ReportOptions(
        key=report.key,
        title=report.title,
        description=report.description,
        notes=report.notes,
        options=report.options,
        columns=tuple(_offered(report)),
        needed=_needed(report),
        methods=report.methods,
        default_method=report.default_method,
        has_created=report.created is not None,
        has_metadata=any(column.path == METADATA for column in report.columns),
        changes=report.changes,
        permissions=report.permissions,
    )


def all_report_options() -> tuple[ReportOptions, ...]:
    """The options of all reports, in the order of the menu."""
    return tuple(report_options(report.key) for report in REPORTS)


@cache
def permissions() -> tuple[str, ...]:
    """The permissions that a restricted key needs to read every report."""
    return tuple(dict.fromkeys(name for report in REPORTS for name in report.permissions))


@cache
def zones() -> tuple[str, ...]:
    """The names of all time zones."""
    return tuple(sorted(zoneinfo.available_timezones()))


def read_input(words: str, zone: str) -> Schedule:
    """The schedule of the text; five fields are a cron expression, and empty text means manual."""
    words = words.strip()
    return parse(f"cron {words}" if _CRON.fullmatch(words) else words or "manual", zone.strip() or "UTC")


def input_of(schedule: Schedule) -> str:
    """The schedule as text, without its time zone."""
    return describe(schedule).removesuffix(f" in {schedule.zone}")


class Drafts:
    """Validates parts of a dataset with the checks of saving it; raises SettingsError for invalid parts."""

    def __init__(self, app: App) -> None:
        self._app = app

    def option(self, report: str, name: str, value: str) -> None:
        """Checks that the report has the option and supports the value."""
        checked_option(report_of(report), name, value)

    def columns(self, report: str, choice: Choice) -> None:
        """Checks the combination of metadata keys and columns."""
        choose(report_of(report), promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)

    def choice(self, report: str, choice: Choice, method: Method | None = None) -> None:
        """Checks the combination of all selected options and the method."""
        found = report_of(report)
        check_choice(found, choice, method or found.default_method)

    def method(self, report: str, method: Method, partition: Partition | None) -> None:
        """Checks that the report supports the method."""
        check_method(report_of(report), method, partition)

    def schedule(self, schedule: Schedule) -> None:
        """Checks that the schedule has due times, and not too many."""
        check(schedule, least_minutes=self._app.settings.least_minutes)

    def name(self, name: str) -> None:
        """Checks that the name is valid and not taken."""
        name = names.checked_name("dataset", name)
        if name in self._names():
            raise names.taken("dataset", name)

    def target(self, url: str, table: str) -> None:
        """Checks the destination and the name of the table."""
        target = Target(url=url, table=table)
        check_targets((target,))

    def free_name(self, wanted: str, otherwise: str) -> str:
        """The wanted name; if a dataset has it, the other name, or that name with a number."""
        taken = {name.casefold() for name in self._names()}
        numbered = (f"{otherwise} {n}" for n in range(2, len(taken) + 3))
        return next(name for name in (wanted, otherwise, *numbered) if name.casefold() not in taken)

    def free_table(self, url: str, wanted: str) -> str:
        """The wanted table, with a number if a dataset has that table in the destination."""
        datasets = self._app.records.datasets
        spelled = (wanted, *(f"{wanted}_{n}" for n in range(2, len(datasets.list()) + 3)))
        return next((one for one in spelled if datasets.owner_of(Target(url=url, table=one)) is None), wanted)

    def destinations(self) -> tuple[str, ...]:
        """The destinations of existing datasets, the most used first."""
        return tuple(self._app.tables.places())

    def outlook(self, schedule: Schedule, *, after: str | None = None, reads_each: int | None = None) -> UsageForecast:
        """The next runs of the schedule and the API requests per month."""
        others = {one.id: one for one in self._app.records.datasets.list()}
        return schedule_forecast(
            schedule, others.get(after or ""), others=others, reads_each=reads_each, now=self._now()
        )

    def reads(self, account: str, report: str, choice: Choice) -> int | None:
        """Estimates the API requests of a full refresh with a few requests; None if the estimate fails."""
        found, known = report_of(report), self._app.accounts.get(account)
        chosen = choose(found, promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)
        plan = Plan(replace(found, columns=chosen.columns), self._window(choice), None, choice.options)
        try:
            client = Client(
                self._app.records.accounts.key(known.id),
                api_base=known.api_base,
                stripe_account=known.stripe_account,
                settings=self._app.settings,
                backoff=_BACKOFF,
            )
        except CounterfoilError:
            return None
        try:
            asked = estimate(
                client, plan.report, plan.window, params=plan.params, limit=None, settings=self._app.settings
            )
            return wait_for(asked).reads
        except CounterfoilError:
            return None
        finally:
            wait_for(client.close())

    def _window(self, choice: Choice) -> Window:
        since = choice.since
        if choice.last_days is not None:
            since = int(self._now().timestamp()) - choice.last_days * 86_400
        return Window(since, choice.until)

    def _names(self) -> set[str]:
        return {one.name for one in self._app.records.datasets.list()}

    def _now(self) -> datetime:
        return self._app.state.now()


def _needed(report: Report) -> tuple[str, ...]:
    words = (*report.primary_key, *([report.created] if report.created else []), *report.order)
    return tuple(dict.fromkeys(word.removeprefix("-") for word in words))


def _offered(report: Report) -> Iterator[ColumnOption]:
    needed = _needed(report)
    for column in report.columns:
        free = column.name not in needed and column.type != "major"
        yield ColumnOption(
            name=column.name,
            type=SQL_TYPES[column.type],
            description=column.description,
            free=free,
            currency=column.currency,
            major=column.type == "major",
        )
