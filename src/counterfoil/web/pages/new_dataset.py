"""The form of a dataset: four panes that open in order and can be reopened. Nothing is stored until it is saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from counterfoil.app.accounts import mode
from counterfoil.app.app import App
from counterfoil.app.datasets.drafts import (
    Drafts,
    ReportOptions,
    all_report_options,
    input_of,
    permissions,
    read_input,
    report_options,
    zones,
)
from counterfoil.app.values import Account, Dataset, PlannedDataset
from counterfoil.errors import INVALID_TABLE, REPLACES_ROWS, CounterfoilError, SettingsError
from counterfoil.web.formatting import counted
from counterfoil.web.forms.dataset import (
    DatasetForm,
    Problems,
    changes_of,
    listed,
    pane_fields,
    typed_of,
)
from counterfoil.web.forms.dataset_validation import Checks, tried
from counterfoil.web.forms.form_data import form_data, redirect
from counterfoil.web.forms.method_help import TITLES, method_help
from counterfoil.web.pages.connect import KEY_PAGES, NEW, connect, say_key_problem
from counterfoil.web.preview_rows import preview_rows
from counterfoil.web.rendering import render

PANES = ("credentials", "details", "scheduling", "naming")
PREVIEW_ROWS = 20
DESTINATION = "duckdb:///counterfoil.duckdb"


def routes(app: App) -> APIRouter:
    """`/datasets/new` and `/datasets/{dataset}/edit`, which share one form."""
    router = APIRouter()

    @router.get("/datasets/new")
    def begin(request: Request, account: str = "", report: str = "", saved: str = "") -> Response:
        return _Form(app).begin(request, account, report, saved)

    @router.post("/datasets/new")
    def step(request: Request, data: Annotated[FormData, Depends(form_data)]) -> Response:
        return _Form(app).step(request, data)

    @router.get("/datasets/{dataset}/edit")
    def change(request: Request, dataset: str, pane: str = "") -> Response:
        return _Form(app, app.datasets.get(dataset)).change(request, pane)

    @router.post("/datasets/{dataset}/edit")
    def step_of_change(request: Request, dataset: str, data: Annotated[FormData, Depends(form_data)]) -> Response:
        return _Form(app, app.datasets.get(dataset)).step(request, data)

    return router


class _Form:
    """Handles one request of the form of a new dataset, or of `dataset`."""

    def __init__(self, app: App, dataset: Dataset | None = None) -> None:
        self._app = app
        self._drafts = Drafts(app)
        self._checks = Checks(app, dataset)
        self._dataset = dataset
        self._place = "/datasets/new" if dataset is None else f"/datasets/{dataset.id}/edit"

    def begin(self, request: Request, account: str, report: str, saved_id: str) -> Response:
        accounts = {one.id: one for one in self._app.accounts.list()}
        typed = DatasetForm(account=account if account in accounts else next(iter(accounts), NEW))
        before = next((one for one in self._app.datasets.list() if one.dataset.id == saved_id), None)
        if report in {one.key for one in all_report_options()}:
            typed.report = report
            _fit(typed, report_options(report))
        pane = "details" if account in accounts else "credentials"
        return self._render(request, typed, pane, PANES.index(pane), moved=True, saved=before)

    def change(self, request: Request, pane: str) -> Response:
        """The form filled with the values of the dataset."""
        assert self._dataset is not None  # noqa: S101 - the route requires a dataset
        pane = pane if pane in PANES else "details"
        return self._render(request, typed_of(self._dataset), pane, len(PANES) - 1, moved=True)

    def step(self, request: Request, data: FormData) -> Response:
        """Handles a button of the form, or the change of a field."""
        typed = DatasetForm.read(data)
        if self._dataset is not None:
            typed.report = self._dataset.report
        pane = _one_of(PANES, str(data.get("pane", "")))
        reached = max(PANES.index(pane), PANES.index(_one_of(PANES, str(data.get("reached", "")))))
        go = str(data.get("go", ""))
        _fit_all(typed)
        if typed.account == NEW and (go == "next" or go.startswith("save") or go in PANES[1:]):
            try:
                typed.account = connect(self._app, str(data.get("key", "")), typed).id
            except CounterfoilError as error:
                response = say_key_problem(request, error)
                return response or self._render(request, typed, "credentials", reached, problems={"key": error})
        if go.startswith("save"):
            return self._save(request, typed, reached, go)
        if go == "check":
            return self._check_again(request, typed, pane, reached)
        if go == "preview":
            return self._preview(request, typed, reached)
        if go == "report" and typed.report:
            typed.method = report_options(typed.report).default_method
        target = PANES[min(PANES.index(pane) + 1, len(PANES) - 1)] if go == "next" else go
        if target not in PANES:
            return self._render(request, typed, pane, reached)
        return self._open(request, typed, pane, target, reached)

    def _open(self, request: Request, typed: DatasetForm, pane: str, target: str, reached: int) -> Response:
        """Opens the target, or the first pane before it that is invalid; going back validates nothing."""
        if PANES.index(target) > PANES.index(pane):
            for one in PANES[: PANES.index(target)]:
                problems = self._checks.problems(one, typed)
                if problems:
                    return self._render(request, typed, one, reached, problems=problems, moved=one != pane)
        if PANES.index(target) > PANES.index("details"):
            self._estimate(typed)
        if target == "naming" and self._dataset is None:
            self._propose(typed)
        return self._render(request, typed, target, max(reached, PANES.index(target)), moved=True)

    def _save(self, request: Request, typed: DatasetForm, reached: int, go: str) -> Response:
        for pane in PANES:
            problems = self._checks.problems(pane, typed)
            if problems:
                return self._render(request, typed, pane, reached, problems=problems, moved=pane != PANES[-1])
        try:
            made = self._create(typed) if self._dataset is None else self._edit(self._dataset, typed)
        except CounterfoilError as error:
            replaces = error.code == REPLACES_ROWS
            return self._render(
                request, typed, "naming", reached, problems={_field_of(error): error}, moved=True, replaces=replaces
            )
        if go == "save_new":
            return redirect(request, f"/datasets/new?account={typed.account}&saved={made.dataset.id}")
        if go == "save_run":
            return redirect(request, f"/runs/{self._app.runs.start(made.dataset.id, wait=False).id}")
        return redirect(request, f"/datasets/{made.dataset.id}{'/settings' if self._dataset else ''}")

    def _create(self, typed: DatasetForm) -> PlannedDataset:
        return self._app.datasets.create(
            typed.name, account=typed.account, report=typed.report, overwrite=bool(typed.overwrite), **changes_of(typed)
        )

    def _edit(self, dataset: Dataset, typed: DatasetForm) -> PlannedDataset:
        """Saves only the changed fields: saving an unchanged schedule would restart its intervals."""
        overwrite = bool(typed.overwrite)
        changes = changes_of(typed, dataset)
        names = {"name": typed.name.strip(), "account": typed.account}
        changes |= {name: value for name, value in names.items() if value != getattr(dataset, name)}
        if input_of(dataset.schedule) != "manual" and changes.get("after", "") is None:
            del changes["after"]  # the dataset also has a schedule, and the form shows only one of the two
        if (changes["to"], changes["table"]) == ([one.url for one in dataset.targets], dataset.targets[0].table):
            del changes["to"], changes["table"]
        tried = self._app.datasets.edit(dataset.id, overwrite=overwrite, dry_run=True, **changes)
        if tried.replaces is not None and not overwrite:
            raise SettingsError(
                tried.replaces, hint="Use another table, or let the next run replace the rows.", code=REPLACES_ROWS
            )
        return self._app.datasets.edit(dataset.id, overwrite=overwrite, **changes)

    def _check_again(self, request: Request, typed: DatasetForm, pane: str, reached: int) -> Response:
        problems: Problems = {}
        tried(problems, "report", lambda: self._app.accounts.check(typed.account))
        return self._render(request, typed, pane, reached, problems=problems)

    def _preview(self, request: Request, typed: DatasetForm, reached: int) -> Response:
        problems = self._checks.problems("details", typed)
        preview, failed = None, next(iter(problems.values()), None)
        if failed is None:
            try:
                preview = preview_rows(
                    self._app.datasets.preview_report(
                        typed.account, typed.report, choice=typed.choice(), rows=PREVIEW_ROWS
                    ),
                    report_options(typed.report),
                )
            except CounterfoilError as error:
                failed = error
        return self._render(
            request, typed, "details", reached, problems=problems, preview=preview, preview_error=failed
        )

    def _estimate(self, typed: DatasetForm) -> None:
        """Estimates the API requests of a full refresh, once for each selection of rows."""
        if typed.reads_of != (asked := _asked(typed)):
            reads = self._drafts.reads(typed.account, typed.report, typed.choice())
            typed.reads, typed.reads_of = "" if reads is None else str(reads), asked

    def _propose(self, typed: DatasetForm) -> None:
        """Fills in proposals for name, description and table; edited values stay unchanged."""
        found, account = report_options(typed.report), self._app.accounts.get(typed.account)
        typed.to = typed.to or next(iter(self._drafts.destinations()), DESTINATION)
        proposed = {
            "name": self._drafts.free_name(found.title, f"{found.title} of {account.name}"),
            "description": found.description,
            "table": self._drafts.free_table(typed.to, found.key),
        }
        for name, value in proposed.items():
            if getattr(typed, name) in ("", getattr(typed, f"proposed_{name}")):
                setattr(typed, name, value)
            setattr(typed, f"proposed_{name}", value)

    def _render(
        self,
        request: Request,
        typed: DatasetForm,
        pane: str,
        reached: int,
        *,
        problems: Problems | None = None,
        moved: bool = False,
        **more: Any,
    ) -> Response:
        errors = problems or {}
        accounts = self._app.accounts.list()
        account = next((one for one in accounts if one.id == typed.account), None)
        values: dict[str, Any] = {
            "saved": None,
            "place": self._place,
            "dataset": self._dataset,
            "preview": None,
            "preview_error": None,
            "replaces": False,
            "pane": pane,
            "reached": reached,
            "panes": PANES,
            "pane_fields": pane_fields,
            "form": typed,
            "errors": errors,
            "focus": _focus(next(iter(errors), _first(pane, accounts) if moved else None)),
            "accounts": accounts,
            "account": account,
            "mode_of": mode,
            "offers": all_report_options(),
            "offer": report_options(typed.report) if typed.report else None,
            "methods": list(method_help(report_options(typed.report))) if typed.report else [],
            "method_title": TITLES.get(typed.method, ""),
            "key_pages": KEY_PAGES,
            "permissions": permissions(),
            "choice_words": _choice_words(typed),
            "columns_chosen": len(typed.left_out) + len(typed.hashed),
            **self._schedule(typed, account),
            **more,
        }
        if pane == "scheduling":
            others = [
                one for one in self._app.datasets.list() if self._dataset is None or one.dataset.id != self._dataset.id
            ]
            values |= {"zones": zones(), "datasets": others}
        if pane == "naming":
            values["destinations"] = tuple(dict.fromkeys((DESTINATION, *self._drafts.destinations())))
            values["home"] = self._app.settings.home
        answer = render(request, "new_dataset.html", **values)
        if moved:
            answer.headers["HX-Reswap"] = f"outerHTML show:#step-{PANES.index(pane) + 1}:top"
        return answer

    def _schedule(self, typed: DatasetForm, account: Account | None) -> dict[str, Any]:
        """The next runs and the forecast of API requests, or the error in the schedule."""
        nothing: dict[str, Any] = dict.fromkeys(("outlook", "together", "schedule", "schedule_error"))
        nothing |= {"schedule_words": "", "next_times": []}
        if account is None or not typed.report:
            return nothing
        reads = int(typed.reads) if typed.reads.isdecimal() else None
        try:
            after = self._app.datasets.get(typed.after) if typed.way == "basic" and typed.when == "after" else None
            schedule = read_input("manual", typed.zone) if after else typed.schedule()
            self._drafts.schedule(schedule)
        except CounterfoilError as error:
            return nothing | {"schedule_error": error}
        words = f"after {after.name}" if after else input_of(schedule)
        outlook = self._drafts.outlook(schedule, after=after.id if after else None, reads_each=reads)
        together = self._app.datasets.together(
            account.id, instead={self._dataset.id if self._dataset else NEW: outlook}
        )
        times = [_local(at, schedule.zone) for at in outlook.next_times]
        forecast = {"outlook": outlook, "together": together, "schedule": schedule}
        return nothing | forecast | {"schedule_words": words, "next_times": times}


def _local(at: datetime, zone: str) -> tuple[str, str, str]:
    """An instant in ISO 8601, in local time of the zone, and in UTC."""
    local = at.astimezone(ZoneInfo(zone))
    return at.isoformat(), f"{local:%a} {local.day} {local:%b %Y, %H:%M}", f"{at:%Y-%m-%d %H:%M} UTC"


def _first(pane: str, accounts: Sequence[Account]) -> str:
    """The first field of a pane."""
    first = {"credentials": "account" if accounts else "key", "details": "report", "scheduling": "n", "naming": "name"}
    return first[pane]


def _focus(field: str | None) -> Callable[[str], dict[str, str]]:
    """Attributes that focus a field."""
    return lambda name: {"autofocus": "autofocus"} if name == field else {}


def _one_of(panes: Sequence[str], word: str) -> str:
    return word if word in panes else panes[0]


def _fit_all(typed: DatasetForm) -> None:
    if typed.report not in {one.key for one in all_report_options()}:
        typed.report = ""
    else:
        _fit(typed, report_options(typed.report))


def _fit(typed: DatasetForm, found: ReportOptions) -> None:
    """Removes options and columns that the report does not have."""
    columns = {column.name for column in found.columns}
    options = {option.name for option in found.options}
    keys = {f"metadata_{name}" for name in listed(typed.promoted)}
    typed.options = {name: value for name, value in typed.options.items() if name in options}
    typed.left_out = [name for name in typed.left_out if name in columns | keys]
    typed.hashed = [name for name in typed.hashed if name in columns | keys]
    if not found.has_created:
        typed.rows = "all"
    if not found.has_metadata:
        typed.promoted = ""
    if typed.method not in found.methods:
        typed.method = found.default_method


def _asked(typed: DatasetForm) -> str:
    """Identifies the selection of rows that an estimate applies to."""
    values = (typed.account, typed.report, typed.rows, typed.since, typed.until, typed.days)
    options = (f"{name}={value}" for name, value in sorted(typed.options.items()))
    return " ".join((*values, *options))


def _choice_words(typed: DatasetForm) -> str:
    """The selection of rows and columns, in a line."""
    rows = {
        "between": " ".join(
            part
            for part in (
                f"from {typed.since}" if typed.since else "",
                f"until {typed.until}" if typed.until else "",
            )
            if part
        ),
        "days": f"the last {typed.days} days before each run",
    }.get(typed.rows, "all rows")
    parts = [rows, *(f"{name} {value}" for name, value in typed.options.items() if value)]
    parts += [f"metadata {key}" for key in listed(typed.promoted)]
    parts += [f"{counted(len(typed.left_out), 'column')} left out"] if typed.left_out else []
    parts += [f"{counted(len(typed.hashed), 'column')} hashed"] if typed.hashed else []
    return ", ".join(parts)


def _field_of(error: CounterfoilError) -> str:
    """The field of an error on saving: all other fields are validated before."""
    return "table" if error.code in (INVALID_TABLE, REPLACES_ROWS) else "to"
