"""A run as text: a row of a list, facts, and log lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from counterfoil.cli.output.lists import shown_time
from counterfoil.cli.terminal.screen import counted
from counterfoil.state.check import worst

if TYPE_CHECKING:
    from counterfoil.app.runs import RunDetail
    from counterfoil.state.check import StoredCheck
    from counterfoil.state.run import Attempt, Counts, Line, Run

HEAD = ("run", "dataset", "trigger", "started", "took", "rows", "requests", "status")


def cells(run: Run, dataset: str) -> tuple[str, ...]:
    """The cells of a run in a list; the header is `HEAD`."""
    reason = run.error["message"] if run.error else run.reason
    return (
        run.id,
        dataset,
        run.trigger,
        shown_time(run.started_at, timespec="seconds"),
        took(run.started_at, run.finished_at),
        f"{run.counts.read:,}",
        f"{sum(run.requests.values()):,}",
        f"{run.status}: {reason}" if reason else run.status,
    )


def facts(detail: RunDetail) -> Iterator[tuple[str, str | None]]:
    """All facts of a run, by name."""
    run, counts = detail.run, detail.run.counts
    yield "run", run.id
    yield "dataset", detail.dataset
    yield "status", "being canceled" if run.cancel_requested and run.status == "running" else run.status
    yield "reason", run.reason
    yield "trigger", run.trigger
    yield "due", shown_time(run.due_at)
    yield "created", shown_time(run.created_at, timespec="seconds")
    yield "started", shown_time(run.started_at, timespec="seconds")
    yield "ended", shown_time(run.finished_at, timespec="seconds")
    yield "took", took(run.started_at, run.finished_at)
    yield "deadline", shown_time(run.deadline_at, timespec="seconds")
    yield "next attempt", shown_time(detail.next_attempt_at, timespec="seconds")
    if "report" in run.plan:
        yield "report", f"{run.plan['report']}, {_window(run.plan['window'])}"
        yield "method", run.plan["method"]
    yield (
        "rows",
        f"{counts.read:,} read; {counts.added:,} added, {counts.changed:,} changed, {counts.deleted:,} deleted",
    )
    yield "requests", "\n".join(f"{number:,} {path}" for path, number in sorted(run.requests.items()))
    archive = "stored" if detail.kept else "deleted" if run.archive_removed_at else "none"
    yield "archive", f"{counts.bytes / 1e6:,.1f} MB, {archive}" if counts.bytes else archive
    yield "tables", "\n".join(f"{one.table} of {one.url}: {counted(one.rows, 'row')}" for one in detail.loads)
    yield "checks", "\n".join(check_words(detail.checks))
    yield "attempts", "\n".join(_attempt(one) for one in detail.attempts) if len(detail.attempts) > 1 else None
    yield "warnings", "\n".join(run.warnings)
    yield from _error(run.error)


def check_words(checks: Sequence[StoredCheck]) -> Iterator[str]:
    """The overall result of the checks, and each check that failed or is inconclusive."""
    if checks:
        yield f"{worst(checks)} (details: counterfoil prove DATASET --run {checks[0].run})"
    problems = (check for check in checks if check.result in ("FAIL", "INCONCLUSIVE"))
    yield from (f"{check.result} {check.family}: {check.name}: {check.reason}" for check in problems)


def changes(counts: Counts) -> str:
    """The numbers of added, changed and deleted rows."""
    return f"{counts.added:,} added, {counts.changed:,} changed, {counts.deleted:,} deleted"


def line_of(line: Line) -> str:
    """A line of the log of a run."""
    hint = line.fields.get("hint")
    text = f"{shown_time(line.at, timespec='seconds')}  {line.level:<7}  {line.message}"
    return f"{text}  {hint}" if hint else text


def took(started_at: datetime | None, finished_at: datetime | None) -> str:
    """`4.8 s`, `3 min 20 s`, `2 h 5 min`; empty before the end."""
    if started_at is None or finished_at is None:
        return ""
    seconds = (finished_at - started_at).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _error(error: Mapping[str, Any] | None) -> Iterator[tuple[str, str | None]]:
    if error is not None:
        yield "error", f"{error['kind']}: {error['message']}"
        yield "hint", error["hint"]
        yield "request id", error["request_id"]
        yield "path", error["path"]
        yield "code", error["code"]


def _attempt(attempt: Attempt) -> str:
    at = shown_time(attempt.started_at, timespec="seconds")
    text = f"{attempt.number}: {at}, {took(attempt.started_at, attempt.finished_at) or 'now'}, {attempt.status}"
    return f"{text}: {attempt.error['message']}" if attempt.error else text


def _window(bounds: tuple[int | None, int | None]) -> str:
    since, until = (None if bound is None else shown_time(datetime.fromtimestamp(bound, UTC)) for bound in bounds)
    if since is None and until is None:
        return "created at any time"
    return " and ".join(f"{word} {at}" for word, at in (("created from", since), ("before", until)) if at)
