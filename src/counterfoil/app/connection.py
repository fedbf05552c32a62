"""A connection to one account, and what the catalogue holds."""

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
    """The arguments of a pull that decide what it reads and where to; see `Connection.pull`."""

    to: str
    table: str | None
    method: PullMethod
    since: Instant | None
    until: Instant | None
    limit: int | None
    options: Mapping[str, str] | None


class Connection:
    """A Stripe account, open for reading. Closes with `with`, or with `close`.

    Raises SettingsError for a key or an address that can't be right; what Stripe thinks of the key shows at the
    first read. A connection belongs to the process that opened it: it holds the key, so that it can't be pickled, and
    sockets and a thread, so that it raises RunError in a forked child.
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
            "A connection can't be pickled or copied: it holds the key. Call counterfoil.connect() where it is needed."
        )

    def close(self) -> None:
        """Ends the connections to Stripe. In a forked child it leaves them to the parent."""
        from counterfoil.http.async_bridge import run

        self._closed = True
        if self._process == os.getpid():
            run(self._client.close())

    def _check_open(self) -> None:
        if self._process != os.getpid():
            raise RunError(
                "This connection was opened by another process, and its sockets are not usable after a fork",
                hint="Call counterfoil.connect() in each process, with processes=N to share the account's rates.",
                code="connection_forked",
            )
        if self._closed:
            raise RunError(
                "This connection is closed", hint="Read within the `with`, or connect again.", code="connection_closed"
            )

    def account(self) -> AccountIdentity:
        """Whose key it is, asked once; raises what Stripe says to the key, or that it can't be reached."""
        from counterfoil.http.async_bridge import run

        self._check_open()
        return run(self._client.account())

    @property
    def requests(self) -> int:
        """Requests to Stripe so far."""
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
        """The report's rows as a stream of Arrow batches, in the order of their arrival; nothing is stored.

        Columns are the report's, then `_account`, `_run`, `_synced_at`, `_api_version`, `_deleted`, `_deleted_at`,
        `_extra`; the schema is known before the first row. `since` and `until` bound the creation, half open; with
        `limit` the newest so many come in Stripe's order. A reader can be read once: later readings raise RunError.
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
        """At most `count` windows that make up the range, oldest first, each to be read by a process of its own.

        They hold about as many rows each, as far as a few pages of the list tell. Their `since` and `until` are what
        `read` takes; the outer ones are those given, None where none was. What is little, or has no time of creation,
        is one window.
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
        """Reads the report and loads it into a table, in one transaction; see `counterfoil pull --help`.

        A replace that narrows a fuller table needs `overwrite`, or a `confirm` that answers True to its question.
        One with unchanged options that would remove more than half of a table needs `allow_shrink`; with `resume` the
        rows that the refused pull read are loaded then, without reading them again.
        `explain` is called before anything is read, with what that will probably take.
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
        """The rows that the same pull would ask about before it leaves them out; None when it would not ask."""
        from counterfoil.runs.plans.overwrite_check import overwrite_risk

        chosen, name = self._planned(report, pull)
        with self._checked(pull.get("to", DEFAULT_DESTINATION), name) as destination:
            method = pull.get("method", "replace")
            return overwrite_risk(destination, chosen, name, method, identity=self.account())

    def check(self, report: str, **pull: Unpack[PullArguments]) -> None:
        """Raises what the same pull would raise before its first request: `pull` calls it by itself."""
        _, name = self._planned(report, pull)
        with self._checked(pull.get("to", DEFAULT_DESTINATION), name):
            pass

    def _planned(self, report: str, pull: PullArguments) -> tuple[Plan, str]:
        """What a pull reads, and its table; SettingsError for arguments that can't be."""
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
        raise SettingsError(f"Invalid API key: it is of type {type(given).__name__}", hint="Give it as a string.")
    return resolve(checked_reference(given)) if is_reference(given) else given


def _shared(settings: Settings, processes: int) -> Settings:
    """The settings of one of so many processes that read an account side by side: an even part of its rates."""
    processes = whole_number(processes, "processes")
    in_flight = max(1, settings.in_flight // processes)
    return settings.model_copy(update={"rate_share": settings.rate_share / processes, "in_flight": in_flight})


def _check_method(method: str) -> None:
    known = get_args(PullMethod)
    if method not in known:
        raise SettingsError(
            f"Invalid method for a pull: {method!r}",
            hint=f"Choose {' or '.join(known)}. A dataset can also merge and partition.",
        )


def _table(key: str, chosen: str | None) -> str:
    if chosen is not None and not chosen.strip():
        raise SettingsError("--table is empty", hint=f"Name a table, or leave it out: it is {key} then.")
    return key if chosen is None else chosen


def working_folder() -> Path:
    """Where relative destinations are; SettingsError when it is gone."""
    try:
        return Path.cwd()
    except OSError as error:
        raise SettingsError(
            f"The working folder can't be used: {error.strerror}", hint="Go to a folder that is there: cd ~"
        ) from error


def destination_name(to: str) -> str:
    """How the destination is called in results, without anything secret."""
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
    """A connection to the account of the key, which is given itself, or by where it is: `env:NAME` or `file:/path`.

    `stripe_account` is a connected account of a platform; `api_base` is for a simulated Stripe; `relative_to` is the
    folder of relative destinations, the working folder unless given. Of `processes` that read the account side by side
    each says so, and takes an even part of its rates; within a process connections share them by themselves.
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
    """The keys of all reports, in the menu's order."""
    from counterfoil.reports.catalogue import REPORTS

    return tuple(report.key for report in REPORTS)


def has_created(key: str) -> bool:
    """Whether the report can be narrowed by the time of creation."""
    return _found(key).created is not None


def describe_reports() -> list[dict[str, Any]]:
    """The catalogue in the menu's order, as plain values."""
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
