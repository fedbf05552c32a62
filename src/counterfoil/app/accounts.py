"""The calls on saved accounts. A key is tried at Stripe before anything of it is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from counterfoil.errors import AccountError, CounterfoilError, KeyRejected, SettingsError, TransientError
from counterfoil.reports.catalogue import report as report_of
from counterfoil.runs.check_account import check_account
from counterfoil.state import State, names
from counterfoil.state.accounts import STRIPE, Account, Accounts, Checked, Rotated, checked_reference, resolve
from counterfoil.state.datasets import Datasets
from counterfoil.state.hash_keys import HashKeys
from counterfoil.state.vault import Vault
from counterfoil.stripe.client import Client
from counterfoil.stripe.key import Key
from counterfoil.stripe.loop import run as wait_for

_MODES = {True: "live", False: "test", None: "unknown"}


@dataclass(frozen=True, slots=True)
class Readable:
    """Whether an account's key may read a report."""

    report: str
    title: str
    readable: bool
    #: What the key lacks; None when it lacks nothing.
    permission: str | None


class AccountCalls:
    """Add, list, check, rename, replace the key, remove."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._settings = state.settings
        self._accounts = Accounts(state, vault)
        self._datasets = Datasets(state)
        self._hash_keys = HashKeys(state, vault)

    def add(
        self,
        name: str,
        key: str | None = None,
        *,
        reference: str | None = None,
        api_base: str | None = None,
        stripe_account: str | None = None,
    ) -> Account:
        """Saves a key, or a reference to one (`env:NAME`, `file:/path`), after Stripe has taken it.

        Raises what Stripe says to the key, and StripeUnavailable while it can't be reached; then nothing is stored.
        """
        name = names.checked_name("account", name)
        if any(account.name == name for account in self._accounts.list()):
            raise names.taken("account", name)
        secret = _given(key, reference)
        api_base = api_base or STRIPE
        checked = self._ask(secret, api_base, stripe_account or None)
        return self._accounts.add(
            name,
            **_told(secret, key, reference),
            api_base=api_base.rstrip("/"),
            stripe_account=stripe_account or None,
            checked=checked,
        )

    def list(self) -> tuple[Account, ...]:
        """All accounts by name."""
        return self._accounts.list()

    def get(self, name_or_id: str) -> Account:
        """The account of a name or an id."""
        return self._accounts.get(name_or_id)

    def check(self, name_or_id: str) -> Account:
        """Tries the key again and keeps what Stripe says.

        Raises KeyRejected, and AccountError for a key that can't be decrypted; both are kept with the account.
        TransientError changes nothing.
        """
        account = self._accounts.get(name_or_id)
        secret = self._accounts.key(account.id)
        try:
            checked = self._ask(secret, account.api_base, account.stripe_account)
            _check_same(account, checked)
        except (KeyRejected, AnotherAccount) as error:
            self._accounts.set_check(account.id, _rejected(account, error, self._state.now()))
            if isinstance(error, KeyRejected):
                error.hint = f"{error.hint} Then: {_key_command(account)}"
            raise
        if account.reference is not None and Key(secret).fingerprint != account.fingerprint:
            # Another key is kept there by now.
            told = _told(secret, None, account.reference)
            return self._accounts.replace_key(account.id, **told, checked=checked)
        return self._accounts.set_check(account.id, checked)

    def rename(self, name_or_id: str, name: str) -> Account:
        """Gives another name."""
        return self._accounts.rename(name_or_id, name)

    def replace_key(self, name_or_id: str, key: str | None = None, *, reference: str | None = None) -> Account:
        """Another key for the same Stripe account in the same mode, after Stripe has taken it."""
        account = self._accounts.get(name_or_id)
        secret = _given(key, reference)
        checked = self._ask(secret, account.api_base, account.stripe_account)
        _check_same(account, checked)
        return self._accounts.replace_key(account.id, **_told(secret, key, reference), checked=checked)

    def used_by(self, name_or_id: str) -> tuple[str, ...]:
        """The names of the datasets that read the account."""
        return self._accounts.used_by(name_or_id)

    def paused(self, name_or_id: str) -> tuple[str, ...]:
        """The names of its datasets that are paused."""
        account = self._accounts.get(name_or_id).id
        return tuple(one.name for one in self._datasets.list() if one.account == account and one.pause is not None)

    def remove(self, name_or_id: str, *, with_datasets: bool = False) -> tuple[str, ...]:
        """Forgets the account, its key, and with `with_datasets` the datasets that read it; their names."""
        return self._accounts.remove(name_or_id, with_datasets=with_datasets)

    def readable(self, name_or_id: str) -> tuple[Readable, ...]:
        """What the key may read, as it was found when it was tried last."""
        account = self._accounts.get(name_or_id)
        keys = catalogue_order(account)
        return tuple(
            Readable(key, report_of(key).title, key not in account.missing, account.missing.get(key)) for key in keys
        )
