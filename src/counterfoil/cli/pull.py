"""`counterfoil pull`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from counterfoil.cli.screen import ask, can_ask, fail, tell, watching
from counterfoil.errors import CounterfoilError, KeyRejected, SettingsError

if TYPE_CHECKING:
    from counterfoil.app import Connection
    from counterfoil.runs.pull import Pulled

_FLAG = Parameter(negative=(), show_default=False)


def pull(
    report: str,
    /,
    *,
    to: str = "duckdb:///counterfoil.duckdb",
    table: str | None = None,
    method: Literal["replace", "append"] = "replace",
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    option: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    overwrite: Annotated[bool, _FLAG] = False,
    resume: Annotated[bool, _FLAG] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
) -> int:
    """Read a report, or all of them, into a table.

    The key comes from STRIPE_API_KEY; STRIPE_API_BASE and STRIPE_ACCOUNT are honoured.

    Parameters
    ----------
    report
        A report's key, as `counterfoil reports` lists them, or `all`.
    to
        duckdb:///file (relative), duckdb:////file (absolute), or parquet:///folder.
    table
        The table's name; the report's key unless given.
    method
        replace: the whole table, atomically. append: one more snapshot, told apart by `_run`.
    since
        Only what was created from here on: 2026-01-31 (UTC midnight) or 2026-01-31T09:30:00Z.
    until
        Only what was created before.
    limit
        Only the newest so many.
    option
        NAME=VALUE, an option of the report; may be given several times.
    overwrite
        Replace a table that Counterfoil did not make, or one that holds more than is asked for now.
    resume
        Go on behind what the same pull had read when it failed, was stopped or killed.
    as_json
        One JSON object on stdout for each report.
    """
    if report == "all" and (table or option):
        raise SettingsError("`pull all` takes no --table and no --option", hint="Pull one report at a time.")
    from counterfoil.app import catalogue, has_created

    keys = catalogue() if report == "all" else (report,)
    options = _options(option)
    with connect_from_environment() as connection:
        failed: CounterfoilError | None = None
        # What every report would meet is told once.
        connection.account()
        for key in keys:
            # Of all reports, those without a time of creation have no newest rows: they are read whole.
            bounded = report != "all" or has_created(key)
            try:
                with watching(quiet=as_json) as observe:
                    pulled = connection.pull(
                        key,
                        to=to,
                        table=table,
                        method=method,
                        since=since if bounded else None,
                        until=until if bounded else None,
                        limit=limit if bounded else None,
                        options=options,
                        overwrite=overwrite,
                        resume=resume,
                        confirm=ask if can_ask() and not as_json else None,
                        observe=observe,
                    )
            except CounterfoilError as error:
                if report != "all" or isinstance(error, SettingsError | KeyRejected):
                    raise
                failed = failed or error
                _print_failure(key, error, as_json=as_json)
            else:
                print_pulled(pulled, as_json=as_json)
    return 1 if failed else 0


def connect_from_environment() -> Connection:
    """A connection with the key of STRIPE_API_KEY; SettingsError when there is none."""
    from counterfoil.app import connect
    from counterfoil.log import configure
    from counterfoil.settings import load_settings

    settings = load_settings()
    configure(settings.log)
    key = os.environ.get("STRIPE_API_KEY", "")
    if not key.strip():
        raise SettingsError(
            "STRIPE_API_KEY is not set",
            hint="Put a key of Stripe's there (a restricted one is best); to try without one: counterfoil demo --once",
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
            raise SettingsError(f"--option {one!r} is not NAME=VALUE", hint="For example: --option status=all")
        options[name] = value
    return options


def print_pulled(pulled: Pulled, *, as_json: bool) -> None:
    """One report's result."""
    if as_json:
        print(json.dumps(pulled.as_dict(), ensure_ascii=False), flush=True)
        return
    print(
        f"{pulled.report}: {pulled.rows:,} rows, {pulled.columns} columns into {pulled.destination} "
        f"table {pulled.table} ({pulled.requests:,} requests, {pulled.seconds:.1f} s)",
        flush=True,
    )
    for warning in pulled.warnings:
        tell(f"  {warning}")


def _print_failure(key: str, error: CounterfoilError, *, as_json: bool) -> None:
    if as_json:
        from counterfoil.runs.pull import Pulled

        print(json.dumps(Pulled.failed(key, error).as_dict(), ensure_ascii=False), flush=True)
    tell(f"{key}:")
    fail(error)
