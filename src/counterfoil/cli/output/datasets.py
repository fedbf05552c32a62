"""Datasets, their forecasts and previews, as text."""

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

#: For a preview: the maximum width of a cell, and the total width without a terminal.
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
    """All facts of a dataset except the forecast."""
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
        ("selection", "\n".join(_choice(dataset.choice)) or "everything"),
        ("method", dataset.method),
        ("period", dataset.partition and f"last {counted(dataset.partition.last, dataset.partition.unit)}"),
        ("merge", dataset.merge and "\n".join(_merging(dataset.merge))),
        ("table", "\n".join(places)),
        ("behind", "\n".join(f"{one.table} of {redacted(one.url)}" for one in shown.behind)),
        ("schedule", _schedule(shown)),
        ("retry", _retry(dataset.retry)),
        *labeled_options(dataset),
        ("last run", _run(shown.last_run, zone)),
        ("checks", "\n".join(check_words(shown.checks)) or "none yet"),
        ("check schedule", _proof(dataset.proof)),
        ("failures", dataset.failures and f"{counted(dataset.failures, 'run')} in a row"),
        ("paused", pause and f"since {shown_time(pause.at, zone)}: {pause.reason}\n{pause.action}"),
    ]


def forecast_facts(dataset: Dataset, outlook: UsageForecast) -> Facts:
    """The next five runs and the API requests per month."""
    times = [shown_time(at, dataset.schedule.zone) for at in outlook.next_times]
    return [("next runs", "\n".join(times) or _no_times(dataset)), ("requests", _requests(outlook))]


def print_preview(preview: Preview, *, as_json: bool) -> None:
    """Prints a JSON object per row, or a table of the non-empty columns that fit."""
    for warning in preview.warnings:
        tell(warning)
    from counterfoil.app.export.amounts import currencies_of, row_with_text

    currencies = currencies_of(preview.report)
    rows = [row_with_text(row, currencies) for row in preview.rows]
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
        f"{preview.report}: first {counted(len(rows), 'row')}, {shown} of {counted(len(preview.columns), 'column')}"
        f" ({counted(preview.requests, 'request')}). Pass --json to see all columns."
    )


def _account(shown: DatasetSummary) -> str:
    from counterfoil.app.accounts import mode

    return f"{shown.account.name} ({mode(shown.account) or 'not tested'})"


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
    """The status, its cause, and the version of a table that was rolled back."""
    status, rollback, zone = shown.status, shown.rollback, shown.dataset.schedule.zone
    details = [status.message] if status.message else []
    if rollback is not None:
        details.append(f"version of {shown_time(rollback.version_at, zone)}; {_next_update(shown.dataset)}")
    return f"{status.label}: {'; '.join(details)}" if details else status.label


def _next_update(dataset: Dataset) -> str:
    due = shown_time(dataset.next_due_at, dataset.schedule.zone)
    return f"next update {due}" if due else "no update scheduled"


def _proof(proof: Proof) -> str:
    from counterfoil.schedules import describe

    if proof.after == "none":
        return "none"
    deep = f"; deep checks {describe(proof.deep)}" if proof.deep else ""
    return f"after each run{deep}{'; a FAIL before the load prevents the load' if proof.hold else ''}"


def _choice(choice: Choice) -> Iterator[str]:
    if choice.since is not None:
        yield f"created since {_day(choice.since)}"
    if choice.until is not None:
        yield f"created before {_day(choice.until)}"
    if choice.last_days is not None:
        yield f"created in the last {counted(choice.last_days, 'day')}"
    yield from (f"{name} {value}" for name, value in choice.options.items())
    lists = (("metadata keys", choice.promoted), ("without", choice.left_out), ("hashed", choice.hashed))
    yield from (f"{label} {', '.join(names)}" for label, names in lists if names)


def _merging(merge: Merge) -> Iterator[str]:
    yield "keep and mark deleted rows" if merge.deleted == "keep" else "drop deleted rows"
    if merge.history:
        yield "store every version in <table>__history"
    yield f"full refresh within {counted(merge.reread_days, 'day')}"


def _day(seconds: int) -> str:
    return shown_time(datetime.fromtimestamp(seconds, UTC), timespec="seconds").removesuffix(" 00:00:00Z")


def _retry(retry: Retry) -> str:
    if not retry.on:
        return "no"
    scope = "scheduled and manual" if retry.manual else "scheduled"
    return f"up to {counted(retry.attempts, 'attempt')}, {retry.every_minutes} minutes apart ({scope} runs)"


def _no_times(dataset: Dataset) -> str:
    if dataset.pause is not None:
        return "none (paused)"
    return "none (runs after another dataset)" if dataset.after else "none (manual)"


def _requests(outlook: UsageForecast) -> str | None:
    if not outlook.runs:
        return None
    runs = f"{counted(outlook.runs, 'run')} in 30 days"
    if outlook.reads is None or outlook.share is None:
        return f"{runs}; requests are known after the first run"
    each = f"{runs}, {outlook.reads_each:,} each"
    if outlook.changes_each is not None:
        full = min(outlook.runs, outlook.full_runs)
        each = f"{runs}, {full} full: {outlook.reads_each:,} per full run, {outlook.changes_each:,} per incremental run"
    return f"about {outlook.reads:,} a month ({each}), {outlook.share:.1%} of Stripe's minimum allowance of 10,000"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return shown_time(value, timespec="seconds")
    value = str(value) if isinstance(value, Decimal) else value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def _fitting(names: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    """The number of columns that fit, at least one."""
    width = shutil.get_terminal_size((_WIDTH, 24)).columns
    taken = 0
    for number, column in enumerate(zip(names, *cells, strict=True)):
        taken += max(map(len, column)) + 2
        if taken > width and number:
            return number
    return len(names)
