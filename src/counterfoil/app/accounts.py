"""Operations on accounts. Each key is tested at Stripe before it is stored."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from counterfoil.app.datasets.delete_archives import delete_archives
from counterfoil.app.dictionaries import plain, plain_fields
from counterfoil.errors import AccountError, KeyRejected, SettingsError, TransientError
from counterfoil.logging import redacted
from counterfoil.reports.catalogue import REPORTS
from counterfoil.secret_references import checked_reference, resolve
from counterfoil.state import State, names
from counterfoil.state.accounts import STRIPE, Account, Accounts, Checked
from counterfoil.state.alerts import Alerts
from counterfoil.state.datasets import Datasets
from counterfoil.state.hash_keys import HashKeys
from counterfoil.state.vault import Vault
from counterfoil.stripe.key import Key

_MODES = {True: "live", False: "test", None: None}


@dataclass(frozen=True, slots=True)
class Readable:
    """Whether an account's key may read a report."""

    report: str
    title: str
    #: None if this was never tested.
    readable: bool | None
    #: The missing permission (`rak_…`); None if none is missing.
    permission: str | None


@dataclass(frozen=True, slots=True)
class KeysRotated:
    """The result of a rotation of the vault."""

    #: Number of re-encrypted account keys.
    keys: int
    #: Names of the accounts with lost keys.
    locked: tuple[str, ...]
    #: Whether keys of hashed columns are lost: later hashes do not join with earlier ones.
    hash_keys_lost: bool
    #: Names of the alerts with lost URLs.
    alerts_lost: tuple[str, ...] = ()


class AccountService:
    """Add, list, check, rename, replace the key, remove; rotate the vault."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._accounts = Accounts(state, vault)
        self._datasets = Datasets(state)
        self._hash_keys = HashKeys(state, vault)
        self._alerts = Alerts(state, vault)

    def add(
        self,
        name: str,
        key: str | None = None,
        *,
        reference: str | None = None,
        api_base: str | None = None,
        stripe_account: str | None = None,
    ) -> Account:
        """Saves a key, or a reference to a key (`env:NAME`, `file:/path`), after Stripe has accepted it.

        Raises KeyRejected or another error from Stripe, or StripeUnavailable; then nothing is stored.
        """
        return self.prepared(name, key, reference=reference, api_base=api_base, stripe_account=stripe_account)()

    def prepared(
        self,
        name: str,
        key: str | None = None,
        *,
        reference: str | None = None,
        api_base: str | None = None,
        stripe_account: str | None = None,
    ) -> Callable[[], Account]:
        """Tests the key as `add` does; returns a function that stores the account."""
        name = names.checked_name("account", name)
        if any(account.name == name for account in self._accounts.list()):
            raise names.taken("account", name)
        secret = _given(key, reference)
        api_base = (api_base or STRIPE).rstrip("/")
        checked = self._ask(secret, api_base, stripe_account or None)
        return partial(
            self._accounts.add,
            name,
            **_kept(secret, reference),
            api_base=api_base,
            stripe_account=stripe_account or None,
            checked=checked,
        )

    def connect(self, key: str, *, api_base: str | None = None, stripe_account: str | None = None) -> Account:
        """Saves a key under the name of its Stripe account; if the key is already saved, updates that account.

        Raises the same errors as `add`.
        """
        api_base, stripe_account = (api_base or STRIPE).rstrip("/"), stripe_account or None
        secret = _given(key, None)
        checked = self._ask(secret, api_base, stripe_account)
        kept = _kept(secret, None)
        known = self._accounts.list()
        for account in known:
            place = (account.fingerprint, account.api_base, account.stripe_account, account.reference)
            if place == (kept["fingerprint"], api_base, stripe_account, None):
                return self._accounts.set_check(account.id, checked)
        name = _free_name(checked, {account.name.casefold() for account in known})
        return self._accounts.add(name, **kept, api_base=api_base, stripe_account=stripe_account, checked=checked)

    def list(self) -> tuple[Account, ...]:
        """All accounts by name."""
        return self._accounts.list()

    def get(self, name_or_id: str) -> Account:
        """The account with this name or id."""
        return self._accounts.get(name_or_id)

    def check(self, name_or_id: str) -> Account:
        """Tests the key again and stores the result.

        Raises KeyRejected, SettingsError if a reference now points to another account's key, and AccountError if the
        key cannot be decrypted; the account stores these errors. A TransientError changes nothing.
        """
        account = self._accounts.get(name_or_id)
        secret = self._accounts.key(account.id)
        try:
            checked = self._ask(secret, account.api_base, account.stripe_account)
        except KeyRejected as error:
            error.hint = f"{error.hint}, then run: counterfoil accounts key {shlex.quote(account.name)}"
            self._accounts.reject(account.id, error.message)
            raise
        another = _another(account, checked)
        if another is not None:
            self._accounts.reject(account.id, another.message)
            raise another
        if account.reference is not None and Key(secret).fingerprint != account.fingerprint:
            # The reference now points to another key of the same account.
            return self._accounts.replace_key(account.id, **_kept(secret, account.reference), checked=checked)
        return self._accounts.set_check(account.id, checked)

    def rename(self, name_or_id: str, name: str) -> Account:
        """Renames the account."""
        return self._accounts.rename(name_or_id, name)

    def replace_key(self, name_or_id: str, key: str | None = None, *, reference: str | None = None) -> Account:
        """Replaces the key after Stripe has accepted it; SettingsError for another Stripe account or mode."""
        return self.prepared_key(name_or_id, key, reference=reference)()

    def prepared_key(
        self, name_or_id: str, key: str | None = None, *, reference: str | None = None
    ) -> Callable[[], Account]:
        """Tests the key as `replace_key` does; returns a function that stores it."""
        account = self._accounts.get(name_or_id)
        secret = _given(key, reference)
        checked = self._ask(secret, account.api_base, account.stripe_account)
        another = _another(account, checked)
        if another is not None:
            raise another
        return partial(self._accounts.replace_key, account.id, **_kept(secret, reference), checked=checked)

    def used_by(self, name_or_id: str) -> tuple[str, ...]:
        """Names of the datasets that use the account."""
        return self._accounts.used_by(name_or_id)

    def paused(self, name_or_id: str) -> tuple[str, ...]:
        """Names of the paused datasets that use the account."""
        account = self._accounts.get(name_or_id).id
        return tuple(one.name for one in self._datasets.list() if one.account == account and one.pause is not None)

    def remove(self, name_or_id: str, *, with_datasets: bool = False) -> tuple[str, ...]:
        """Removes the account, its key and, with `with_datasets`, its datasets; returns the names of these datasets.

        Tables are not deleted.
        """
        account = self._accounts.get(name_or_id).id
        removed = [one.id for one in self._datasets.list() if one.account == account] if with_datasets else []
        with delete_archives(self._state, removed):
            return self._accounts.remove(account, with_datasets=with_datasets)

    def rotate(self) -> KeysRotated:
        """Re-encrypts every key with the first master key; lost keys remain unchanged."""
        rotated = self._accounts.rotate()
        alerts_lost, hash_keys_lost = self._alerts.rotate(), False
        try:
            self._hash_keys.rotate()
        except AccountError:
            hash_keys_lost = True
        return KeysRotated(rotated.keys, rotated.locked, hash_keys_lost, alerts_lost)

    def _ask(self, secret: str, api_base: str, stripe_account: str | None) -> Checked:
        # Imported here, so that operations without API requests start faster.
        from counterfoil.http.async_bridge import run as wait_for
        from counterfoil.runs.check_account import check_account
        from counterfoil.stripe.client import Client
        from counterfoil.stripe.retries import INTERACTIVE

        client = Client(
            secret, api_base=api_base, stripe_account=stripe_account, settings=self._state.settings, backoff=INTERACTIVE
        )
        try:
            return check_account(client, at=self._state.now())
        except KeyRejected as error:
            page = "https://dashboard.stripe.com/" + ("apikeys" if client.livemode else "test/apikeys")
            error.hint = f"Find or create a key at {page}"
            raise
        except TransientError as error:
            error.hint = f"Nothing was stored. {error.hint or 'Try again later.'}"
            raise
        finally:
            wait_for(client.close())


def readable(account: Account) -> tuple[Readable, ...]:
    """The key's access to each report at its last test, in the order of the menu."""
    return tuple(
        Readable(
            report.key,
            report.title,
            True if report.key in account.readable else False if report.key in account.missing else None,
            account.missing.get(report.key),
        )
        for report in REPORTS
    )


def mode(account: Account) -> str | None:
    """`live`, `test`, or None if the key was never tested."""
    return _MODES[account.livemode]


def account_dict(account: Account) -> dict[str, Any]:
    """The account as a dictionary for JSON, without the key."""
    shown = plain_fields(account, *(name for name in Account.__slots__ if name not in _NOT_SHOWN))
    return {**shown, "mode": mode(account), "reports": plain(readable(account))}


#: Internal fields, and fields that `reports` replaces.
_NOT_SHOWN = frozenset({"fingerprint", "livemode", "readable", "missing"})


def _free_name(checked: Checked, taken: Collection[str]) -> str:
    """The display name at Stripe; if it is taken, with the mode, or with a number."""
    # A display name that is not a valid account name is replaced by the id.
    display_name = redacted(checked.display_name or "").strip()[:80]
    wanted = display_name if display_name.isprintable() and display_name else checked.stripe_id or "Stripe"
    with_mode = f"{wanted} ({_MODES[checked.livemode]})" if checked.livemode is not None else wanted
    numbered = (f"{with_mode} {n}" for n in range(2, len(taken) + 3))
    return next(name for name in (wanted, with_mode, *numbered) if name.casefold() not in taken)


def _given(key: str | None, reference: str | None) -> str:
    if (key is None) == (reference is None):
        raise ValueError("either a key or a reference to a key is required")
    return resolve(checked_reference(reference)) if reference is not None else str(key).strip()


def _kept(secret: str, reference: str | None) -> dict[str, Any]:
    """The stored values: the key or its reference, its masked form and its fingerprint."""
    key = Key(secret)
    stored = {"key": secret} if reference is None else {"reference": reference}
    return {"shown": repr(key), "fingerprint": key.fingerprint, **stored}


def _another(account: Account, checked: Checked) -> SettingsError | None:
    """The error for a key of another Stripe account or mode; None for a matching key."""
    # A key that cannot read its account has an id of its own (`key_…`), which cannot be compared.
    known = [one for one in (account.stripe_id, checked.stripe_id) if one and not one.startswith("key_")]
    if account.livemode is not None and account.livemode != checked.livemode:
        now, before = _MODES[checked.livemode], _MODES[account.livemode]
        message = f"the key is a {now} key, but account {account.name!r} uses {before} mode"
    elif len(set(known)) > 1:
        message = f"the key belongs to {checked.stripe_id}, but account {account.name!r} to {account.stripe_id}"
    else:
        return None
    return SettingsError(message, hint="Add the key as a separate account: counterfoil accounts add")
