"""The TOML file of accounts and datasets: its keys, reading and writing.

Each account is a table `[accounts.NAME]` with `key`, `stripe_account` and `api_base`; each dataset is a table
`[datasets.NAME]` with the options of `counterfoil datasets create`. A missing option has its default. The file never
contains a Stripe key: `key` is a reference, `env:NAME` or `file:/path`.
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

#: The fields of an account and of a dataset, with the types of their values.
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
_EXAMPLE = "See: counterfoil docs configuration"
_NAMED = {str: "a string", int: "a number", bool: "a boolean", list: "a list of strings", dict: "a table of strings"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEntry:
    """An account of the file."""

    name: str
    #: The reference to the key; None for a key that is already stored.
    reference: str | None
    stripe_account: str | None
    api_base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetEntry:
    """A dataset of the file. Names of accounts and other datasets are those of the file."""

    name: str
    account: str
    report: str
    to: tuple[str, ...]
    table: str
    after: str | None
    #: The other fields, as arguments of `DatasetService.create`; `method` only if the file has it.
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """The contents of a file."""

    accounts: tuple[AccountEntry, ...]
    datasets: tuple[DatasetEntry, ...]


def read_config(text: str) -> Config:
    """Parses a file; SettingsError names the invalid table and field, but never a value that could be a key."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The message has the position and at most one character of the file.
        raise SettingsError(f"invalid TOML: {error}", hint=_EXAMPLE) from None
    _known("the file", found, ("accounts", "datasets"))
    for name in ("accounts", "datasets"):
        if not isinstance(found.get(name, {}), dict):
            raise SettingsError(f"{name} is not a table", hint=f"Write [{name}.NAME] with its fields below.")
    return Config(
        tuple(_account(name, _table("accounts", name, table)) for name, table in found.get("accounts", {}).items()),
        tuple(_dataset(name, _table("datasets", name, table)) for name, table in found.get("datasets", {}).items()),
    )


def account_table(account: Account) -> dict[str, Any]:
    """The table of an account, without `key` if the key is stored."""
    fields = {
        "key": account.reference,
        "stripe_account": account.stripe_account,
        "api_base": None if account.api_base == STRIPE else account.api_base,
    }
    return {name: value for name, value in fields.items() if value is not None}


def dataset_table(dataset: Dataset, *, account: str, after: str | None) -> dict[str, Any]:
    """The table of a dataset, with the names of its account and of the dataset before it. Omits defaults."""
    target = Target(url=DEFAULT_DESTINATION, table=dataset.report)
    defaults = options_of(replace(dataset, targets=(target,), **DEFAULTS)) | {"method": None}
    options = options_of(dataset) | {"after": after}
    differing = {name: value for name, value in options.items() if value != defaults[name]}
    return {"account": account, "report": dataset.report, **differing}


def write_config(accounts: Mapping[str, Mapping[str, Any]], datasets: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of the file with these tables."""
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
                f"[accounts.{name}]: key is not a reference",
                hint="Use env:NAME or file:/path; the file must not contain the key itself.",
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
            raise SettingsError(f"[{where}]: {needed} is missing", hint=f'Add {needed} = "…" to the table.')
    for option in OPTIONS:
        if option.choices and table.get(option.name, option.choices[0]) not in option.choices:
            raise SettingsError(
                f"[{where}]: invalid {option.name}: {redacted(table[option.name])!r}",
                hint=f"Use one of {', '.join(option.choices)}, or omit {option.name}.",
            )
    try:
        known = report_of(table["report"])
        fields = read_changes(table)
    except SettingsError as error:
        raise SettingsError(f"[{where}]: {error.message}", hint=error.hint, code=error.code) from error
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
        raise SettingsError(f"{kind}.{name} is not a table", hint=f"Write [{kind}.{name}] with its fields below.")
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
            hint = f"Did you mean {near[0]}?" if near else f"Use {', '.join(known)}."
            raise SettingsError(f"{where}: unknown field {redacted(name)!r}", hint=hint)
