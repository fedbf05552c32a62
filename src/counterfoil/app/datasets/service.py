"""Operations on datasets. Validates a dataset and its destinations before storing it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from counterfoil.app.datasets.delete_archives import delete_archives
from counterfoil.app.datasets.status import DatasetStatus, Rollback, rollback_of, status_of
from counterfoil.app.datasets.usage_forecast import AccountForecast, UsageForecast, account_forecast, usage_forecast
from counterfoil.columns.chosen import choose
from counterfoil.columns.redact import redaction
from counterfoil.destinations import Destination, check_destination, open_destination
from counterfoil.errors import FOLDER_MISSING, REPLACES_ROWS, DestinationRejected, SchemaConflict, SettingsError
from counterfoil.http.async_bridge import run as wait_for
from counterfoil.logging import redacted
from counterfoil.reports.catalogue import report as report_of
from counterfoil.reports.report import Report
from counterfoil.runs.loads.backfill import behind
from counterfoil.runs.plans.dataset_plan import plan_run
from counterfoil.runs.plans.overwrite_check import overwrite_risk
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.runs.preview import PAGE_ROWS, Preview, preview
from counterfoil.state import State
from counterfoil.state.accounts import Account, Accounts
from counterfoil.state.check import StoredCheck
from counterfoil.state.checks import Checks
from counterfoil.state.dataset import Choice, Dataset, Target
from counterfoil.state.dataset_rules import check_choice
from counterfoil.state.datasets import Datasets
from counterfoil.state.hash_keys import HashKeys
from counterfoil.state.run import Run
from counterfoil.state.runs import Runs
from counterfoil.state.vault import Vault
from counterfoil.stripe.client import AccountIdentity, Client
from counterfoil.stripe.retries import INTERACTIVE
from counterfoil.values import Method, Window

#: Relative to the home directory.
DEFAULT_DESTINATION = "duckdb:///counterfoil.duckdb"
#: How long a user waits for a destination that another process has locked.
_BUSY_SECONDS = 3.0
#: Number of successful runs to search for a full refresh.
_LOOKED_AT = 20
#: The end of a warning about lost rows.
_REPLACES = "; the next run replaces them"
#: A change of these fields requires a full refresh.
_READ_ANEW = frozenset({"account", "method", "partition"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSummary:
    """A dataset with its account, its newest run and its status."""

    dataset: Dataset
    account: Account
    #: The name of the dataset that it runs after.
    after: str | None
    last_run: Run | None
    #: The latest checks of its tables.
    checks: tuple[StoredCheck, ...] = ()
    #: Tables without the last run, because their destination could not be loaded.
    behind: tuple[Target, ...] = ()
    #: The status in the UI, on the command line and in the API.
    status: DatasetStatus
    #: Set if the tables were rolled back to an earlier version.
    rollback: Rollback | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDataset:
    """The result of creating or editing a dataset, with its forecast and warnings."""

    dataset: Dataset
    outlook: UsageForecast
    warnings: tuple[str, ...]
    #: Full names of its tables, without secrets.
    places: tuple[str, ...]
    dry_run: bool

    @property
    def replaces(self) -> str | None:
        """The warning about rows of a table that the next run replaces, if any."""
        return next((warning for warning in self.warnings if warning.endswith(_REPLACES)), None)


class DatasetService:
    """Create, list, show, edit, preview, pause, resume, reload, remove; datasets and accounts by name or id."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._settings = state.settings
        self._vault = vault
        self._datasets = Datasets(state)
        self._accounts = Accounts(state, vault)
        self._runs = Runs(state)
        self._checks = Checks(state)
        self._hash_keys = HashKeys(state, vault)

    def create(
        self,
        name: str,
        *,
        account: str,
        report: str,
        to: str | Sequence[str] | None = None,
        table: str | None = None,
        overwrite: bool = False,
        dry_run: bool = False,
        **fields: Any,
    ) -> PlannedDataset:
        """Saves a dataset; `fields` are those of `state.datasets.Datasets.add`.

        Destinations are relative to the home directory. The table has the same name in each destination, by default the
        report's key. The default method is the report's, or replace if a destination does not support that. A table
        that earlier loads filled with more rows than the dataset selects needs `overwrite`. A dry run makes the same
        checks and stores nothing.
        """
        known = report_of(report)
        urls = urls_of(to) or (DEFAULT_DESTINATION,)
        targets = tuple(Target(url=url, table=table or known.key) for url in urls)
        if fields.get("method") is None:
            fields["method"] = self.usual_method(known.key, urls)

        def add() -> Dataset:
            return self._datasets.add(name, account=account, report=report, targets=targets, **fields)

        tried = self._tried(add)
        warnings = self._check(tried, overwrite=overwrite)
        return self._planned(tried if dry_run else add(), warnings, dry_run=dry_run)

    def usual_method(self, report: str, to: Sequence[str]) -> Method:
        """The default method of a dataset with these destinations."""
        default = report_of(report).default_method
        for url in to:
            with self._opened(Target(url=url, table=report)) as destination:
                if default not in destination.kind.methods:
                    return "replace"
        return default

    def edit(
        self,
        name_or_id: str,
        *,
        to: str | Sequence[str] | None = None,
        table: str | None = None,
        overwrite: bool = False,
        dry_run: bool = False,
        **changes: Any,
    ) -> PlannedDataset:
        """Changes fields atomically; after a change of table, account or method, the next run is a full refresh.

        An additional destination is backfilled from archives, or by a full refresh if these are not sufficient.
        """
        before = self._datasets.get(name_or_id)
        if to is not None or table is not None:
            named = {target.url: target.table for target in before.targets}
            default = before.targets[0].table
            urls = urls_of(to) or tuple(named)
            changes["targets"] = tuple(Target(url=url, table=table or named.get(url, default)) for url in urls)

        def edit() -> Dataset:
            with self._state.begin():
                dataset = self._datasets.edit(before.id, **changes)
                gone = not set(dataset.targets) & set(before.targets)
                if gone or any(getattr(dataset, field) != getattr(before, field) for field in _READ_ANEW):
                    dataset = self._datasets.set_bookmark(dataset.id, None)
                return dataset

        tried = self._tried(edit)
        touched = any(getattr(tried, field) != getattr(before, field) for field in (*_READ_ANEW, "choice", "targets"))
        warnings = self._check(tried, overwrite=overwrite, before=before) if touched else ()
        return self._planned(tried if dry_run else edit(), warnings, dry_run=dry_run)

    def list(self) -> tuple[DatasetSummary, ...]:
        """All datasets, by name."""
        found = self._datasets.list()
        accounts = {account.id: account for account in self._accounts.list()}
        names = {dataset.id: dataset.name for dataset in found}
        return tuple(self._shown(dataset, accounts[dataset.account], names) for dataset in found)

    def get(self, name_or_id: str) -> Dataset:
        """The dataset with this name or id."""
        return self._datasets.get(name_or_id)

    def show(self, name_or_id: str) -> DatasetSummary:
        """The summary of a dataset."""
        dataset = self._datasets.get(name_or_id)
        names = {} if dataset.after is None else {dataset.after: self._datasets.get(dataset.after).name}
        return self._shown(dataset, self._accounts.get(dataset.account), names)

    def outlook(self, name_or_id: str) -> UsageForecast:
        """The next runs of a dataset and its API requests per month."""
        return self._outlook(self._datasets.get(name_or_id))

    def outlooks(self, account: str) -> dict[str, UsageForecast]:
        """The forecasts of all datasets of an account (by id), by the dataset's id."""
        every = {one.id: one for one in self._datasets.list()}
        return {one.id: self._outlook(one, every) for one in every.values() if one.account == account}

    def together(self, account: str, *, instead: Mapping[str, UsageForecast] | None = None) -> AccountForecast:
        """The API requests of all datasets of an account (by id); `instead` replaces or adds forecasts."""
        return account_forecast({**self.outlooks(account), **(instead or {})}.values())

    def preview(self, name_or_id: str, *, rows: int = PAGE_ROWS) -> Preview:
        """The first rows that the next run of a dataset would read. Stores nothing."""
        dataset = self._datasets.get(name_or_id)
        return self._preview(self._accounts.get(dataset.account), report_of(dataset.report), dataset.choice, rows)

    def preview_report(
        self, account: str, report: str, *, choice: Choice | None = None, rows: int = PAGE_ROWS
    ) -> Preview:
        """The preview of a dataset before its creation."""
        found, known = report_of(report), self._accounts.get(account)
        choice = choice or Choice()
        check_choice(found, choice, found.default_method)
        return self._preview(known, found, choice, rows)

    def places(self, dataset: Dataset) -> tuple[str, ...]:
        """Full names of its tables, each as `table of URL`, without passwords."""
        names = []
        for target in dataset.targets:
            with self._opened(target) as destination:
                names.append(f"{target.table} of {destination.name}")
        return tuple(names)

    def pause(self, name_or_id: str, reason: str = "Paused manually") -> Dataset:
        """Pauses scheduled runs; a run in progress continues."""
        return self._datasets.pause(name_or_id, reason)

    def resume(self, name_or_id: str) -> Dataset:
        """Resumes scheduled runs."""
        return self._datasets.resume(name_or_id)

    def reload(self, name_or_id: str) -> Dataset:
        """Makes the next run a full refresh."""
        return self._datasets.set_bookmark(name_or_id, None)

    def remove(self, name_or_id: str, *, drop_table: bool = False) -> Dataset:
        """Removes the dataset, its runs and their archives, and its table only with `drop_table`.

        RunError if a run is active, SettingsError if another dataset runs after it; then nothing is removed.
        """
        dataset = self._datasets.get(name_or_id)
        if drop_table:

            def forget() -> Dataset:
                self._datasets.remove(dataset.id)
                return dataset

            self._tried(forget)
            for target in dataset.targets:
                with self._opened(target) as destination:
                    destination.drop(target.table)
        with delete_archives(self._state, [dataset.id]):
            self._datasets.remove(dataset.id)
        return dataset

    def _preview(self, account: Account, report: Report, choice: Choice, rows: int) -> Preview:
        if not 1 <= rows <= PAGE_ROWS:
            raise SettingsError(f"invalid number of rows for a preview: {rows}", hint=f"Use 1 to {PAGE_ROWS}.")
        chosen = choose(report, promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)
        since = choice.since
        if choice.last_days is not None:
            since = int(self._state.now().timestamp()) - choice.last_days * 86_400
        plan = Plan(replace(report, columns=chosen.columns), Window(since, choice.until), None, choice.options)
        key = self._hash_keys.key(account.id) if chosen.hashed else b""
        client = Client(
            self._accounts.key(account.id),
            api_base=account.api_base,
            stripe_account=account.stripe_account,
            settings=self._settings,
            backoff=INTERACTIVE,
        )
        try:
            return preview(
                client,
                plan,
                redact=redaction(chosen, key) if chosen.redacts else None,
                digits=self._settings.currency_digits,
                rows=rows,
            )
        finally:
            wait_for(client.close())

    def _tried(self, change: Callable[[], Dataset]) -> Dataset:
        """The dataset after the change, which is validated and then rolled back."""
        with self._state.trying():
            return change()

    def _check(self, dataset: Dataset, *, overwrite: bool, before: Dataset | None = None) -> tuple[str, ...]:
        """Raises SettingsError for a destination that runs could not load; returns warnings."""
        account = self._accounts.get(dataset.account)
        warnings = list(_of_account(account, dataset))
        for target in dataset.targets:
            with self._opened(target) as destination, _as_settings():
                if dataset.method not in destination.kind.methods:
                    raise SettingsError(
                        f"{redacted(destination.name)} does not support the {dataset.method} method",
                        hint=f"Use {' or '.join(sorted(destination.kind.methods))}.",
                        code="unsupported_method",
                    )
                check_destination(
                    destination, target.url, target.table, relative_to=self._settings.home, settings=self._settings
                )
                held = self._held(destination, dataset, account, target)
            if held is None:
                continue
            if before is None and not overwrite:
                raise SettingsError(
                    f"table {target.table} contains {held}, more than this dataset selects",
                    hint="Choose another table, or pass --overwrite to replace them with the first run.",
                    code=REPLACES_ROWS,
                )
            warnings.append(f"table {target.table} contains {held}{_REPLACES}")
        return tuple(warnings)

    def _held(self, destination: Destination, dataset: Dataset, account: Account, target: Target) -> str | None:
        identity = AccountIdentity(account.stripe_id or f"key_{account.fingerprint}", bool(account.livemode))
        plan, _ = plan_run(dataset, identity, date=int(self._state.now().timestamp()))
        held = overwrite_risk(destination, plan.plan, target.table, dataset.method, identity=identity)
        return None if held is None else held.description

    @contextmanager
    def _opened(self, target: Target) -> Iterator[Destination]:
        settings = self._settings
        quick = settings.model_copy(update={"busy_seconds": min(settings.busy_seconds, _BUSY_SECONDS)})
        destination = open_destination(target.url, relative_to=settings.home, settings=quick)
        try:
            yield destination
        finally:
            destination.close()

    def _planned(self, dataset: Dataset, warnings: tuple[str, ...], *, dry_run: bool) -> PlannedDataset:
        found = self._outlook(dataset)
        shared = self.together(dataset.account, instead={dataset.id: found})
        warning = found.warning or (shared.warning if found.runs else None)
        every = warnings if warning is None else (*warnings, warning)
        return PlannedDataset(
            dataset=dataset, outlook=found, warnings=every, places=self.places(dataset), dry_run=dry_run
        )

    def _outlook(self, dataset: Dataset, others: Mapping[str, Dataset] | None = None) -> UsageForecast:
        ended = self._runs.list(dataset.id, "succeeded", limit=_LOOKED_AT)
        if others is None:
            others = {} if dataset.after is None else {one.id: one for one in self._datasets.list()}
        return usage_forecast(dataset, others=others, ended=ended, now=self._state.now())

    def _shown(self, dataset: Dataset, account: Account, names: Mapping[str, str]) -> DatasetSummary:
        newest = self._runs.list(dataset.id, limit=1)
        after = None if dataset.after is None else names[dataset.after]
        run = (dataset.bookmark or {}).get("run")
        last_run = newest[0] if newest else None
        checks = () if run is None else self._checks.of_run(run)
        lacking, rollback = behind(self._runs, dataset), rollback_of(self._runs, dataset, last_run)
        status = status_of(dataset, account, last_run, checks, lacking, rollback, now=self._state.now())
        return DatasetSummary(
            dataset=dataset,
            account=account,
            after=after,
            last_run=last_run,
            checks=checks,
            behind=lacking,
            status=status,
            rollback=rollback,
        )


@contextmanager
def _as_settings() -> Iterator[None]:
    """Raises errors of a destination as SettingsError, because no run is involved yet."""
    try:
        yield
    except (DestinationRejected, SchemaConflict) as error:
        # The hints of loads name options that datasets do not have.
        hint = error.hint if error.code == FOLDER_MISSING else "Choose another table or another destination."
        raise SettingsError(error.message, hint=hint, code=error.code) from error


def _of_account(account: Account, dataset: Dataset) -> Iterator[str]:
    if account.status != "ok":
        yield f"account {account.name!r} cannot be read: {account.problem}"
    if dataset.report in account.missing:
        title = report_of(dataset.report).title
        yield (
            f"the key of account {account.name!r} lacks the permission {account.missing[dataset.report]} to read "
            f"{title}; after granting it: counterfoil accounts check {shlex.quote(account.name)}"
        )


def urls_of(to: str | Sequence[str] | None) -> tuple[str, ...]:
    """One destination or several as a tuple, without blank ones."""
    return tuple(url.strip() for url in ((to,) if isinstance(to, str) else to or ()) if url.strip())
