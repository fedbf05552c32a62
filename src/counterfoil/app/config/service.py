"""Applying a configuration file in one transaction, and exporting the present configuration as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from counterfoil.app.accounts import AccountService
from counterfoil.app.config.file import (
    AccountEntry,
    Config,
    DatasetEntry,
    account_table,
    dataset_table,
    read_config,
    write_config,
)
from counterfoil.app.datasets.service import DatasetService
from counterfoil.errors import CounterfoilError, SettingsError
from counterfoil.logging import redacted
from counterfoil.state import State
from counterfoil.state.accounts import Account
from counterfoil.state.dataset import Dataset, Merge

Action = Literal["create", "change", "none"]
Kind = Literal["account", "dataset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The change of an account or a dataset by the file."""

    kind: Kind
    name: str
    action: Action
    #: The changed fields before and after.
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The result of applying a file."""

    changes: tuple[Change, ...]
    #: Unchanged datasets and accounts that the file does not contain: `dataset Charges`.
    others: tuple[str, ...]
    dry_run: bool


class ConfigService:
    """Apply and export."""

    def __init__(self, state: State, accounts: AccountService, datasets: DatasetService) -> None:
        self._state = state
        self._accounts = accounts
        self._datasets = datasets

    def apply(self, text: str, *, dry_run: bool = False, overwrite: bool = False) -> Applied:
        """Creates and changes the accounts and datasets of the file; all others remain unchanged.

        Applies the file in one transaction: an error in the last dataset undoes the first account. Tests new keys at
        Stripe first. A dry run rolls the transaction back. `overwrite` as in `DatasetService.create`.
        """
        config = read_config(text)
        store = [self._prepared(entry) for entry in config.accounts]
        with self._state.trying() if dry_run else self._state.begin():
            made = [one() for one in store]
            made += [self._dataset(entry, overwrite=overwrite) for entry in _in_order(config.datasets)]
        return Applied(changes=tuple(made), others=tuple(self._others(config)), dry_run=dry_run)

    def export(self) -> str:
        """The file of all accounts and datasets; stored keys are omitted."""
        accounts = {one.name: account_table(one) for one in self._accounts.list()}
        return write_config(accounts, {one.dataset.name: self._table(one.dataset) for one in self._datasets.list()})

    def stored_keys(self) -> tuple[str, ...]:
        """Names of the accounts with stored keys, which the file omits."""
        return tuple(one.name for one in self._accounts.list() if one.reference is None)

    def _prepared(self, entry: AccountEntry) -> Callable[[], Change]:
        """Tests a new key at Stripe; returns a function that stores the account."""
        with _named("accounts", entry.name):
            known = next((one for one in self._accounts.list() if one.name == entry.name), None)
            if known is None:
                if entry.reference is None:
                    raise SettingsError(
                        "key is missing for a new account",
                        hint='Add key = "env:NAME" or key = "file:/path" to the table.',
                    )
                add = self._accounts.prepared(
                    entry.name, reference=entry.reference, api_base=entry.api_base, stripe_account=entry.stripe_account
                )
                return lambda: _account_change(entry.name, None, add())
            _check_same(known, entry)
            if entry.reference in (None, known.reference):
                return lambda: _account_change(entry.name, known, known)
            replace = self._accounts.prepared_key(known.id, reference=entry.reference)
            return lambda: _account_change(entry.name, known, replace())

    def _dataset(self, entry: DatasetEntry, *, overwrite: bool) -> Change:
        with _named("datasets", entry.name):
            known = next((one.dataset for one in self._datasets.list() if one.dataset.name == entry.name), None)
            wanted = self._wanted(entry)
            if known is None:
                made = self._datasets.create(
                    entry.name, account=entry.account, report=entry.report, overwrite=overwrite, **wanted
                )
                return self._change(None, made.dataset, made.warnings)
            if known.report != entry.report:
                raise SettingsError(
                    f"the report of a dataset cannot be changed: it is {known.report}",
                    hint="Use another dataset name, or remove the dataset first.",
                )
            changes = self._differing(known, entry, wanted)
            if not changes:
                return self._change(known, known, ())
            edited = self._datasets.edit(known.id, overwrite=overwrite, **changes)
            return self._change(known, edited.dataset, edited.warnings)

    def _wanted(self, entry: DatasetEntry) -> dict[str, Any]:
        """Every field of a dataset; missing ones have their defaults."""
        method = entry.fields.get("method") or self._datasets.usual_method(entry.report, entry.to)
        merge = (entry.fields["merge"] or Merge()) if method == "merge" else entry.fields["merge"]
        return {
            **entry.fields, "method": method, "merge": merge,
            "to": entry.to, "table": entry.table, "after": entry.after,
        }  # fmt: skip

    def _differing(self, known: Dataset, entry: DatasetEntry, wanted: Mapping[str, Any]) -> dict[str, Any]:
        changes = {
            name: value
            for name, value in wanted.items()
            if name not in ("to", "table", "after") and value != getattr(known, name)
        }
        now = self._table(known)
        new = dataset_table(known, account=entry.account, after=entry.after)
        for name in ("account", "after"):
            if now.get(name) != new.get(name):
                changes[name] = getattr(entry, name)
        # An exported file contains no passwords.
        if [redacted(url) for url in entry.to] != [redacted(target.url) for target in known.targets]:
            changes["to"] = entry.to
        if any(target.table != entry.table for target in known.targets):
            changes["table"] = entry.table
        return changes

    def _change(self, before: Dataset | None, after: Dataset, warnings: Sequence[str]) -> Change:
        old, new = {} if before is None else self._table(before), self._table(after)
        return _compared("dataset", after.name, None if before is None else old, new, warnings)

    def _table(self, dataset: Dataset) -> dict[str, Any]:
        after = None if dataset.after is None else self._datasets.get(dataset.after).name
        return dataset_table(dataset, account=self._accounts.get(dataset.account).name, after=after)

    def _others(self, config: Config) -> Iterator[str]:
        accounts, datasets = {one.name for one in config.accounts}, {one.name for one in config.datasets}
        yield from (f"account {one.name}" for one in self._accounts.list() if one.name not in accounts)
        yield from (f"dataset {one.dataset.name}" for one in self._datasets.list() if one.dataset.name not in datasets)


def _in_order(entries: Sequence[DatasetEntry]) -> Iterator[DatasetEntry]:
    """Each dataset after the dataset that it follows; SettingsError for a cycle."""
    by_name, done = {one.name: one for one in entries}, set[str]()
    for one in entries:
        chain = [one]
        while (before := by_name.get(chain[-1].after or "")) is not None and before.name not in done:
            if before in chain:
                names = " after ".join(repr(each.name) for each in (*chain, before))
                raise SettingsError(f"cycle of datasets: {names}", hint="Remove one `after` of the cycle.")
            chain.append(before)
        for each in reversed(chain):
            if each.name not in done:
                done.add(each.name)
                yield each


def _check_same(known: Account, entry: AccountEntry) -> None:
    for word in ("stripe_account", "api_base"):
        before, after = getattr(known, word), getattr(entry, word)
        if before != after:
            raise SettingsError(
                f"{word} of an account cannot be changed: it is {before or 'not set'}",
                hint="Add the other account under another name.",
            )


def _account_change(name: str, before: Account | None, after: Account) -> Change:
    warnings = () if after.problem is None or before is after else (after.problem,)
    return _compared("account", name, None if before is None else account_table(before), account_table(after), warnings)


def _compared(
    kind: Kind, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any], warnings: Sequence[str]
) -> Change:
    old = before or {}
    differ = [word for word in {**old, **after} if old.get(word) != after.get(word)]
    action: Action = "create" if before is None else "change" if differ else "none"
    return Change(
        kind=kind,
        name=name,
        action=action,
        before={word: old[word] for word in differ if word in old},
        after={word: after[word] for word in differ if word in after},
        warnings=tuple(warnings),
    )


@contextmanager
def _named(kind: str, name: str) -> Iterator[None]:
    """Adds the table of the file to an error message."""
    try:
        yield
    except CounterfoilError as error:
        error.message = f"[{kind}.{name}]: {error.message}"
        raise
