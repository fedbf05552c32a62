"""Validates the form of a dataset by pane and field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from counterfoil.app.app import App
from counterfoil.app.datasets.drafts import Drafts, read_input
from counterfoil.app.values import Choice, Dataset
from counterfoil.dataset_options import Limits, Option
from counterfoil.errors import CounterfoilError, SettingsError
from counterfoil.web.forms.dataset import FIELDS, DatasetForm, Problems, as_method, listed


class Checks:
    """Validates the form of a new dataset, or of `dataset`."""

    def __init__(self, app: App, dataset: Dataset | None) -> None:
        self._app = app
        self._drafts = Drafts(app)
        self._dataset = dataset

    def problems(self, pane: str, typed: DatasetForm) -> Problems:
        """The problems of a pane by field; empty if it is valid."""
        found: Problems = {}
        {
            "credentials": self._of_credentials,
            "details": self._of_details,
            "scheduling": self._of_scheduling,
            "naming": self._of_naming,
        }[pane](found, typed)
        return found

    def _of_credentials(self, found: Problems, typed: DatasetForm) -> None:
        tried(found, "account", lambda: self._app.accounts.get(typed.account))

    def _of_details(self, found: Problems, typed: DatasetForm) -> None:
        if not typed.report:
            found["report"] = SettingsError("no report selected", hint="Select a report.")
            return
        for name, value in typed.options.items():
            tried(found, f"option:{name}", partial(self._drafts.option, typed.report, name, value))
        for name in {"between": ("since", "until"), "days": ("days",)}.get(typed.rows, ()):
            blank = replace(typed, **{"since": "", "until": "", name: getattr(typed, name)})
            tried(found, name, partial(self._check_range, blank))
        if typed.rows == "between" and not found.keys() & {"since", "until"}:
            tried(found, "until", lambda: _range_only(typed))
            if not (typed.since or typed.until):
                found["since"] = SettingsError("no date given", hint="Enter one of the two dates, or select all rows.")
        columns = Choice(
            promoted=tuple(listed(typed.promoted)), left_out=tuple(typed.left_out), hashed=tuple(typed.hashed)
        )
        field = "promoted" if columns.promoted and not (typed.left_out or typed.hashed) else "columns"
        tried(found, field, lambda: self._drafts.columns(typed.report, columns))

    def _check_range(self, typed: DatasetForm) -> None:
        self._drafts.choice(typed.report, _range_only(typed))

    def _of_scheduling(self, found: Problems, typed: DatasetForm) -> None:
        after = typed.way == "basic" and typed.when == "after"
        if after:
            tried(found, "after", lambda: self._app.datasets.get(typed.after))
        else:
            tried(found, "zone", lambda: read_input("daily at 06:00", typed.zone))
            if "zone" not in found:
                field = "words" if typed.way == "advanced" else "schedule"
                tried(found, field, lambda: self._drafts.schedule(typed.schedule()))
        tried(found, "last", lambda: self._drafts.method(typed.report, as_method(typed.method), typed.partition()))
        if "last" not in found:
            tried(found, "method", lambda: self._drafts.choice(typed.report, typed.choice(), as_method(typed.method)))
        for option in FIELDS:
            if option.limits is not None and typed.uses(option):
                tried(found, option.form, partial(_check_number, option.limits, typed, option))

    def _of_naming(self, found: Problems, typed: DatasetForm) -> None:
        if self._dataset is None or typed.name.strip() != self._dataset.name:
            tried(found, "name", lambda: self._drafts.name(typed.name))
        tried(found, "to", lambda: self._drafts.target(typed.to.strip(), "table"))
        for url in filter(str.strip, typed.more.splitlines()):
            tried(found, "more", partial(self._drafts.target, url.strip(), "table"))
        tried(found, "table", lambda: self._drafts.target("duckdb:///x", typed.table.strip()))


def tried(found: Problems, field: str, call: Callable[[], object]) -> None:
    """Records a CounterfoilError of the call as the problem of the field, unless the field has one."""
    try:
        call()
    except CounterfoilError as error:
        found.setdefault(field, error)


def _range_only(typed: DatasetForm) -> Choice:
    return DatasetForm(rows=typed.rows, since=typed.since, until=typed.until, days=typed.days).choice()


def _check_number(limits: Limits, typed: DatasetForm, option: Option) -> None:
    number = typed.value(option)
    if number != "":
        limits.check(number)
