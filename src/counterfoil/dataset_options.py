"""The options of a dataset: one entry each. Pure.

The flags of the command line, the fields of the form, the fields of the API and the words of a configuration file are
made from this table. The defaults are those of `state/dataset.py`, where each option is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from counterfoil.errors import SettingsError
from counterfoil.values import Method

#: The type of a value. `names` are a list of texts and `pairs` a table of them; a `period` is text such as "3 months";
#: `attempts` are a number, or false for a single one; `destinations` are one URL or several.
Kind = Literal[
    "text", "number", "switch", "choice", "names", "pairs", "instant", "period", "schedule", "attempts", "destinations"
]
#: The step of the form that asks for an option.
Pane = Literal["details", "scheduling", "naming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The least and the greatest number, with the words for a message about another one."""

    subject: str
    least: int
    most: int
    unit: str

    def counted(self, number: int) -> str:
        """`1 day`, `30 days`."""
        return f"{number:,} {self.unit.removesuffix('s') if number == 1 else self.unit}"

    def check(self, number: object) -> None:
        """SettingsError for a value that is out of range or no whole number."""
        if isinstance(number, bool) or not isinstance(number, int) or not self.least <= number <= self.most:
            raise SettingsError(
                f"{self.subject} can't be {number} {self.unit}", hint=f"Give {self.least} to {self.most:,}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of a dataset."""

    #: Its name in a configuration file and in the API, and as a flag unless `flag` is another name.
    name: str
    kind: Kind
    #: Where a `Dataset` stores it: `deadline_minutes`, or `retry.every_minutes` for a field of its `Retry`.
    field: str
    #: For the command line, and for the API unless `api_help` says it in other words.
    help: str
    api_help: str = ""
    flag: str = ""
    #: Help of a flag `--no-NAME`.
    off_help: str = ""
    choices: tuple[str, ...] = ()
    limits: Limits | None = None
    #: The update method that it belongs to; None for every method.
    method: Method | None = None
    #: The field of the form that holds its value. `web/forms/dataset.py` composes the options that have none.
    form: str = ""
    pane: Pane = "scheduling"
    #: What `datasets show` and the settings page call it, where it has a line of its own.
    label: str = ""

    @property
    def group(self) -> str:
        """`retry` of `retry.every_minutes`; nothing for a field of the dataset itself."""
        return self.field.rpartition(".")[0]

    @property
    def attribute(self) -> str:
        """`every_minutes` of `retry.every_minutes`."""
        return self.field.rpartition(".")[2]


RETRY_LIMITS = Limits(subject="The number of attempts", least=1, most=100, unit="attempts")
OPTIONS = (
    Option(name="description", kind="text", field="description", form="description", pane="naming",
           help="What it is for."),
    Option(name="options", kind="pairs", field="choice.options", flag="--option", pane="details",
           help="NAME=VALUE, an option of the report; may be given several times.",
           api_help="The report's options, as `/reports` lists them."),
    Option(name="since", kind="instant", field="choice.since", pane="details",
           help="Only what was created from here on: 2026-01-31 (UTC midnight) or 2026-01-31T09:30:00Z.",
           api_help="`2026-01-31` (UTC midnight) or `2026-01-31T09:30:00Z`."),
    Option(name="until", kind="instant", field="choice.until", pane="details", help="Only what was created before."),
    Option(name="last_days", kind="number", field="choice.last_days", pane="details",
           limits=Limits(subject="The last days", least=1, most=36_500, unit="days"),
           help="Only what was created in so many days before each run."),
    Option(name="promote", kind="names", field="choice.promoted", form="promoted", pane="details",
           help="A key of metadata that becomes a column; may be given several times.",
           api_help="Keys of metadata that become columns."),
    Option(name="leave_out", kind="names", field="choice.left_out", pane="details",
           help="A column that is never kept; may be given several times.",
           api_help="Columns that are never kept."),
    Option(name="hash", kind="names", field="choice.hashed", pane="details",
           help="A column of which only a keyed hash is kept; may be given several times.",
           api_help="Columns of which only a keyed hash is kept."),
    Option(name="method", kind="choice", field="method", choices=("replace", "append", "merge", "partition"),
           form="method",
           help="How the table is updated; the report's own way unless given."),
    Option(name="partition", kind="period", field="partition", method="partition",
           help='With the method partition: the period that each run replaces, such as "3 months".',
           api_help="With `partition`: the period that runs replace, `3 months`."),
    Option(name="deleted", kind="choice", field="merge.deleted", choices=("keep", "drop"), method="merge",
           help="With the method merge: rows that Stripe deleted are kept and marked (usual), or dropped.",
           api_help="With `merge`: rows that Stripe deleted."),
    Option(name="history", kind="switch", field="merge.history", method="merge", form="history",
           help="With the method merge: every version of every row is kept, in TABLE__history.",
           api_help="With `merge`: every version is kept, in `TABLE__history`."),
    Option(name="reread_days", kind="number", field="merge.reread_days", method="merge", form="reread_days",
           limits=Limits(subject="The time between two full readings", least=1, most=366, unit="days"),
           help="With the method merge: days within which all is read again, for what no event tells; 7 unless given.",
           api_help="With `merge`: days within which all is read again."),
    Option(name="to", kind="destinations", field="targets.url", pane="naming",
           help="A destination by its URL, without a password or secret: duckdb:///file, below the home of Counterfoil "
                "or with four slashes from the root; postgresql://user@host/database?schema=…; others by "
                "docs/destinations.md. May be given several times.",
           api_help="Where to, such as `duckdb:///file.duckdb` below the home; or several of them."),
    Option(name="table", kind="text", field="targets.table", form="table", pane="naming",
           help="The table's name; the report's key unless given.",
           api_help="The report's key unless given."),
    Option(name="schedule", kind="schedule", field="schedule",
           help='When it runs: "every 2 hours", "daily at 06:00", "cron 0 6 * * *" and more, by docs/schedules.md.',
           api_help="`every 2 hours`, `daily at 06:00`, `cron 0 6 * * *`, `manual`."),
    Option(name="zone", kind="text", field="schedule.zone",
           help="The schedule's time zone, such as Europe/Berlin; UTC unless given.",
           api_help="The schedule's time zone; UTC unless given."),
    Option(name="after", kind="text", field="after",
           help="A dataset after whose success this one runs.",
           api_help="A dataset, by name or id, after whose success this one runs."),
    Option(name="retry", kind="attempts", field="retry.attempts", form="attempts", off_help="One attempt only.",
           limits=RETRY_LIMITS,
           help="How many attempts a run has; 3 unless given.",
           api_help="How many attempts a run has; false for one."),
    Option(name="retry_minutes", kind="number", field="retry.every_minutes", form="retry_minutes",
           limits=Limits(subject="The time between attempts", least=1, most=24 * 60, unit="minutes"),
           help="Minutes between two attempts; 15 unless given.",
           api_help="Minutes between two attempts."),
    Option(name="retry_manual", kind="switch", field="retry.manual", form="retry_manual",
           help="Runs that were started by hand are tried again too.",
           api_help="Whether runs started by hand are tried again too."),
    Option(name="deadline_minutes", kind="number", field="deadline_minutes", form="deadline", label="deadline",
           limits=Limits(subject="The deadline", least=1, most=31 * 24 * 60, unit="minutes"),
           help="Minutes after which a run is given up."),
    Option(name="checks", kind="choice", field="proof.after", choices=("cheap", "none"),
           help="Checks that follow each run: those that cost few requests (usual), or none.",
           api_help="Checks that follow each run."),
    Option(name="deep_checks", kind="schedule", field="proof.deep",
           help='When the deeper checks are due, which the next run then makes too: "weekly on sun at 03:00".',
           api_help="When the deeper checks are due."),
    Option(name="hold", kind="switch", field="proof.hold",
           help="Load nothing when a check fails that can be made before.",
           api_help="Whether nothing is loaded when a check fails before the load."),
)  # fmt: skip
#: What of the report: the options that a preview has too.
CHOICE = tuple(option for option in OPTIONS if option.group == "choice")
