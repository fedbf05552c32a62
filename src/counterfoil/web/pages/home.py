"""The Data Center: all datasets and all accounts, what is broken first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from counterfoil.app import App, catalogue, describe_reports
from counterfoil.app.accounts import mode
from counterfoil.app.values import Account, Run, Shown
from counterfoil.log import redacted
from counterfoil.state.check import Result, worst
from counterfoil.web.rendering import address, render

PAGE_SIZE = 50
#: What a dataset can be, the worst first: the order of the list, and of its filters.
STATUSES = ("attention", "late", "running", "ok", "new", "paused")
LABELS = {"attention": "Needs attention", "late": "Late", "running": "Running", "ok": "OK", "new": "Not run yet"}
LABELS["paused"] = "Paused"

_ACTIVE = {"queued": "Queued", "running": "Running", "waiting": "Tries again"}
_BY_HAND = "Paused by hand."
#: How long after its time a dataset is late.
_GRACE = timedelta(minutes=5)
#: Runs that a course shows, and runs that are looked through for them.
_COURSE, _LOOKED_AT = 14, 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A dataset as the list shows it."""

    id: str
    name: str
    #: Key and title.
    report: str
    title: str
    account: str
    account_id: str
    #: `live`, `test` or None.
    mode: str | None
    #: One of STATUSES, and what to call it when another word is better.
    status: str
    word: str | None
    #: What is wrong, if anything, and what to do.
    problem: str | None
    hint: str | None
    #: Of the table, as its checks counted them; else of the last run that succeeded, which with `adds` came to others.
    rows: int | None
    adds: bool
    #: Rows of the last runs that succeeded, the oldest first.
    course: tuple[int, ...]
    last_run: str | None
    last_at: datetime | None
    took: timedelta | None
    next_at: datetime | None
    #: The name of the dataset after which it runs.
    after: str | None
    paused: bool
    #: What the checks of its tables came to; None without any.
    proof: Result | None


def home_rows(app: App, *, now: datetime) -> list[Row]:
    """All datasets, by name."""
    titles = {report["key"]: report["title"] for report in describe_reports()}
    succeeded: defaultdict[str, list[Run]] = defaultdict(list)
    for run in app.runs.list(status="succeeded", limit=_LOOKED_AT):
        succeeded[run.dataset].append(run)
    return [_row(shown, succeeded[shown.dataset.id], titles, now) for shown in app.datasets.list()]


def routes(app: App) -> APIRouter:
    """`/` and `/accounts`."""
    router = APIRouter()

    @router.get("/")
    def datasets(
        request: Request,
        search: str = "",
        status: str = "",
        account: str = "",
        report: str = "",
        sort: str = "status",
        page: int = 1,
    ) -> HTMLResponse:
        now = app.state.now()
        rows = home_rows(app, now=now)
        alike = [
            row for row in rows if _has(row, search) and account in ("", row.account_id) and report in ("", row.report)
        ]
        found = sorted_rows([row for row in alike if status in ("", row.status)], sort)
        page = max(1, min(page, -(-len(found) // PAGE_SIZE)))
        return render(
            request,
            "home.html",
            now=now,
            **_tabs(rows, app.accounts.list()),
            rows=found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE],
            found=len(found),
            page=page,
            page_size=PAGE_SIZE,
            active=any(row.status == "running" for row in rows),
            sort=sort,
            chosen={"search": search, "account": account, "report": report, "status": status},
            statuses=_status_filters(request, alike, status),
            account_filter=_choices((row.account_id, row.account) for row in rows),
            report_filter=_choices((row.report, row.title) for row in rows),
        )

    @router.get("/accounts")
    def accounts(request: Request) -> HTMLResponse:
        now = app.state.now()
        rows = home_rows(app, now=now)
        users: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            users[row.account_id].append(row)
        found = app.accounts.list()
        listed = [{"account": one, "mode": mode(one), "users": users[one.id]} for one in found]
        return render(request, "accounts.html", now=now, **_tabs(rows, found), listed=listed, reports=len(catalogue()))

    return router


def sorted_rows(rows: Iterable[Row], sort: str) -> list[Row]:
    """In the order asked for, `-` turning it around, or with what is broken first; by name where that leaves a choice.

    What has no value comes last either way.
    """
    value = _ORDERS.get(sort.removeprefix("-"), _ORDERS["status"])
    ordered = sorted(rows, key=lambda row: row.name.casefold())
    known = [row for row in ordered if value(row) is not None]
    known.sort(key=value, reverse=sort.startswith("-"))
    return known + [row for row in ordered if value(row) is None]


_ORDERS: Mapping[str, Callable[[Row], Any]] = {
    "status": lambda row: STATUSES.index(row.status),
    "name": lambda row: row.name.casefold(),
    "account": lambda row: row.account.casefold(),
    "rows": lambda row: row.rows,
    "last": lambda row: row.last_at,
    "next": lambda row: row.next_at,
}


def _row(shown: Shown, succeeded: Sequence[Run], titles: Mapping[str, str], now: datetime) -> Row:
    dataset, run = shown.dataset, shown.last_run
    status = _status(shown, now)
    newest = succeeded[0] if succeeded else None
    counted = _counted(shown)
    problem, hint = _problem(shown) if status == "attention" or (run and run.status == "waiting") else (None, None)
    return Row(
        id=dataset.id,
        name=dataset.name,
        report=dataset.report,
        title=titles[dataset.report],
        account=shown.account.name,
        account_id=shown.account.id,
        mode=mode(shown.account),
        status=status,
        word=_ACTIVE[run.status] if run and status == "running" else None,
        problem=problem,
        hint=hint,
        rows=counted if counted is not None else newest.counts.read if newest else None,
        adds=counted is None and dataset.method != "replace",
        course=tuple(one.counts.read for one in reversed(succeeded[:_COURSE])),
        last_run=run.id if run else None,
        last_at=(run.finished_at or run.started_at or run.created_at) if run else None,
        took=run.finished_at - run.started_at if run and run.finished_at and run.started_at else None,
        next_at=dataset.next_due_at,
        after=shown.after,
        paused=dataset.pause is not None,
        proof=worst(shown.checks),
    )


def _counted(shown: Shown) -> int | None:
    """The rows of the table after the run that left it as it is; None when they were not counted."""
    found = [check for check in shown.checks if (check.family, check.name) == ("coverage", "table")]
    rows = {check.figures.get("rows") for check in found}
    return rows.pop() if len(rows) == 1 else None


def _status(shown: Shown, now: datetime) -> str:
    dataset, run = shown.dataset, shown.last_run
    if run is not None and run.status in _ACTIVE:
        return "running"
    if dataset.pause is not None and dataset.pause.reason == _BY_HAND:
        return "paused"
    if dataset.pause is not None or shown.account.status != "ok" or (run is not None and run.status == "failed"):
        return "attention"
    if worst(shown.checks) == "FAIL" or shown.behind:
        return "attention"
    if dataset.next_due_at is not None and dataset.next_due_at < now - _GRACE:
        return "late"
    return "new" if run is None else "ok"


def _problem(shown: Shown) -> tuple[str, str | None]:
    dataset, run, account = shown.dataset, shown.last_run, shown.account
    if account.status != "ok":
        return account.problem or "The key of its account can't be read.", "Replace the key of its account."
    if dataset.pause is not None:
        return dataset.pause.reason, None
    failed = next((check for check in shown.checks if check.result == "FAIL"), None)
    if failed is not None and (run is None or run.status != "failed"):
        return f"A check failed: {failed.name}. {failed.reason}", "Its proof has the figures and the differences."
    if shown.behind and (run is None or run.status != "failed"):
        tables = ", ".join(f"{one.table} of {redacted(one.url)}" for one in shown.behind)
        return f"Not up to date: {tables}.", "The next run gives it what it lacks, or fill it from what is kept."
    error = run.error if run is not None and run.error is not None else {}
    return error.get("message") or "The last run failed.", error.get("hint")


def _has(row: Row, search: str) -> bool:
    """Whether each word is somewhere in what the row says."""
    text = f"{row.name} {row.title} {row.report} {row.account}".casefold()
    return all(word in text for word in search.casefold().split())


def _tabs(rows: Sequence[Row], accounts: Sequence[Account]) -> dict[str, Any]:
    return {
        "tabs": [
            {"label": "Datasets", "href": "/", "count": len(rows)},
            {"label": "Accounts", "href": "/accounts", "count": len(accounts)},
        ],
        "accounts": accounts,
    }


def _status_filters(request: Request, rows: Sequence[Row], chosen: str) -> list[dict[str, Any]]:
    every = [("", "All", len(rows))]
    every += [(one, LABELS[one], sum(row.status == one for row in rows)) for one in STATUSES]
    return [
        {"label": label, "count": count, "href": address(request, status=one, page=None), "current": one == chosen}
        for one, label, count in every
        if count or one in ("", chosen)
    ]


def _choices(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(set(pairs), key=lambda pair: pair[1].casefold())
