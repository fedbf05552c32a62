"""Accounts and datasets as a TOML file: what it may say, read into values, and written back.

A table for each: `[accounts.NAME]` with `key`, `stripe_account`, `api_base`; `[datasets.NAME]` with the words that
`counterfoil datasets create` takes. What is left out is as if it had never been said. No key stands in a file: `key`
says where it is, `env:NAME` or `file:/path`.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from counterfoil.app.datasets.input import options_of, read_changes
from counterfoil.app.datasets.service import DEFAULT_DESTINATION, urls_of
from counterfoil.dataset_options import OPTIONS, Kind
from counterfoil.errors import SettingsError
from counterfoil.logging import redacted
from counterfoil.reports.catalogue import report as report_of
from counterfoil.secret_references import checked_reference
from counterfoil.state.accounts import STRIPE, Account
from counterfoil.state.dataset import DEFAULTS, Dataset, Target

#: What may be said of an account and of a dataset, each with the types of its value.
_ACCOUNT: Mapping[str, tuple[type, ...]] = {"key": (str,), "stripe_account": (str,), "api_base": (str,)}
#: Other kinds are text.
_TYPES: Mapping[Kind, tuple[type, ...]] = {
    "number": (int,),
    "switch": (bool,),
    "names": (list,),
    "pairs": (dict,),
    "attempts": (int, bool),
    "destinations": (str, list),
}
_DATASET: Mapping[str, tuple[type, ...]] = {
    "account": (str,),
    "report": (str,),
    **{option.name: _TYPES.get(option.kind, (str,)) for option in OPTIONS},
}
_EXAMPLE = "See docs/configuration.md for an example."
_NAMED = {str: "text", int: "a number", bool: "true or false", list: "a list of texts", dict: "a table of texts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEntry:
    """An account of the file."""

    name: str
    #: Where the key is; None for one that is stored already.
    reference: str | None
    stripe_account: str | None
    api_base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetEntry:
    """A dataset of the file. Other names are as they stand there."""

    name: str
    account: str
    report: str
    to: tuple[str, ...]
    table: str
    after: str | None
    #: The rest, as the calls on datasets take it; `method` only where it was said.
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """What a file says."""

    accounts: tuple[AccountEntry, ...]
    datasets: tuple[DatasetEntry, ...]


def read_config(text: str) -> Config:
    """SettingsError names the table and the word that is wrong. A value is never repeated where it could be a key."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Its message names the place; it may quote a character, and no more.
        raise SettingsError(f"The file is not TOML: {error}", hint=_EXAMPLE) from None
    _known("The file", found, ("accounts", "datasets"))
    for name in ("accounts", "datasets"):
        if not isinstance(found.get(name, {}), dict):
            raise SettingsError(f"{name} is not a table", hint=f"Write [{name}.NAME], and its words below.")
    return Config(
        tuple(_account(name, _table("accounts", name, table)) for name, table in found.get("accounts", {}).items()),
        tuple(_dataset(name, _table("datasets", name, table)) for name, table in found.get("datasets", {}).items()),
    )


def account_table(account: Account) -> dict[str, Any]:
    """An account as its table; without a key where that is stored."""
    said = {
        "key": account.reference,
        "stripe_account": account.stripe_account,
        "api_base": None if account.api_base == STRIPE else account.api_base,
    }
    return {name: value for name, value in said.items() if value is not None}


def dataset_table(dataset: Dataset, *, account: str, after: str | None) -> dict[str, Any]:
    """A dataset as its table, with the names of its account and of the dataset before it. Omits defaults."""
    target = Target(url=DEFAULT_DESTINATION, table=dataset.report)
    usual = options_of(replace(dataset, targets=(target,), **DEFAULTS)) | {"method": None}
    options = options_of(dataset) | {"after": after}
    differing = {name: value for name, value in options.items() if value != usual[name]}
    return {"account": account, "report": dataset.report, **differing}


def write_config(accounts: Mapping[str, Mapping[str, Any]], datasets: Mapping[str, Mapping[str, Any]]) -> str:
    """The file of those tables."""
    import tomli_w

    tables = {"accounts": accounts, "datasets": datasets}
    return tomli_w.dumps({name: table for name, table in tables.items() if table})


def _account(name: str, table: Mapping[str, Any]) -> AccountEntry:
    _checked(f"accounts.{name}", table, _ACCOUNT)
    reference = table.get("key")
    if reference is not None:
        try:
            reference = checked_reference(reference)
        except SettingsError:
            raise SettingsError(
                f"[accounts.{name}]: key does not say where the key is",
                hint="Give env:NAME or file:/path. A key itself never stands in a file.",
            ) from None
    return AccountEntry(
        name=name,
        reference=reference,
        stripe_account=table.get("stripe_account"),
        api_base=table.get("api_base", STRIPE).rstrip("/"),
    )


def _dataset(name: str, table: Mapping[str, Any]) -> DatasetEntry:
    where = f"datasets.{name}"
    _checked(where, table, _DATASET)
    for needed in ("account", "report"):
        if needed not in table:
            raise SettingsError(f"[{where}] names no {needed}", hint=f'Add {needed} = "…" below it.')
    for option in OPTIONS:
        if option.choices and table.get(option.name, option.choices[0]) not in option.choices:
            raise SettingsError(
                f"[{where}]: {option.name} = {redacted(table[option.name])!r} is not one of "
                f"{', '.join(option.choices)}",
                hint=f"Give {option.name} = {option.choices[0]!r}, or leave it out.",
            )
    try:
        known = report_of(table["report"])
        fields = read_changes(table)
    except SettingsError as error:
        raise SettingsError(f"[{where}]: {error.message}", hint=error.hint) from error
    return DatasetEntry(
        name=name,
        account=table["account"],
        report=known.key,
        to=urls_of(table.get("to")) or (DEFAULT_DESTINATION,),
        table=table.get("table", known.key),
        after=table.get("after"),
        fields=fields,
    )


def _table(kind: str, name: str, table: Any) -> Mapping[str, Any]:
    if not isinstance(table, dict):
        raise SettingsError(f"{kind}.{name} is not a table", hint=f"Write [{kind}.{name}], and its words below.")
    return table


def _checked(where: str, table: Mapping[str, Any], known: Mapping[str, tuple[type, ...]]) -> None:
    _known(f"[{where}]", table, tuple(known))
    for name, value in table.items():
        if type(value) not in known[name] or not _holds_texts(value):
            wanted = " or ".join(_NAMED[kind] for kind in known[name])
            raise SettingsError(f"[{where}]: {name} is not {wanted}", hint=_EXAMPLE)


def _holds_texts(value: Any) -> bool:
    texts: Callable[[Sequence[Any]], bool] = lambda values: all(type(each) is str for each in values)  # noqa: E731
    return texts(list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [])


def _known(where: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"It may have {', '.join(known)}."
            raise SettingsError(f"{where} has an unknown word {redacted(name)!r}", hint=hint)
