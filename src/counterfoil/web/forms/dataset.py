"""The form of a dataset: parsed from the request, and converted to the arguments of `DatasetService`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, make_dataclass, replace
from typing import Any, cast

from starlette.datastructures import FormData, QueryParams

from counterfoil.app.datasets.drafts import input_of, read_input
from counterfoil.app.datasets.input import default_of, options_of, read_changes, read_group, read_partition
from counterfoil.app.values import Choice, Dataset, Partition, Schedule
from counterfoil.dataset_options import OPTIONS, Option
from counterfoil.errors import CounterfoilError, SettingsError
from counterfoil.values import Method

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS = ("minutes", "hours", "days", "weeks", "months")
#: The options that correspond to exactly one field of the form.
FIELDS = tuple(option for option in OPTIONS if option.form)
#: Switches: off if their pane is open and the browser does not send them.
_SWITCHES = {"retry", "overwrite", "drop_deleted", *(option.form for option in FIELDS if option.kind == "switch")}
#: The other fields of each pane.
_PANES: Mapping[str, tuple[str, ...]] = {
    "credentials": ("account", "stripe_account", "api_base"),
    "details": ("report", "rows", "since", "until", "days", "options", "left_out", "hashed"),
    "scheduling": (
        "way", "when", "n", "unit", "times", "weekdays", "month_days", "opens", "closes", "after", "words", "zone",
        "last", "period", "drop_deleted", "retry",
    ),
    "naming": ("name", "to", "more", "overwrite"),
}  # fmt: skip


def _text(value: Any) -> str:
    """The value of an option as text for a field."""
    if isinstance(value, bool):
        return "yes" if value else ""
    return ", ".join(value) if isinstance(value, list | tuple) else "" if value is None else str(value)


_Fields: Any = make_dataclass(
    "_Fields",
    [(option.form, str, field(default=_text(default_of(option)))) for option in FIELDS],
    slots=True,
    kw_only=True,
)


@dataclass(slots=True, kw_only=True)
class DatasetForm(_Fields):  # type: ignore[misc] # includes the fields of the table
    """Every field of the form as unvalidated text, with the defaults of an empty form."""

    account: str = ""
    stripe_account: str = ""
    api_base: str = ""

    report: str = ""
    #: `all`, `between` or `days`.
    rows: str = "all"
    since: str = ""
    until: str = ""
    days: str = "30"
    options: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    hashed: list[str] = field(default_factory=list)

    #: `basic` or `advanced`.
    way: str = "basic"
    #: `every`, `after` or `manual`.
    when: str = "every"
    n: str = "1"
    unit: str = "days"
    times: str = "06:00"
    weekdays: list[str] = field(default_factory=list)
    month_days: str = "1"
    opens: str = ""
    closes: str = ""
    after: str = ""
    words: str = ""
    zone: str = ""
    last: str = "3"
    period: str = "month"
    drop_deleted: str = ""
    retry: str = "yes"
    #: Estimated API requests of a full refresh, and the options they were estimated for.
    reads: str = ""
    reads_of: str = ""

    name: str = ""
    to: str = ""
    #: Additional destinations, one per line.
    more: str = ""
    overwrite: str = ""
    #: The proposed values, to detect edits by the user.
    proposed_name: str = ""
    proposed_description: str = ""
    proposed_table: str = ""

    @classmethod
    def read(cls, form: FormData | QueryParams) -> DatasetForm:
        """The form of a request; fields that were not sent keep their defaults, switches are off."""
        sent = {name: str(form[name]) for name in _TEXTS if name in form}
        if "retry_minutes" in form:
            sent |= {name: str(form.get(name, "")) for name in _SWITCHES}
        options: dict[str, str] = {}
        left_out: list[str] = []
        hashed: list[str] = []
        for key, value in form.multi_items():
            kind, colon, name = key.partition(":")
            if colon and kind == "option" and value:
                options[name] = str(value).strip()
            elif colon and kind == "column":
                (left_out if value == "out" else hashed if value == "hash" else []).append(name)
        weekdays = [str(day) for day in form.getlist("weekdays") if day in WEEKDAYS]
        return cls(**sent, options=options, left_out=left_out, hashed=hashed, weekdays=weekdays)

    def hidden(self, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Names and values of hidden inputs for the fields."""
        for name in names:
            value = getattr(self, name)
            if name == "options":
                yield from ((f"option:{key}", one) for key, one in value.items())
            elif name in ("left_out", "hashed"):
                yield from ((f"column:{column}", "out" if name == "left_out" else "hash") for column in value)
            elif name == "weekdays":
                yield from (("weekdays", day) for day in value)
            else:
                yield name, value

    def given(self) -> dict[str, Any]:
        """The options as in a configuration file, without the schedule."""
        found: dict[str, Any] = self._choice() | {
            "partition": self._period(),
            "to": [url.strip() for url in (self.to, *self.more.splitlines()) if url.strip()],
            "after": self.after if self.way == "basic" and self.when == "after" else "",
        }
        if self.method == "merge":
            found["deleted"] = "drop" if self.drop_deleted else "keep"
        if not self.retry:
            found["retry"] = False
        return found | {option.name: self.value(option) for option in FIELDS if self.uses(option)}

    def uses(self, option: Option) -> bool:
        """Whether the option applies to the selected method and retry setting."""
        return option.method in (None, self.method) and (option.group != "retry" or bool(self.retry))

    def value(self, option: Option) -> Any:
        """The value of an option's field; SettingsError if a number is invalid."""
        text: str = getattr(self, option.form)
        if option.limits and (text.strip() or default_of(option) is not None):
            return whole(f"the number of {option.limits.unit}", text)
        return bool(text) if option.kind == "switch" else listed(text) if option.kind == "names" else text.strip()

    def choice(self) -> Choice:
        """The options that select rows and columns of the report."""
        made: Choice = read_group("choice", self._choice(), Choice())
        return made

    def _choice(self) -> dict[str, Any]:
        between, last = self.rows == "between", self.rows == "days"
        return {
            "options": {name: value for name, value in self.options.items() if value},
            "since": self.since if between else "",
            "until": self.until if between else "",
            "last_days": whole("the number of days", self.days) if last else "",
            "promote": listed(self.promoted),
            "leave_out": self.left_out,
            "hash": self.hashed,
        }

    def partition(self) -> Partition | None:
        """The period of the method `partition`; None for other methods."""
        return read_partition(self._period())

    def _period(self) -> str:
        return f"{self.last} {self.period}s" if self.method == "partition" else ""

    def schedule(self) -> Schedule:
        """The schedule; SettingsError if it is invalid."""
        return read_input(self.words if self.way == "advanced" else self.basic_words(), self.zone)

    def basic_words(self) -> str:
        """The basic schedule as a schedule expression."""
        if self.when != "every":
            return "manual"
        unit = self.unit if self.unit in UNITS else "days"
        n = str(whole(f"the number of {unit}", self.n))
        days = f" on {','.join(self.weekdays)}" if self.weekdays and len(self.weekdays) < len(WEEKDAYS) else ""
        if unit in ("minutes", "hours"):
            between = f" between {self.opens} and {self.closes}" if self.opens or self.closes else ""
            return f"every {n} {unit}{days}{between}"
        at = f" at {self.times.strip() or '06:00'}"
        if unit == "days":
            return f"weekly{days}{at}" if days and n == "1" else f"every {n} days{days}{at}"
        if unit == "weeks":
            return f"every {n} weeks on {','.join(self.weekdays or WEEKDAYS[:1])}{at}"
        return f"every {n} months on {self.month_days.strip() or '1'}{at}"


def pane_fields(pane: str) -> tuple[str, ...]:
    """The fields of a pane, for the hidden inputs of a closed pane."""
    return (*_PANES[pane], *(option.form for option in FIELDS if option.pane == pane))


def typed_of(dataset: Dataset) -> DatasetForm:
    """The form filled with the values of a dataset."""
    given = options_of(dataset) | {"retry": dataset.retry.attempts}
    own: dict[str, Any] = {option.form: _text(given[option.name]) for option in FIELDS}
    target, *others = dataset.targets
    bounded = given["since"] or given["until"]
    made = DatasetForm(
        account=dataset.account,
        report=dataset.report,
        rows="days" if given["last_days"] is not None else "between" if bounded else "all",
        since=_text(given["since"]),
        until=_text(given["until"]),
        days=str(given["last_days"] or 30),
        options=given["options"],
        left_out=given["leave_out"],
        hashed=given["hash"],
        drop_deleted=_text(given["deleted"] == "drop"),
        retry=_text(dataset.retry.on),
        name=dataset.name,
        to=target.url,
        more="\n".join(one.url for one in others),
        **own,
    )
    if dataset.partition is not None:
        made.last, made.period = str(dataset.partition.last), dataset.partition.unit
    _schedule_typed(made, dataset)
    return made


def _schedule_typed(made: DatasetForm, dataset: Dataset) -> None:
    """Fills the basic fields if they can express the schedule, else the advanced expression."""
    schedule = dataset.schedule
    made.zone = schedule.zone
    words = input_of(schedule)
    if words == "manual":
        made.when, made.after = ("manual", "") if dataset.after is None else ("after", dataset.after)
        return
    for basic in _readings(words):
        tried = replace(made, when="every", **basic)
        with suppress(CounterfoilError):
            if tried.schedule() == schedule:
                for name, value in {"when": "every", **basic}.items():
                    setattr(made, name, value)
                return
    made.way, made.words = "advanced", words


def _readings(words: str) -> Iterator[dict[str, Any]]:
    """Candidates of basic fields for a schedule expression."""
    if found := re.fullmatch(r"every (?:(\d+) )?(minute|hour)s?(?: between (\S+) and (\S+))?", words):
        yield {"n": found[1] or "1", "unit": f"{found[2]}s", "opens": found[3] or "", "closes": found[4] or ""}
    if found := re.fullmatch(r"(?:daily|every (\d+) days) at (.+)", words):
        yield {"n": found[1] or "1", "unit": "days", "times": found[2].replace(" and ", ", ")}
    if found := re.fullmatch(r"(?:weekly on (.+)|weekdays) at (.+)", words):
        days = re.split(r", | and ", found[1]) if found[1] else WEEKDAYS[:5]
        weekdays = [day[:3].lower() for day in days]
        yield {"n": "1", "unit": "days", "times": found[2].replace(" and ", ", "), "weekdays": weekdays}


_TEXTS = frozenset(one.name for one in fields(DatasetForm) if isinstance(one.default, str))


def whole(what: str, text: str) -> int:
    """The whole number in `text`; SettingsError with the name `what` if it is invalid."""
    if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
        raise SettingsError(f"{what} is not a whole number", hint="Use a number such as 3.")
    return int(text)


def listed(text: str) -> list[str]:
    """The items of a list separated by commas or line breaks."""
    return [word.strip() for word in re.split(r"[,\n]", text) if word.strip()]


Field = str
Problems = dict[Field, CounterfoilError]


def as_method(text: str) -> Method:
    """Casts the text to a method; the calls reject invalid ones."""
    return cast("Method", text)


def changes_of(typed: DatasetForm, before: Dataset | None = None) -> dict[str, Any]:
    """The arguments of `DatasetService.create`; with `before` the changed ones, as arguments of `edit`."""
    changes = read_changes(typed.given(), before)
    schedule = typed.schedule()
    return changes if before is not None and schedule == before.schedule else changes | {"schedule": schedule}
