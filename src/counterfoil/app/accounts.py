"""The calls on saved accounts. A key is tried at Stripe before anything of it is stored."""

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
    #: None when that was never tried.
    readable: bool | None
    #: What the key lacks (`rak_…`); None when it lacks nothing.
    permission: str | None


@dataclass(frozen=True, slots=True)
class KeysRotated:
    """What a rotation of the vault did."""

    #: Keys of accounts that were encrypted anew.
    keys: int
    #: Accounts whose keys are lost, by name.
    locked: tuple[str, ...]
    #: Whether keys of hashed columns are lost: what is hashed later does not join with what was hashed before.
    hash_keys_lost: bool
    #: Alerts whose addresses are lost, by name.
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
        """Saves a key, or a reference to one (`env:NAME`, `file:/path`), after Stripe has taken it.

        Raises what Stripe says to the key, and StripeUnavailable while it can't be reached; then nothing is stored.
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
        """All of `add` but the storing, which is what it gives back."""
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
        """Saves a key under the name of the Stripe account that it is of; one that is saved already is not saved again.

        Raises as `add`.
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
        """The account of a name or an id."""
        return self._accounts.get(name_or_id)

    def check(self, name_or_id: str) -> Account:
        """Tries the key again and keeps what Stripe says.

        Raises KeyRejected, SettingsError for a reference that leads to another account's key by now, and AccountError
        for a key that can't be decrypted: all are kept with the account. A TransientError changes nothing.
        """
        account = self._accounts.get(name_or_id)
        secret = self._accounts.key(account.id)
        try:
            checked = self._ask(secret, account.api_base, account.stripe_account)
        except KeyRejected as error:
            error.hint = f"{error.hint} Then: counterfoil accounts key {shlex.quote(account.name)}"
            self._accounts.reject(account.id, error.message)
            raise
        another = _another(account, checked)
        if another is not None:
            self._accounts.reject(account.id, another.message)
            raise another
        if account.reference is not None and Key(secret).fingerprint != account.fingerprint:
            # Another key of the same account is kept there by now.
            return self._accounts.replace_key(account.id, **_kept(secret, account.reference), checked=checked)
        return self._accounts.set_check(account.id, checked)

    def rename(self, name_or_id: str, name: str) -> Account:
        """Gives another name."""
        return self._accounts.rename(name_or_id, name)

    def replace_key(self, name_or_id: str, key: str | None = None, *, reference: str | None = None) -> Account:
        """Another key of the same Stripe account and mode, after Stripe has taken it; SettingsError for any other."""
        return self.prepared_key(name_or_id, key, reference=reference)()

    def prepared_key(
        self, name_or_id: str, key: str | None = None, *, reference: str | None = None
    ) -> Callable[[], Account]:
        """All of `replace_key` but the storing, which is what it gives back."""
        account = self._accounts.get(name_or_id)
        secret = _given(key, reference)
        checked = self._ask(secret, account.api_base, account.stripe_account)
        another = _another(account, checked)
        if another is not None:
            raise another
        return partial(self._accounts.replace_key, account.id, **_kept(secret, reference), checked=checked)

    def used_by(self, name_or_id: str) -> tuple[str, ...]:
        """The names of the datasets that read the account: they would stop without it."""
        return self._accounts.used_by(name_or_id)

    def paused(self, name_or_id: str) -> tuple[str, ...]:
        """The names of those of them that are paused."""
        account = self._accounts.get(name_or_id).id
        return tuple(one.name for one in self._datasets.list() if one.account == account and one.pause is not None)

    def remove(self, name_or_id: str, *, with_datasets: bool = False) -> tuple[str, ...]:
        """Forgets the account and its key; with `with_datasets` those that read it too, whose names are returned.

        Their tables stay.
        """
        account = self._accounts.get(name_or_id).id
        gone = [one.id for one in self._datasets.list() if one.account == account] if with_datasets else []
        with delete_archives(self._state, gone):
            return self._accounts.remove(account, with_datasets=with_datasets)

    def rotate(self) -> KeysRotated:
        """Encrypts every key anew under the first master key; those that are lost stay as they are."""
        rotated = self._accounts.rotate()
        alerts_lost, hash_keys_lost = self._alerts.rotate(), False
        try:
            self._hash_keys.rotate()
        except AccountError:
            hash_keys_lost = True
        return KeysRotated(rotated.keys, rotated.locked, hash_keys_lost, alerts_lost)

    def _ask(self, secret: str, api_base: str, stripe_account: str | None) -> Checked:
        # Only what asks Stripe pays for the import of what does.
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
            error.hint = f"Look up or make a key at {page}."
            raise
        except TransientError as error:
            error.hint = f"Nothing was stored. {error.hint or 'Try again later.'}"
            raise
        finally:
            wait_for(client.close())


def readable(account: Account) -> tuple[Readable, ...]:
    """What the account's key may read, in the menu's order, as it was found when it was tried last."""
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
    """`live`, `test`, or None when it was never tried."""
    return _MODES[account.livemode]


def account_dict(account: Account) -> dict[str, Any]:
    """The account for JSON. Holds no key."""
    shown = plain_fields(account, *(name for name in Account.__slots__ if name not in _NOT_SHOWN))
    return {**shown, "mode": mode(account), "reports": plain(readable(account))}


#: What `reports` tells better, and what is of no use to anyone outside.
_NOT_SHOWN = frozenset({"fingerprint", "livemode", "readable", "missing"})


def _free_name(checked: Checked, taken: Collection[str]) -> str:
    """What Stripe calls the account, with the mode where another one is called that, or with a number."""
    # A name that Stripe's own rules allow and ours do not gives way to the id.
    said = redacted(checked.display_name or "").strip()[:80]
    wanted = said if said.isprintable() and said else checked.stripe_id or "Stripe"
    told = f"{wanted} ({_MODES[checked.livemode]})" if checked.livemode is not None else wanted
    numbered = (f"{told} {n}" for n in range(2, len(taken) + 3))
    return next(name for name in (wanted, told, *numbered) if name.casefold() not in taken)


def _given(key: str | None, reference: str | None) -> str:
    if (key is None) == (reference is None):
        raise ValueError("an account has a key or a reference to one")
    return resolve(checked_reference(reference)) if reference is not None else str(key).strip()


def _kept(secret: str, reference: str | None) -> dict[str, Any]:
    """What the state keeps: the key, or the reference in its place."""
    told = Key(secret)
    kept = {"key": secret} if reference is None else {"reference": reference}
    return {"shown": repr(told), "fingerprint": told.fingerprint, **kept}


def _another(account: Account, checked: Checked) -> SettingsError | None:
    """What is wrong with a key that is not of the account's Stripe account and mode."""
    # A key that may not be asked whose it is is known by itself, and can't be told from one of another account.
    known = [one for one in (account.stripe_id, checked.stripe_id) if one and not one.startswith("key_")]
    if account.livemode is not None and account.livemode != checked.livemode:
        now, before = _MODES[checked.livemode], _MODES[account.livemode]
        said = f"This is a {now} key, and the account {account.name!r} is {before}"
    elif len(set(known)) > 1:
        said = f"This is a key of {checked.stripe_id}, and the account {account.name!r} is {account.stripe_id}"
    else:
        return None
    return SettingsError(
        said,
        hint="Its datasets would mix two sets of books. Add the key as an account of its own: counterfoil accounts add",
    )
