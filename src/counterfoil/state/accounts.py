"""Accounts: saved Stripe credentials, the results of their tests, and their keys, in the vault or by reference."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from counterfoil.errors import AccountError, SettingsError
from counterfoil.logging import get_logger, redacted
from counterfoil.secret_references import checked_reference, resolve
from counterfoil.state import names
from counterfoil.state.database import State
from counterfoil.state.tables import accounts, datasets
from counterfoil.state.vault import Vault

STRIPE = "https://api.stripe.com"

_log = get_logger("counterfoil.state")

#: `locked`: the master key of its key is missing; the key must be entered again.
Status = Literal["ok", "rejected", "locked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The result of testing a key at Stripe."""

    at: datetime
    status: Status = "ok"
    problem: str | None = None
    livemode: bool | None = None
    #: `acct_…`, or `key_<fingerprint>` if the key can't read its account.
    stripe_id: str | None = None
    display_name: str | None = None
    #: The reports that the key can read; for each other report, the permission (`rak_…`) that it lacks.
    readable: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A saved credential, without the key itself, which `Accounts.key` returns."""

    id: str
    name: str
    livemode: bool | None
    stripe_id: str | None
    display_name: str | None
    #: The shortened key for display: `sk_test_…4242`.
    shown: str
    fingerprint: str
    #: Where the key is stored, if not in the vault: `env:NAME` or `file:/path`.
    reference: str | None
    api_base: str
    stripe_account: str | None
    status: Status
    problem: str | None
    readable: tuple[str, ...]
    missing: Mapping[str, str]
    checked_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Rotated:
    """The result of a rotation: the number of keys encrypted again, and the names of accounts with lost keys."""

    keys: int
    locked: tuple[str, ...]


class Accounts:
    """The saved accounts."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    def add(
        self,
        name: str,
        *,
        shown: str,
        fingerprint: str,
        key: str | None = None,
        reference: str | None = None,
        api_base: str = STRIPE,
        stripe_account: str | None = None,
        checked: Checked | None = None,
    ) -> Account:
        """Saves an account with its key, or with a reference to it."""
        name = names.checked_name("account", name)
        account = names.new_id("account")
        with self._state.begin() as connection:
            if connection.scalar(sa.select(accounts.c.id).where(accounts.c.name == name)):
                raise names.taken("account", name)
            connection.execute(
                accounts.insert().values(
                    id=account,
                    name=name,
                    shown=shown,
                    fingerprint=fingerprint,
                    api_base=api_base,
                    stripe_account=stripe_account,
                    created_at=self._state.now(),
                    **self._kept(account, key, reference),
                    **_said(checked),
                )
            )
            return self._one(connection, account)

    def list(self) -> tuple[Account, ...]:
        """All accounts by name."""
        with self._state.read() as connection:
            return self._accounts(connection, sa.select(accounts).order_by(accounts.c.name))

    def get(self, name_or_id: str) -> Account:
        """The account with a name or an id; SettingsError suggests the nearest name."""
        with self._state.read() as connection:
            return self._one(connection, name_or_id)

    def rename(self, name_or_id: str, name: str) -> Account:
        """Renames the account."""
        name = names.checked_name("account", name)
        with self._state.begin() as connection:
            account = self._one(connection, name_or_id).id
            other = sa.select(accounts.c.id).where(accounts.c.name == name, accounts.c.id != account)
            if connection.scalar(other):
                raise names.taken("account", name)
            self._change(connection, account, name=name)
            return self._one(connection, account)

    def replace_key(
        self,
        name_or_id: str,
        *,
        shown: str,
        fingerprint: str,
        key: str | None = None,
        reference: str | None = None,
        checked: Checked | None = None,
    ) -> Account:
        """Replaces the account's key or reference; deletes the test result of the old key."""
        with self._state.begin() as connection:
            account = self._one(connection, name_or_id).id
            kept = self._kept(account, key, reference)
            self._change(connection, account, shown=shown, fingerprint=fingerprint, **kept, **_said(checked))
            if checked is not None and checked.status == "ok":
                self._resume(account)
            return self._one(connection, account)

    def set_check(self, name_or_id: str, checked: Checked) -> Account:
        """Stores the test result of the key; a valid key resumes the datasets that its rejection paused."""
        with self._state.begin() as connection:
            account = self._one(connection, name_or_id).id
            self._change(connection, account, **_said(checked))
            if checked.status == "ok":
                self._resume(account)
            return self._one(connection, account)

    def reject(self, name_or_id: str, problem: str) -> Account:
        """Records that Stripe rejected the key; the rest of its test result stays."""
        with self._state.begin() as connection:
            account = self._one(connection, name_or_id).id
            self._change(connection, account, status="rejected", problem=problem, checked_at=self._state.now())
            return self._one(connection, account)

    def accept(self, name_or_id: str) -> Account:
        """Records that Stripe accepts a rejected key, and resumes the datasets that its rejection paused."""
        with self._state.begin() as connection:
            account = self._one(connection, name_or_id)
            if account.status == "rejected":
                self._change(connection, account.id, status="ok", problem=None, checked_at=self._state.now())
                self._resume(account.id)
            return self._one(connection, account.id)

    def used_by(self, name_or_id: str) -> tuple[str, ...]:
        """The names of the datasets that use the account."""
        with self._state.read() as connection:
            return _users(connection, self._one(connection, name_or_id).id)

    def remove(self, name_or_id: str, *, with_datasets: bool = False) -> tuple[str, ...]:
        """Deletes the account and its key; returns the names of the datasets that were deleted with it.

        If datasets use it, this requires `with_datasets`; otherwise SettingsError names them. Their tables stay.
        """
        from counterfoil.state.datasets import Datasets

        with self._state.begin() as connection:
            account = self._one(connection, name_or_id)
            users = _users(connection, account.id)
            if users and not with_datasets:
                count = f"{len(users)} dataset{'' if len(users) == 1 else 's'}"
                raise SettingsError(
                    f"the account {account.name!r} is used by {count}: {', '.join(users)}",
                    hint="Pass --yes to remove them too; their tables stay.",
                )
            Datasets(self._state).remove(*users)
            connection.execute(accounts.delete().where(accounts.c.id == account.id))
        return users

    def key(self, name_or_id: str) -> str:
        """The key itself, for a client. AccountError if it must be entered again."""
        account = self.get(name_or_id)
        if account.reference is not None:
            return resolve(account.reference)
        with self._state.read() as connection:
            found = connection.execute(
                sa.select(accounts.c.ciphertext, accounts.c.key_version).where(accounts.c.id == account.id)
            ).one()
        try:
            return self._vault.open(account.id, found.ciphertext, found.key_version)
        except AccountError as error:
            if account.status != "locked":
                self._lock(account.id, error.sentence)
            raise AccountError(
                f"the key of the account {account.name!r} can't be decrypted: {error.message}",
                hint=_again(account.name),
                code=error.code,
            ) from None

    def rotate(self) -> Rotated:
        """Encrypts every key again with the first master key, in one transaction.

        A key ring that the operator does not provide gets a new first key. Keys that can't be decrypted stay unchanged.
        """
        lost = []
        with self._state.begin() as connection:
            rows = connection.execute(sa.select(accounts).where(accounts.c.ciphertext.is_not(None))).all()
            if rows and not self._vault.given:
                self._vault.add()
            for row in rows:
                try:
                    key = self._vault.open(row.id, row.ciphertext, row.key_version)
                except AccountError:
                    lost.append(row.name)
                    continue
                ciphertext, version = self._vault.seal(row.id, key)
                self._change(connection, row.id, ciphertext=ciphertext, key_version=version)
        return Rotated(len(rows) - len(lost), tuple(sorted(lost)))

    def _kept(self, account: str, key: str | None, reference: str | None) -> dict[str, Any]:
        if (key is None) == (reference is None):
            raise ValueError("either a key or a reference is required")
        if key is None:
            return {"reference": checked_reference(str(reference)), "ciphertext": None, "key_version": None}
        ciphertext, version = self._vault.seal(account, key)
        return {"reference": None, "ciphertext": ciphertext, "key_version": version}

    def _resume(self, account: str) -> None:
        from counterfoil.state.datasets import Datasets

        if resumed := Datasets(self._state).resume_account(account):
            _log.info("Stripe accepts the key again; datasets resume", datasets=[one.name for one in resumed])

    def _lock(self, account: str, problem: str) -> None:
        with self._state.begin() as connection:
            self._change(connection, account, status="locked", problem=problem)

    @staticmethod
    def _change(connection: sa.Connection, account: str, **values: Any) -> None:
        connection.execute(accounts.update().where(accounts.c.id == account).values(**values))

    def _one(self, connection: sa.Connection, word: str) -> Account:
        column = accounts.c.id if names.is_id("account", word) else accounts.c.name
        found = self._accounts(connection, sa.select(accounts).where(column == word.strip()))
        if not found:
            raise names.unknown("account", word, connection.scalars(sa.select(accounts.c.name)))
        return found[0]

    def _accounts(self, connection: sa.Connection, select: sa.Select[Any]) -> tuple[Account, ...]:
        rows = connection.execute(select).mappings().all()
        locked = self._vault.locked({row["key_version"] for row in rows if row["key_version"]})
        return tuple(_account(row, locked.get(row["key_version"])) for row in rows)


def _said(checked: Checked | None) -> dict[str, Any]:
    if checked is None:
        # Everything is unknown until the key is tested.
        unknown = dict.fromkeys(("problem", "livemode", "stripe_id", "display_name", "checked_at"))
        return {**unknown, "status": "ok", "readable": [], "missing": {}}
    return {
        "status": checked.status,
        "problem": None if checked.problem is None else redacted(checked.problem),
        "livemode": checked.livemode,
        "stripe_id": checked.stripe_id,
        "display_name": checked.display_name,
        "readable": list(checked.readable),
        "missing": dict(checked.missing),
        "checked_at": checked.at,
    }


def _account(row: sa.RowMapping, lost: str | None) -> Account:
    values = {name: row[name] for name in Account.__slots__} | {"readable": tuple(row["readable"])}
    if lost is not None:
        values |= {"problem": lost, "status": "locked"}
    if values["status"] == "locked":
        values["problem"] = f"{values['problem']} {_again(row['name'])}"
    return Account(**values)


def _again(name: str) -> str:
    return f"Enter the key again: counterfoil accounts key {shlex.quote(name)}"


def _users(connection: sa.Connection, account: str) -> tuple[str, ...]:
    return tuple(
        connection.scalars(sa.select(datasets.c.name).where(datasets.c.account == account).order_by(datasets.c.name))
    )
