"""Datasets, what they will do, and their first rows, as lines for a person."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from counterfoil.cli.output.lists import print_json, print_list, shown_time
from counterfoil.cli.output.runs import check_words
from counterfoil.cli.terminal.screen import counted, tell
from counterfoil.logging import redacted

if TYPE_CHECKING:
    from counterfoil.app.datasets.service import DatasetSummary
    from counterfoil.app.datasets.usage_forecast import UsageForecast
    from counterfoil.runs.preview import Preview
    from counterfoil.state.dataset import Choice, Dataset, Merge, Proof, Retry
    from counterfoil.state.run import Run

LIST = ("name", "report", "account", "table", "schedule", "next run", "last run", "status")

Facts = list[tuple[str, Any]]

#: Of a preview: the widest cell, and the width where there is no terminal.
_CELL = 24
_WIDTH = 120


def list_line(shown: DatasetSummary) -> tuple[str, ...]:
    """The cells of a dataset in the list."""
    dataset = shown.dataset
    return (
        dataset.name,
        dataset.report,
        _account(shown),
        ", ".join(target.table for target in dataset.targets),
        _schedule(shown),
        shown_time(dataset.next_due_at, dataset.schedule.zone),
        _run(shown.last_run, dataset.schedule.zone),
        _status(shown),
    )


def summary_facts(shown: DatasetSummary, places: Sequence[str]) -> Facts:
    """Everything but the outlook."""
    from counterfoil.app.datasets.input import labeled_options

    dataset = shown.dataset
    zone = dataset.schedule.zone
    pause = dataset.pause
    return [
        ("name", f"{dataset.name} ({dataset.id})"),
        ("status", _status(shown)),
        ("description", dataset.description),
        ("account", _account(shown)),
        ("report", dataset.report),
        ("choice", "\n".join(_choice(dataset.choice)) or "everything"),
        ("method", dataset.method),
        ("period", dataset.partition and f"the last {counted(dataset.partition.last, dataset.partition.unit)}"),
        ("merging", dataset.merge and "\n".join(_merging(dataset.merge))),
        ("table", "\n".join(places)),
        ("behind", "\n".join(f"{one.table} of {redacted(one.url)}" for one in shown.behind)),
        ("schedule", _schedule(shown)),
        ("retry", _retry(dataset.retry)),
        *labeled_options(dataset),
        ("last run", _run(shown.last_run, zone)),
        ("checks", "\n".join(check_words(shown.checks)) or "none yet"),
        ("proof", _proof(dataset.proof)),
        ("failed", dataset.failures and f"{counted(dataset.failures, 'run')} in a row"),
        ("paused", pause and f"since {shown_time(pause.at, zone)}: {pause.reason}\n{pause.action}"),
    ]


def forecast_facts(dataset: Dataset, outlook: UsageForecast) -> Facts:
    """The next five times, and what a month takes."""
    times = [shown_time(at, dataset.schedule.zone) for at in outlook.next_times]
    return [("next times", "\n".join(times) or _silent(dataset)), ("requests", _requests(outlook))]


def print_preview(preview: Preview, *, as_json: bool) -> None:
    """A JSON object for each row, or the columns that have values, as many as there is room for."""
    for warning in preview.warnings:
        tell(warning)
    rows = preview.rows
    if as_json:
        from counterfoil.app.export.files import json_row

        for row in rows:
            print_json(json_row(row))
        return
    names = [name for name, _ in preview.columns if any(row[name] not in (None, [], {}) for row in rows)]
    names = [name for name in names if name != "_deleted"]
    cells = [[_cell(row[name]) for name in names] for row in rows]
    shown = _fitting(names, cells)
    if shown:
        print_list(names[:shown], [row[:shown] for row in cells])
    tell(
        f"{preview.report}: the first {counted(len(rows), 'row')}, {shown} of {counted(len(preview.columns), 'column')}"
        f" ({counted(preview.requests, 'request')}); --json shows all of them"
    )


def _account(shown: DatasetSummary) -> str:
    from counterfoil.app.accounts import mode

    return f"{shown.account.name} ({mode(shown.account) or 'not tried'})"


def _schedule(shown: DatasetSummary) -> str:
    from counterfoil.schedules import Manual, describe

    own = describe(shown.dataset.schedule)
    if shown.after is None:
        return own
    after = f"after {shown.after}"
    return after if isinstance(shown.dataset.schedule, Manual) else f"{own}, and {after}"


def _run(run: Run | None, zone: str) -> str:
    if run is None:
        return "never"
    return f"{shown_time(run.finished_at or run.started_at or run.created_at, zone)} {run.status}"


def _status(shown: DatasetSummary) -> str:
    """The status, why it is so, and the version of a table that was rolled back."""
    status, rollback, zone = shown.status, shown.rollback, shown.dataset.schedule.zone
    told = [status.message] if status.message else []
    if rollback is not None:
        told.append(f"holds the version of {shown_time(rollback.version_at, zone)}; {_next_update(shown.dataset)}")
    return f"{status.label}: {'; '.join(told)}" if told else status.label


def _next_update(dataset: Dataset) -> str:
    due = shown_time(dataset.next_due_at, dataset.schedule.zone)
    return f"next update {due}" if due else "no update is scheduled"


def _proof(proof: Proof) -> str:
    from counterfoil.schedules import describe

    if proof.after == "none":
        return "no checks"
    deep = f"; the deeper ones {describe(proof.deep)}" if proof.deep else ""
    return f"after each run{deep}{'; a FAIL before the load keeps the rows from being loaded' if proof.hold else ''}"


def _choice(choice: Choice) -> Iterator[str]:
    if choice.since is not None:
        yield f"created since {_day(choice.since)}"
    if choice.until is not None:
        yield f"created before {_day(choice.until)}"
    if choice.last_days is not None:
        yield f"created in the last {counted(choice.last_days, 'day')}"
    yield from (f"{name} {value}" for name, value in choice.options.items())
    lists = (("with the metadata keys", choice.promoted), ("without", choice.left_out), ("hashed", choice.hashed))
    yield from (f"{said} {', '.join(words)}" for said, words in lists if words)


def _merging(merge: Merge) -> Iterator[str]:
    yield "deleted rows are kept, marked" if merge.deleted == "keep" else "deleted rows are dropped"
    if merge.history:
        yield "every version is kept in <table>__history"
    yield f"all is read again within {counted(merge.reread_days, 'day')}"


def _day(seconds: int) -> str:
    return shown_time(datetime.fromtimestamp(seconds, UTC), timespec="seconds").removesuffix(" 00:00:00Z")


def _retry(retry: Retry) -> str:
    if not retry.on:
        return "no"
    which = "scheduled and manual" if retry.manual else "scheduled"
    return f"at most {counted(retry.attempts, 'attempt')}, {retry.every_minutes} minutes apart ({which} runs)"


def _silent(dataset: Dataset) -> str:
    if dataset.pause is not None:
        return "none while it is paused"
    return "none of its own" if dataset.after else "none: it runs when you say so"


def _requests(outlook: UsageForecast) -> str | None:
    if not outlook.runs:
        return None
    runs = f"{counted(outlook.runs, 'run')} in 30 days"
    if outlook.reads is None or outlook.share is None:
        return f"{runs}; how many requests that takes is known after the first"
    each = f"{runs} of {outlook.reads_each:,}"
    if outlook.changes_each is not None:
        full = min(outlook.runs, outlook.full_runs)
        each = f"{runs} of {outlook.changes_each:,}, but {full} of {outlook.reads_each:,}"
    return (
        f"about {outlook.reads:,} reads a month ({each}), "
        f"{outlook.share:.1%} of the 10,000 that every account has at least"
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return shown_time(value, timespec="seconds")
    value = str(value) if isinstance(value, Decimal) else value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def _fitting(names: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    """How many columns there is room for; one at least."""
    width = shutil.get_terminal_size((_WIDTH, 24)).columns
    taken = 0
    for number, column in enumerate(zip(names, *cells, strict=True)):
        taken += max(map(len, column)) + 2
        if taken > width and number:
            return number
    return len(names)
