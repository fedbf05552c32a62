"""The connection to one Stripe account, and the catalogue of reports."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypedDict, Unpack, get_args

from counterfoil.arguments import whole_number
from counterfoil.errors import RunError, SettingsError
from counterfoil.runs.progress import Observe, unobserved
from counterfoil.secret_references import checked_reference, is_reference, resolve
from counterfoil.settings import Settings, load_settings
from counterfoil.values import PullMethod

if TYPE_CHECKING:
    from counterfoil.destinations import Destination
    from counterfoil.reports.report import Report
    from counterfoil.runs.explain import Explain
    from counterfoil.runs.plans.overwrite_check import Confirm, OverwriteRisk
    from counterfoil.runs.plans.pull_plan import Instant, Plan
    from counterfoil.runs.pull import Pulled
    from counterfoil.runs.read import Reader
    from counterfoil.stripe.client import AccountIdentity
    from counterfoil.values import Window

__all__ = ["Connection", "catalogue", "connect", "describe_reports", "destination_name", "has_created"]

DEFAULT_DESTINATION = "duckdb:///counterfoil.duckdb"


class PullArguments(TypedDict, total=False):
    """The arguments of a pull that select its data and destination; see `Connection.pull`."""

    to: str
    table: str | None
    method: PullMethod
    since: Instant | None
    until: Instant | None
    limit: int | None
    options: Mapping[str, str] | None


class Connection:
    """A connection to a Stripe account. Use it in a `with` block, or call `close`.

    Raises SettingsError for an invalid key or URL; Stripe checks the key at the first request. A connection belongs to
    the process that opened it: it cannot be pickled, because it holds the key, and it raises RunError in a forked
    child, because sockets and threads do not survive a fork.
    """

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str | None = None,
        stripe_account: str | None = None,
        settings: Settings | None = None,
        relative_to: Path | None = None,
        processes: int = 1,
    ) -> None:
        from counterfoil.stripe.address import STRIPE
        from counterfoil.stripe.client import Client

        self._settings = _shared(settings or load_settings(), processes)
        self._relative_to = relative_to or working_folder()
        self._client = Client(
            _key(api_key), api_base=api_base or STRIPE, stripe_account=stripe_account, settings=self._settings
        )
        self._process = os.getpid()
        self._closed = False

    def __repr__(self) -> str:
        return f"Connection({self._client!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "cannot pickle or copy a connection, because it holds the key; call counterfoil.connect() where it is used"
        )

    def close(self) -> None:
        """Closes the sockets to Stripe; in a forked child, leaves them to the parent."""
        from counterfoil.http.async_bridge import run

        self._closed = True
        if self._process == os.getpid():
            run(self._client.close())

    def _check_open(self) -> None:
        if self._process != os.getpid():
            raise RunError(
                "the connection was opened by another process and cannot be used after a fork",
                hint="Call counterfoil.connect() in each process, with processes=N to share the rate limits.",
                code="connection_forked",
            )
        if self._closed:
            raise RunError(
                "the connection is closed",
                hint="Use it within the `with` block, or connect again.",
                code="connection_closed",
            )

    def account(self) -> AccountIdentity:
        """The account of the key, requested once; raises KeyRejected or another error from Stripe."""
        from counterfoil.http.async_bridge import run

        self._check_open()
        return run(self._client.account())

    @property
    def requests(self) -> int:
        """The number of API requests so far."""
        return sum(self._client.requests.values())

    def read(
        self,
        report: str,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Reader:
        """Streams the report's rows as Arrow batches, in order of arrival; stores nothing.

        The columns are those of the report, then `_account`, `_run`, `_synced_at`, `_api_version`, `_deleted`,
        `_deleted_at`, `_extra`; the schema is known before the first row. `since` and `until` are a half-open range of
        the time of creation; `limit` reads the N newest rows in Stripe's order. A reader can be read once; reading it
        again raises RunError.
        """
        from counterfoil.runs.plans.pull_plan import plan
        from counterfoil.runs.read import read

        self._check_open()
        chosen = plan(_found(report), since=since, until=until, limit=limit, options=options)
        return read(self._client, chosen, settings=self._settings, check=self._check_open)

    def windows(
        self,
        report: str,
        count: int,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        options: Mapping[str, str] | None = None,
    ) -> tuple[Window, ...]:
        """Divides the range into at most `count` windows, oldest first, to be read by parallel processes.

        The windows have about the same number of rows, estimated from a few pages. Pass their `since` and `until` to
        `read`; the outer bounds are the given ones, or None. A small report, or one without a time of creation, is one
        window.
        """
        from counterfoil.extract.estimates.balanced_windows import even_windows
        from counterfoil.http.async_bridge import run
        from counterfoil.runs.plans.pull_plan import plan

        self._check_open()
        count = whole_number(count, "count")
        chosen = plan(_found(report), since=since, until=until, options=options)
        return run(
            even_windows(
                self._client, chosen.report, chosen.window, count, params=chosen.params, settings=self._settings
            )
        )

    def pull(
        self,
        report: str,
        *,
        to: str = DEFAULT_DESTINATION,
        table: str | None = None,
        method: PullMethod = "replace",
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        options: Mapping[str, str] | None = None,
        overwrite: bool = False,
        resume: bool = False,
        allow_shrink: bool = False,
        confirm: Confirm | None = None,
        observe: Observe = unobserved,
        explain: Explain | None = None,
    ) -> Pulled:
        """Reads the report and loads it into a table in one transaction; see `counterfoil pull --help`.

        A replace with a narrower selection than the rows in the table needs `overwrite`, or a `confirm` that answers
        True. A replace with unchanged options that would delete more than half of the table needs `allow_shrink`; with
        `resume`, it loads the rows that the rejected pull has read. `explain` is called with the estimated cost before
        the pull.
        """
        from counterfoil.runs.plans.pull_plan import plan
        from counterfoil.runs.pull import pull

        self._check_open()
        _check_method(method)
        chosen = plan(_found(report), since=since, until=until, limit=limit, options=options)
        name = _table(chosen.report.key, table)
        with self._checked(to, name) as destination:
            return pull(
                self._client,
                destination,
                chosen,
                table=name,
                method=method,
                settings=self._settings,
                overwrite=overwrite,
                resume=resume,
                allow_shrink=allow_shrink,
                confirm=confirm,
                observe=observe,
                explain=explain,
            )

    def at_stake(self, report: str, **pull: Unpack[PullArguments]) -> OverwriteRisk | None:
        """The rows that the same pull would ask to replace; None if it would not ask."""
        from counterfoil.runs.plans.overwrite_check import overwrite_risk

        chosen, name = self._planned(report, pull)
        with self._checked(pull.get("to", DEFAULT_DESTINATION), name) as destination:
            method = pull.get("method", "replace")
            return overwrite_risk(destination, chosen, name, method, identity=self.account())

    def check(self, report: str, **pull: Unpack[PullArguments]) -> None:
        """Raises the errors that the same pull raises before its first request; `pull` does the same checks."""
        _, name = self._planned(report, pull)
        with self._checked(pull.get("to", DEFAULT_DESTINATION), name):
            pass

    def _planned(self, report: str, pull: PullArguments) -> tuple[Plan, str]:
        """The plan of a pull and its table; SettingsError for invalid arguments."""
        from counterfoil.runs.plans.pull_plan import plan

        self._check_open()
        _check_method(pull.get("method", "replace"))
        chosen = plan(
            _found(report),
            since=pull.get("since"),
            until=pull.get("until"),
            limit=pull.get("limit"),
            options=pull.get("options"),
        )
        return chosen, _table(chosen.report.key, pull.get("table"))

    @contextmanager
    def _checked(self, to: str, table: str) -> Iterator[Destination]:
        from counterfoil.archive import check_place
        from counterfoil.destinations import check_destination, open_destination

        settings, place = self._settings, self._relative_to
        destination = open_destination(to, relative_to=place, settings=settings)
        try:
            check_destination(destination, to, table, relative_to=place, settings=settings)
            check_place(settings.archive, settings.free_megabytes)
            yield destination
        finally:
            destination.close()


def _found(key: str) -> Report:
    from counterfoil.reports.catalogue import report

    return report(key)


def _key(given: str) -> str:
    if not isinstance(given, str):
        raise SettingsError(f"invalid API key: type {type(given).__name__}", hint="Pass the key as a string.")
    return resolve(checked_reference(given)) if is_reference(given) else given


def _shared(settings: Settings, processes: int) -> Settings:
    """The settings for one of `processes` parallel processes: an equal share of the account's rate limits."""
    processes = whole_number(processes, "processes")
    in_flight = max(1, settings.in_flight // processes)
    return settings.model_copy(update={"rate_share": settings.rate_share / processes, "in_flight": in_flight})


def _check_method(method: str) -> None:
    known = get_args(PullMethod)
    if method not in known:
        raise SettingsError(
            f"invalid method for a pull: {method!r}",
            hint=f"Use {' or '.join(known)}; datasets also support merge and partition.",
        )


def _table(key: str, chosen: str | None) -> str:
    if chosen is not None and not chosen.strip():
        raise SettingsError("--table is empty", hint=f"Pass a table name, or omit --table to use {key}.")
    return key if chosen is None else chosen


def working_folder() -> Path:
    """The current folder, against which relative destinations are resolved; SettingsError if it does not exist."""
    try:
        return Path.cwd()
    except OSError as error:
        raise SettingsError(
            f"cannot use the current folder: {error.strerror}", hint="Change to an existing folder: cd ~"
        ) from error


def destination_name(to: str) -> str:
    """The name of the destination in results, without secrets."""
    from counterfoil.destinations import open_destination

    destination = open_destination(to, relative_to=working_folder(), settings=load_settings())
    try:
        return destination.name
    finally:
        destination.close()


def connect(
    api_key: str,
    *,
    api_base: str | None = None,
    stripe_account: str | None = None,
    settings: Settings | None = None,
    relative_to: Path | None = None,
    processes: int = 1,
) -> Connection:
    """Opens a connection with an API key or a reference to a key: `env:NAME` or `file:/path`.

    `stripe_account` is a connected account of a platform; `api_base` is the URL of a simulated Stripe; `relative_to` is
    the folder of relative destinations, by default the current folder. If several processes read the account in
    parallel, pass their number as `processes`: each uses an equal share of the rate limits. Connections within a
    process share the limits automatically.
    """
    return Connection(
        api_key,
        api_base=api_base,
        stripe_account=stripe_account,
        settings=settings,
        relative_to=relative_to,
        processes=processes,
    )


def catalogue() -> tuple[str, ...]:
    """The keys of all reports, in the order of the menu."""
    from counterfoil.reports.catalogue import REPORTS

    return tuple(report.key for report in REPORTS)


def has_created(key: str) -> bool:
    """Whether the report can be filtered by time of creation."""
    return _found(key).created is not None


def describe_reports() -> list[dict[str, Any]]:
    """The catalogue in the order of the menu, as dictionaries for JSON."""
    from counterfoil.columns.schema import SQL_TYPES
    from counterfoil.columns.system import SYSTEM_COLUMNS
    from counterfoil.reports.catalogue import REPORTS

    return [
        {
            "key": report.key,
            "title": report.title,
            "description": report.description,
            "primary_key": list(report.primary_key),
            "created": report.created,
            "pull_methods": list(get_args(PullMethod)),
            "dataset_methods": list(report.methods),
            "dataset_default_method": report.default_method,
            "permissions": list(report.permissions),
            "options": [
                {"name": o.name, "choices": list(o.choices), "default": o.default, "description": o.description}
                for o in report.options
            ],
            "notes": list(report.notes),
            "columns": [
                {"name": column.name, "type": SQL_TYPES[column.type], "description": column.description}
                for column in (*report.columns, *SYSTEM_COLUMNS)
            ],
        }
        for report in REPORTS
    ]
