"""A dataset that somebody still chooses: what its report offers, whether a choice holds, what it would cost."""

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

#: Cron's five fields, which no words of ours look like.
_CRON = re.compile(r"[\d*](\S*\s+\S+){4}")
#: A person waits, and it is only an estimate.
_BACKOFF = replace(INTERACTIVE, tries=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOption:
    """A column of a report, and whether it can be left out or hashed by itself."""

    name: str
    type: str
    description: str
    #: False for what tells rows apart, dates or orders them, and for what repeats another column.
    free: bool
    #: The column of its currency, for amounts, and whether they are in major units.
    currency: str | None
    major: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What can be chosen of a report."""

    key: str
    title: str
    description: str
    notes: tuple[str, ...]
    options: tuple[Option, ...]
    columns: tuple[ColumnOption, ...]
    #: Names of those by which rows are told apart, dated or ordered.
    needed: tuple[str, ...]
    methods: tuple[Method, ...]
    default_method: Method
    has_created: bool
    has_metadata: bool
    changes: str
    permissions: tuple[str, ...]


@cache
def report_options(key: str) -> ReportOptions:
    """Of a report's key; SettingsError names the nearest."""
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
    """All reports in the menu's order."""
    return tuple(report_options(report.key) for report in REPORTS)


@cache
def permissions() -> tuple[str, ...]:
    """What a restricted key needs to read every report."""
    return tuple(dict.fromkeys(name for report in REPORTS for name in report.permissions))


@cache
def zones() -> tuple[str, ...]:
    """The names of all time zones."""
    return tuple(sorted(zoneinfo.available_timezones()))


def read_input(words: str, zone: str) -> Schedule:
    """The schedule that the words mean; five fields by themselves are a cron expression, and nothing is by hand."""
    words = words.strip()
    return parse(f"cron {words}" if _CRON.fullmatch(words) else words or "manual", zone.strip() or "UTC")


def input_of(schedule: Schedule) -> str:
    """The schedule in words, without its zone."""
    return describe(schedule).removesuffix(f" in {schedule.zone}")


class Drafts:
    """Checks parts of a dataset as they are checked when all of it is saved; SettingsError says what to change."""

    def __init__(self, app: App) -> None:
        self._app = app

    def option(self, report: str, name: str, value: str) -> None:
        """Whether the report has the option and takes the value."""
        checked_option(report_of(report), name, value)

    def columns(self, report: str, choice: Choice) -> None:
        """Whether the keys and columns chosen go together."""
        choose(report_of(report), promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)

    def choice(self, report: str, choice: Choice, method: Method | None = None) -> None:
        """Whether all that was chosen goes together, and with the method."""
        found = report_of(report)
        check_choice(found, choice, method or found.default_method)

    def method(self, report: str, method: Method, partition: Partition | None) -> None:
        """Whether the report permits it."""
        check_method(report_of(report), method, partition)

    def schedule(self, schedule: Schedule) -> None:
        """Whether it fires, and not too often."""
        check(schedule, least_minutes=self._app.settings.least_minutes)

    def name(self, name: str) -> None:
        """Whether a dataset may have it, and none does."""
        name = names.checked_name("dataset", name)
        if name in self._names():
            raise names.taken("dataset", name)

    def target(self, url: str, table: str) -> None:
        """Whether these can be a destination and a table, and no dataset has the table."""
        target = Target(url=url, table=table)
        check_targets((target,))

    def free_name(self, wanted: str, otherwise: str) -> str:
        """The wanted name, the other one if a dataset has it, or that with a number."""
        taken = {name.casefold() for name in self._names()}
        numbered = (f"{otherwise} {n}" for n in range(2, len(taken) + 3))
        return next(name for name in (wanted, otherwise, *numbered) if name.casefold() not in taken)

    def free_table(self, url: str, wanted: str) -> str:
        """The wanted table, or that with a number, which no dataset has in the destination."""
        datasets = self._app.records.datasets
        spelled = (wanted, *(f"{wanted}_{n}" for n in range(2, len(datasets.list()) + 3)))
        return next((one for one in spelled if datasets.owner_of(Target(url=url, table=one)) is None), wanted)

    def destinations(self) -> tuple[str, ...]:
        """Where the datasets go that there are, the one that most go to first."""
        return tuple(self._app.tables.places())

    def outlook(self, schedule: Schedule, *, after: str | None = None, reads_each: int | None = None) -> UsageForecast:
        """When it would run, and the reads that this takes."""
        others = {one.id: one for one in self._app.records.datasets.list()}
        return schedule_forecast(
            schedule, others.get(after or ""), others=others, reads_each=reads_each, now=self._now()
        )

    def reads(self, account: str, report: str, choice: Choice) -> int | None:
        """About how many reads a full run takes; None where Stripe does not tell. Takes a few requests."""
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
