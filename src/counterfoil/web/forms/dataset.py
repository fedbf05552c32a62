"""What was typed into the form of a dataset: read from the request, and made into what is saved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal, cast

from starlette.datastructures import FormData, QueryParams

from counterfoil.app.datasets.drafts import input_of, read_input
from counterfoil.app.datasets.input import read_choice, read_merge, read_partition, read_retry
from counterfoil.app.values import Choice, Dataset, Merge, Partition, Retry, Schedule
from counterfoil.errors import CounterfoilError, SettingsError
from counterfoil.web.hints import on_page

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS = ("minutes", "hours", "days", "weeks", "months")
#: Fields that are switches: when their pane is open and they are not sent, they are off.
_SWITCHES = frozenset({"retry", "retry_manual", "overwrite", "drop_deleted", "history"})


@dataclass(slots=True, kw_only=True)
class DatasetForm:
    """Every field of the form as text, whatever was typed; the defaults are those of a form that nobody touched."""

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
    promoted: str = ""
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
    method: str = ""
    last: str = "3"
    period: str = "month"
    drop_deleted: str = ""
    history: str = ""
    reread_days: str = "7"
    retry: str = "yes"
    retry_minutes: str = "15"
    attempts: str = "3"
    retry_manual: str = ""
    deadline: str = ""
    #: Reads of a full run as they were estimated, and what for.
    reads: str = ""
    reads_of: str = ""

    name: str = ""
    description: str = ""
    to: str = ""
    #: Other destinations, one a line.
    more: str = ""
    table: str = ""
    overwrite: str = ""
    #: What was proposed for them, to tell what was typed since.
    proposed_name: str = ""
    proposed_description: str = ""
    proposed_table: str = ""

    @classmethod
    def read(cls, form: FormData | QueryParams) -> DatasetForm:
        """Of what was sent; what was not sent keeps its default, but switches are off."""
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
        """The fields by name as hidden inputs have them."""
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

    def choice(self) -> Choice:
        """What of the report."""
        between, last = self.rows == "between", self.rows == "days"
        return read_choice(
            Choice(),
            since=self.since if between else None,
            until=self.until if between else None,
            last_days=whole("The number of days", self.days) if last else None,
            options=[f"{name}={value}" for name, value in self.options.items() if value],
            promoted=listed(self.promoted),
            left_out=self.left_out,
            hashed=self.hashed,
        )

    def schedule(self) -> Schedule:
        """When it runs."""
        return read_input(self.words if self.way == "advanced" else self.basic_words(), self.zone)

    def basic_words(self) -> str:
        """The basic schedule in the words that say the same."""
        if self.when != "every":
            return "manual"
        unit = self.unit if self.unit in UNITS else "days"
        n = str(whole(f"The number of {unit}", self.n))
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

    def partition(self) -> Partition | None:
        """The period of the method `partition`."""
        return read_partition(f"{self.last} {self.period}s") if self.method == "partition" else None

    def merge(self) -> Merge | None:
        """How the method `merge` keeps the table."""
        if self.method != "merge":
            return None
        return read_merge(
            None,
            deleted="drop" if self.drop_deleted else "keep",
            history=bool(self.history),
            reread_days=whole("The number of days", self.reread_days),
        )

    def retries(self) -> Retry:
        """Whether and how often it is tried again."""
        if not self.retry:
            return read_retry(Retry(), on=False)
        return read_retry(
            Retry(),
            on=True,
            attempts=whole("The number of attempts", self.attempts),
            every_minutes=whole("The number of minutes", self.retry_minutes),
            manual=bool(self.retry_manual),
        )

    def destinations(self) -> list[str]:
        """Where to, the first first."""
        return [url.strip() for url in (self.to, *self.more.splitlines()) if url.strip()]

    def deadline_minutes(self) -> int | None:
        """None for no deadline."""
        return whole("The number of minutes", self.deadline) if self.deadline.strip() else None


def typed_of(dataset: Dataset) -> DatasetForm:
    """What would have been typed for a dataset as it is."""
    choice, retry = dataset.choice, dataset.retry
    target, *others = dataset.targets
    bounded = choice.since is not None or choice.until is not None
    made = DatasetForm(
        account=dataset.account,
        report=dataset.report,
        rows="days" if choice.last_days is not None else "between" if bounded else "all",
        since=_day(choice.since),
        until=_day(choice.until),
        days=str(choice.last_days or 30),
        options=dict(choice.options),
        promoted=", ".join(choice.promoted),
        left_out=list(choice.left_out),
        hashed=list(choice.hashed),
        method=dataset.method,
        retry="yes" if retry.on else "",
        retry_minutes=str(retry.every_minutes),
        attempts=str(retry.attempts),
        retry_manual="yes" if retry.manual else "",
        deadline=str(dataset.deadline_minutes or ""),
        name=dataset.name,
        description=dataset.description,
        to=target.url,
        more="\n".join(one.url for one in others),
        table=target.table,
    )
    if dataset.partition is not None:
        made.last, made.period = str(dataset.partition.last), dataset.partition.unit
    if dataset.merge is not None:
        made.drop_deleted = "yes" if dataset.merge.deleted == "drop" else ""
        made.history = "yes" if dataset.merge.history else ""
        made.reread_days = str(dataset.merge.reread_days)
    _schedule_typed(made, dataset)
    return made


def _schedule_typed(made: DatasetForm, dataset: Dataset) -> None:
    """The basic fields where they say the same; else the words."""
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
    """What the basic fields could be that say the words."""
    if found := re.fullmatch(r"every (?:(\d+) )?(minute|hour)s?(?: between (\S+) and (\S+))?", words):
        yield {"n": found[1] or "1", "unit": f"{found[2]}s", "opens": found[3] or "", "closes": found[4] or ""}
    if found := re.fullmatch(r"(?:daily|every (\d+) days) at (.+)", words):
        yield {"n": found[1] or "1", "unit": "days", "times": found[2].replace(" and ", ", ")}
    if found := re.fullmatch(r"(?:weekly on (.+)|weekdays) at (.+)", words):
        days = re.split(r", | and ", found[1]) if found[1] else WEEKDAYS[:5]
        weekdays = [day[:3].lower() for day in days]
        yield {"n": "1", "unit": "days", "times": found[2].replace(" and ", ", "), "weekdays": weekdays}


def _day(seconds: int | None) -> str:
    """`2026-01-31`, or with the time of day where it is not midnight in UTC."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("T00:00:00+00:00")


_TEXTS = frozenset(one.name for one in fields(DatasetForm) if isinstance(one.default, str))


def whole(what: str, text: str) -> int:
    """The whole number that was typed; SettingsError names what it is of."""
    if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
        raise SettingsError(f"{what} is not a whole number", hint="Give a number such as 3.")
    return int(text)


def listed(text: str) -> list[str]:
    """What is between commas or on lines of its own."""
    return [word.strip() for word in re.split(r"[,\n]", text) if word.strip()]


Field = str
Problems = dict[Field, CounterfoilError]


def field_messages(problems: Mapping[Field, CounterfoilError]) -> dict[Field, str]:
    """Each problem as the line below its field: what is wrong, and what to do."""
    return {name: _line(error) for name, error in problems.items()}


def _line(error: CounterfoilError) -> str:
    text = f"{on_page(error.message).rstrip('.')}. {on_page(error.hint)}".rstrip()
    return text[:1].upper() + text[1:]


Method = Literal["replace", "append", "merge", "partition"]


def as_method(text: str) -> Method:
    """As the calls take it; they refuse what is none."""
    return cast("Method", text)


def saved(typed: DatasetForm) -> dict[str, Any]:
    """The fields as `App.datasets.create` takes them, but for its name, account and report."""
    after = typed.after if typed.way == "basic" and typed.when == "after" else ""
    return {
        "choice": typed.choice(),
        "schedule": typed.schedule(),
        "after": after or None,
        "method": as_method(typed.method),
        "partition": typed.partition(),
        "merge": typed.merge(),
        "retry": typed.retries(),
        "deadline_minutes": typed.deadline_minutes(),
        "description": typed.description.strip(),
        "to": typed.destinations(),
        "table": typed.table.strip(),
        "overwrite": bool(typed.overwrite),
    }
