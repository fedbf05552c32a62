"""The Data Center: all datasets and accounts; datasets that need attention come first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from counterfoil.app.accounts import mode
from counterfoil.app.app import App
from counterfoil.app.connection import catalogue, describe_reports
from counterfoil.app.datasets.status import LABELS, Cause, Rollback, StatusCode
from counterfoil.app.values import Account, DatasetSummary, Run
from counterfoil.web.rendering import address, render

PAGE_SIZE = 50
#: The statuses of a dataset, worst first: the order of the list and of its filters.
STATUSES: tuple[StatusCode, ...] = tuple(LABELS)

_ACTIVE = {"queued": "Queued", "running": "Running", "waiting": "Retrying"}
#: The number of runs in a sparkline, and of runs searched for them.
_COURSE, _LOOKED_AT = 14, 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A dataset in the list."""

    id: str
    name: str
    #: Key and title.
    report: str
    title: str
    account: str
    account_id: str
    #: `live`, `test` or None.
    mode: str | None
    status: StatusCode
    #: The label of an active run; None for the label of the status.
    word: str | None
    #: The reason why it needs attention.
    cause: Cause | None
    rollback: Rollback | None
    #: The error and the next step, if any.
    problem: str | None
    hint: str | None
    #: Rows of the table as counted by its checks, else rows of the last successful run; `adds`: added to earlier rows.
    rows: int | None
    adds: bool
    #: Rows of the last successful runs, oldest first.
    course: tuple[int, ...]
    last_run: str | None
    last_at: datetime | None
    took: timedelta | None
    next_at: datetime | None
    #: The name of the dataset after which it runs.
    after: str | None
    paused: bool


def home_rows(app: App) -> list[Row]:
    """All datasets, by name."""
    titles = {report["key"]: report["title"] for report in describe_reports()}
    succeeded: defaultdict[str, list[Run]] = defaultdict(list)
    for run in app.runs.list(status="succeeded", limit=_LOOKED_AT):
        succeeded[run.dataset].append(run)
    return [_row(shown, succeeded[shown.dataset.id], titles) for shown in app.datasets.list()]


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
        rows = home_rows(app)
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
        rows = home_rows(app)
        users: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            users[row.account_id].append(row)
        found = app.accounts.list()
        listed = [{"account": one, "mode": mode(one), "users": users[one.id]} for one in found]
        return render(request, "accounts.html", now=now, **_tabs(rows, found), listed=listed, reports=len(catalogue()))

    return router


def sorted_rows(rows: Iterable[Row], sort: str) -> list[Row]:
    """Sorts by a column, descending with the prefix `-`; unknown columns sort by status. Ties are sorted by name.

    Rows without a value come last in both directions.
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


def _row(shown: DatasetSummary, succeeded: Sequence[Run], titles: Mapping[str, str]) -> Row:
    dataset, run, status = shown.dataset, shown.last_run, shown.status
    newest = succeeded[0] if succeeded else None
    counted = _counted(shown)
    return Row(
        id=dataset.id,
        name=dataset.name,
        report=dataset.report,
        title=titles[dataset.report],
        account=shown.account.name,
        account_id=shown.account.id,
        mode=mode(shown.account),
        status=status.code,
        word=_ACTIVE[run.status] if run and status.code == "running" else None,
        cause=status.cause,
        rollback=shown.rollback,
        problem=None if status.code == "paused" else status.message,
        hint=status.hint,
        rows=counted if counted is not None else newest.counts.read if newest else None,
        adds=counted is None and dataset.method != "replace",
        course=tuple(one.counts.read for one in reversed(succeeded[:_COURSE])),
        last_run=run.id if run else None,
        last_at=(run.finished_at or run.started_at or run.created_at) if run else None,
        took=run.finished_at - run.started_at if run and run.finished_at and run.started_at else None,
        next_at=dataset.next_due_at,
        after=shown.after,
        paused=dataset.pause is not None,
    )


def _counted(shown: DatasetSummary) -> int | None:
    """The rows of the table as counted by the latest checks; None if they were not counted."""
    found = [check for check in shown.checks if (check.family, check.name) == ("coverage", "table")]
    rows = {check.figures.get("rows") for check in found}
    return rows.pop() if len(rows) == 1 else None


def _has(row: Row, search: str) -> bool:
    """Whether the row contains each word of the search."""
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
