"""The options of a dataset: one entry each. Pure.

The command-line options, the fields of the form and of the API, and the keys of a configuration file come from this
table. The defaults are in `state/dataset.py`, where each option is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from counterfoil.errors import SettingsError
from counterfoil.values import Method

#: The type of a value. `names` is a list of strings and `pairs` a table of strings; `period` is text such as
#: "3 months"; `attempts` is a number, or false for one attempt; `destinations` is one URL or several.
Kind = Literal[
    "text", "number", "switch", "choice", "names", "pairs", "instant", "period", "schedule", "attempts", "destinations"
]
#: The step of the form that asks for an option.
Pane = Literal["details", "scheduling", "naming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The allowed range of a number, with the terms for an error message."""

    #: Names the number in `invalid …: 0`.
    subject: str
    least: int
    most: int
    unit: str

    def counted(self, number: int) -> str:
        """`1 day`, `30 days`."""
        return f"{number:,} {self.unit.removesuffix('s') if number == 1 else self.unit}"

    def check(self, number: object) -> None:
        """Raises SettingsError for a value that is out of range or not an integer."""
        if isinstance(number, bool) or not isinstance(number, int) or not self.least <= number <= self.most:
            raise SettingsError(
                f"invalid {self.subject}: {number}", hint=f"Use {self.least} to {self.most:,} {self.unit}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of a dataset."""

    #: Its name in a configuration file, in the API and, unless `flag` is set, on the command line.
    name: str
    kind: Kind
    #: Where a `Dataset` stores it: `deadline_minutes`, or `retry.every_minutes` for a field of its `Retry`.
    field: str
    #: For the command line, and for the API unless `api_help` is set.
    help: str
    api_help: str = ""
    flag: str = ""
    #: Help of the option `--no-NAME`.
    off_help: str = ""
    choices: tuple[str, ...] = ()
    limits: Limits | None = None
    #: The update method that the option applies to; None for every method.
    method: Method | None = None
    #: The field of the form that holds its value. `web/forms/dataset.py` builds the options without one.
    form: str = ""
    pane: Pane = "scheduling"
    #: Its label in `datasets show` and on the settings page, where it has a separate line.
    label: str = ""

    @property
    def group(self) -> str:
        """`retry` of `retry.every_minutes`; empty for a field of the dataset itself."""
        return self.field.rpartition(".")[0]

    @property
    def attribute(self) -> str:
        """`every_minutes` of `retry.every_minutes`."""
        return self.field.rpartition(".")[2]


RETRY_LIMITS = Limits(subject="number of attempts", least=1, most=100, unit="attempts")
OPTIONS = (
    Option(name="description", kind="text", field="description", form="description", pane="naming",
           help="Purpose of the dataset."),
    Option(name="options", kind="pairs", field="choice.options", flag="--option", pane="details",
           help="Report option as NAME=VALUE; repeatable.",
           api_help="Report options, as listed by `/reports`."),
    Option(name="since", kind="instant", field="choice.since", pane="details",
           help="Only objects created at or after this time: 2026-01-31 (UTC midnight) or 2026-01-31T09:30:00Z.",
           api_help="Only objects created at or after this time: `2026-01-31` (UTC midnight) or "
                    "`2026-01-31T09:30:00Z`."),
    Option(name="until", kind="instant", field="choice.until", pane="details",
           help="Only objects created before this time."),
    Option(name="last_days", kind="number", field="choice.last_days", pane="details",
           limits=Limits(subject="number of days", least=1, most=36_500, unit="days"),
           help="Only objects created in the last N days before each run."),
    Option(name="promote", kind="names", field="choice.promoted", form="promoted", pane="details",
           help="Metadata key to promote to a column; repeatable.",
           api_help="Metadata keys to promote to columns."),
    Option(name="leave_out", kind="names", field="choice.left_out", pane="details",
           help="Column to leave out and never store; repeatable.",
           api_help="Columns to leave out and never store."),
    Option(name="hash", kind="names", field="choice.hashed", pane="details",
           help="Column to store only as a keyed hash; repeatable.",
           api_help="Columns to store only as a keyed hash."),
    Option(name="method", kind="choice", field="method", choices=("replace", "append", "merge", "partition"),
           form="method",
           help="Update method of the table; defaults to the report's default method."),
    Option(name="partition", kind="period", field="partition", method="partition",
           help='Period that each run replaces, such as "3 months"; requires the partition method.',
           api_help="With `partition`: the period that each run replaces, such as `3 months`."),
    Option(name="deleted", kind="choice", field="merge.deleted", choices=("keep", "drop"), method="merge",
           help="Keep and mark rows deleted at Stripe (default), or drop them; requires the merge method.",
           api_help="With `merge`: keep and mark rows deleted at Stripe, or drop them."),
    Option(name="history", kind="switch", field="merge.history", method="merge", form="history",
           help="Store every version of every row in TABLE__history; requires the merge method.",
           api_help="With `merge`: store every version of every row in `TABLE__history`."),
    Option(name="reread_days", kind="number", field="merge.reread_days", method="merge", form="reread_days",
           limits=Limits(subject="full refresh interval", least=1, most=366, unit="days"),
           help="Full refresh at least every N days, for changes without events; 7 by default; requires the "
                "merge method.",
           api_help="With `merge`: full refresh at least every N days."),
    Option(name="to", kind="destinations", field="targets.url", pane="naming",
           help="Destination URL without passwords or secrets: duckdb:///file (relative to the home directory), "
                "duckdb:////file (absolute) or postgresql://user@host/database?schema=…; repeatable. See: counterfoil "
                "docs destinations",
           api_help="Destination URL, such as `duckdb:///file.duckdb` (relative to the home directory), or a list."),
    Option(name="table", kind="text", field="targets.table", form="table", pane="naming",
           help="Table name; defaults to the report's key.",
           api_help="Table name; defaults to the report's key."),
    Option(name="schedule", kind="schedule", field="schedule",
           help='When the dataset runs: "every 2 hours", "daily at 06:00", "cron 0 6 * * *". See: counterfoil docs '
                "schedules",
           api_help="When the dataset runs: `every 2 hours`, `daily at 06:00`, `cron 0 6 * * *`, `manual`."),
    Option(name="zone", kind="text", field="schedule.zone",
           help="Time zone of the schedule, such as Europe/Berlin; UTC by default.",
           api_help="Time zone of the schedule; UTC by default."),
    Option(name="after", kind="text", field="after",
           help="Run after each successful run of this dataset.",
           api_help="Run after each successful run of this dataset (name or id)."),
    Option(name="retry", kind="attempts", field="retry.attempts", form="attempts", off_help="Make only one attempt.",
           limits=RETRY_LIMITS,
           help="Maximum attempts per run; 3 by default.",
           api_help="Maximum attempts per run; `false` for one."),
    Option(name="retry_minutes", kind="number", field="retry.every_minutes", form="retry_minutes",
           limits=Limits(subject="time between attempts", least=1, most=24 * 60, unit="minutes"),
           help="Minutes between attempts; 15 by default.",
           api_help="Minutes between attempts."),
    Option(name="retry_manual", kind="switch", field="retry.manual", form="retry_manual",
           help="Retry manual runs too.",
           api_help="Retry manual runs too."),
    Option(name="deadline_minutes", kind="number", field="deadline_minutes", form="deadline", label="deadline",
           limits=Limits(subject="deadline", least=1, most=31 * 24 * 60, unit="minutes"),
           help="Time out each run after N minutes."),
    Option(name="checks", kind="choice", field="proof.after", choices=("cheap", "none"),
           help="Checks after each run: those that need few API requests (default), or none.",
           api_help="Checks after each run."),
    Option(name="deep_checks", kind="schedule", field="proof.deep",
           help='Schedule of the deep checks, made by the next run after each time: "weekly on sun at 03:00".',
           api_help="Schedule of the deep checks, made by the next run after each time."),
    Option(name="hold", kind="switch", field="proof.hold",
           help="Load nothing if a check before the load fails.",
           api_help="Load nothing if a check before the load fails."),
)  # fmt: skip
#: The options that select data of the report; a preview has them too.
CHOICE = tuple(option for option in OPTIONS if option.group == "choice")
