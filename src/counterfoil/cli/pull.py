"""`counterfoil pull`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from counterfoil.cli.output.explain import outcome_lines, plan_lines
from counterfoil.cli.terminal.screen import Screen, ask, can_ask, counted, fail, say, tell, watching
from counterfoil.errors import CounterfoilError, KeyRejected, SettingsError

if TYPE_CHECKING:
    from counterfoil.app.connection import Connection
    from counterfoil.runs.explain import Explain
    from counterfoil.runs.plans.overwrite_check import Confirm
    from counterfoil.runs.pull import Pulled

_FLAG = Parameter(negative=(), show_default=False)


def pull(
    report: str,
    /,
    *,
    to: str = "duckdb:///counterfoil.duckdb",
    table: str | None = None,
    method: str = "replace",
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    option: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    overwrite: Annotated[bool, _FLAG] = False,
    resume: Annotated[bool, _FLAG] = False,
    allow_shrink: Annotated[bool, _FLAG] = False,
    explain: Annotated[bool, _FLAG] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
) -> int:
    """Load a report, or all reports, into a table.

    Reads the API key from STRIPE_API_KEY, and STRIPE_API_BASE and STRIPE_ACCOUNT if set.

    Parameters
    ----------
    report
        A report's key, as listed by `counterfoil reports`, or `all`.
    to
        Destination URL: duckdb:///file (relative), duckdb:////file (absolute), parquet:///folder or
        postgresql://user@host/database. See: counterfoil docs destinations
    table
        Table name; defaults to the report's key.
    method
        `replace`: replace the table atomically. `append`: add a snapshot, identified by `_run`.
    since
        Only objects created at or after this time: 2026-01-31 (UTC midnight) or 2026-01-31T09:30:00Z.
    until
        Only objects created before this time.
    limit
        Only the N newest rows.
    option
        Report option as NAME=VALUE; repeatable.
    overwrite
        Replace a table that Counterfoil did not create, or that contains more rows than this pull selects.
    resume
        Resume an interrupted pull with the same options.
    allow_shrink
        Load even if that deletes more than half of the table.
    explain
        Print the plan and the estimated cost before the pull, and the actual cost after it.
    as_json
        Print one JSON object per report.
    """
    bounds = {"since": since, "until": until, "limit": limit}
    asked = _Asked(report, to, table, method, bounds, option, overwrite, resume, allow_shrink, explain, as_json)
    waiting, spent = [report], 0
    try:
        waiting = asked.keys()
        with connect_from_environment() as connection:
            try:
                # Errors that affect every report are raised once.
                connection.check(waiting[0], **asked.of(waiting[0]))
                connection.account()
            except CounterfoilError:
                spent = connection.requests
                raise
            return _pull(connection, asked, waiting)
    except CounterfoilError as error:
        if as_json:
            for number, key in enumerate(waiting):
                _say_failure(asked, key, error, requests=0 if number else spent)
        raise


@dataclass(frozen=True, slots=True)
class _Asked:
    """The arguments of the command."""

    report: str
    to: str
    table: str | None
    method: str
    bounds: Mapping[str, Any]
    option: Sequence[str]
    overwrite: bool
    resume: bool
    allow_shrink: bool
    explain: bool
    as_json: bool

    @property
    def all(self) -> bool:
        return self.report == "all"

    def keys(self) -> list[str]:
        """The keys of the requested reports."""
        if not self.all:
            return [self.report]
        from counterfoil.app.connection import catalogue

        if self.table is not None or self.option:
            raise SettingsError("`pull all` does not support --table or --option", hint="Pull one report at a time.")
        return list(catalogue())

    def read_whole(self, key: str) -> bool:
        """Whether `pull all` ignores its bounds for this report, because it has no creation time."""
        from counterfoil.app.connection import has_created

        return self.all and any(self.bounds.values()) and not has_created(key)

    def of(self, key: str) -> dict[str, Any]:
        """The arguments for the connection."""
        bounds = {} if self.read_whole(key) else self.bounds
        return {"to": self.to, "table": self.table, "method": self.method, "options": _options(self.option), **bounds}


def _explain(asked: _Asked, screen: Screen) -> Explain | None:
    if not asked.explain:
        return None
    return lambda explanation: None if asked.as_json else screen.tell(plan_lines(explanation))


class _Answer:
    """Answers whether rows may be replaced, and records a refusal."""

    def __init__(self, answer: Confirm) -> None:
        self._answer = answer
        self.declined = False

    def __call__(self, question: str) -> bool:
        self.declined = not self._answer(question)
        return not self.declined


def _pull(connection: Connection, asked: _Asked, waiting: list[str]) -> int:
    """Pulls the waiting reports one by one, and removes each from the list when it starts."""
    agreed = _agreed(connection, asked, waiting)
    code = 0
    while waiting:
        key = waiting.pop(0)
        started, before = time.monotonic(), connection.requests
        with watching(quiet=asked.as_json) as screen:
            answer = _answer(asked, screen, agreed)
            try:
                pulled = connection.pull(
                    key,
                    **asked.of(key),
                    overwrite=asked.overwrite,
                    resume=asked.resume,
                    allow_shrink=asked.allow_shrink,
                    confirm=answer,
                    observe=screen.observe,
                    explain=_explain(asked, screen),
                )
            except CounterfoilError as caught:
                error: CounterfoilError | None = caught
            else:
                error = None
        if error is None:
            _say_pulled(asked, pulled)
        elif answer is not None and answer.declined:
            tell(f"{key}: skipped. The table is unchanged." if asked.all else "Aborted. The table is unchanged.")
            code = 1
        else:
            if asked.as_json:
                spent = {"requests": connection.requests - before, "seconds": round(time.monotonic() - started, 3)}
                _say_failure(asked, key, error, **spent)
            if not asked.all or isinstance(error, SettingsError | KeyRejected):
                raise error
            tell(f"{key}:")
            fail(error)
            code = 1
    return code


def _answer(asked: _Asked, screen: Screen, agreed: bool | None) -> _Answer | None:
    if agreed is not None:
        return _Answer(lambda _: agreed)
    return _Answer(screen.ask) if can_ask() and not asked.as_json else None


def _agreed(connection: Connection, asked: _Asked, keys: Sequence[str]) -> bool | None:
    """The answer to one question about all tables that would lose rows; None if there is no question."""
    if not asked.all or asked.overwrite or asked.as_json or not can_ask():
        return None
    held = []
    for key in keys:
        try:
            found = connection.at_stake(key, **asked.of(key))
        except CounterfoilError:
            continue  # the pull reports the same error
        if found is not None:
            held.append(f"{found.table} ({found.description})")
    return ask(f"This pull would replace existing rows: {', '.join(held)}. Continue?") if held else None


def connect_from_environment() -> Connection:
    """A connection with the key from STRIPE_API_KEY; SettingsError if it is not set."""
    from counterfoil.app.connection import connect
    from counterfoil.logging import configure_command
    from counterfoil.settings import load_settings

    settings = load_settings()
    configure_command(settings.log)
    key = os.environ.get("STRIPE_API_KEY", "")
    if not key.strip():
        raise SettingsError(
            "STRIPE_API_KEY is not set",
            hint="Set it to a Stripe API key, preferably a restricted key, or run: counterfoil demo --once",
        )
    return connect(
        key,
        api_base=os.environ.get("STRIPE_API_BASE") or None,
        stripe_account=os.environ.get("STRIPE_ACCOUNT") or None,
        settings=settings,
    )


def _options(given: Sequence[str]) -> dict[str, str]:
    options = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name or not value:
            raise SettingsError(f"invalid --option: {one!r}", hint="Use NAME=VALUE, such as status=all.")
        options[name] = value
    return options


def _say_pulled(asked: _Asked, pulled: Pulled) -> None:
    if asked.read_whole(pulled.report):
        notice = "has no creation time; bounds ignored, all rows loaded"
        pulled = replace(pulled, warnings=(notice, *pulled.warnings))
    if asked.as_json:
        say(json.dumps(pulled.as_dict(), ensure_ascii=False))
        return
    say(
        f"{pulled.report}: {counted(pulled.rows, 'row')}, {counted(pulled.columns, 'column')} into "
        f"{pulled.destination} table {pulled.table} ({counted(pulled.requests, 'request')}, {pulled.seconds:.1f} s)"
    )
    for warning in pulled.warnings:
        tell(f"{pulled.report}: {warning}")
    for line in outcome_lines(pulled.explained) if pulled.explained else ():
        tell(line)


def _say_failure(asked: _Asked, key: str, error: CounterfoilError, **spent: Any) -> None:
    """Prints the JSON object of a failed report."""
    from counterfoil.app.connection import destination_name
    from counterfoil.runs.pull import Pulled

    try:
        destination = destination_name(asked.to)
    except SettingsError:
        destination = ""
    table = key if asked.table is None else asked.table
    failed = Pulled.failed(error, report=key, table=table, destination=destination, **spent)
    say(json.dumps(failed.as_dict(), ensure_ascii=False))
