"""A Stripe API key: its form, its properties and how it is shown. Forms: https://docs.stripe.com/keys"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import NoReturn

from counterfoil.errors import SettingsError

_FORM = re.compile(r"((?:sk|rk|rkcs)_(?:live|test)_|sk_org_(?:live_|test_)?)([A-Za-z0-9_]{1,250})", re.ASCII)
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9_]{1,100}", re.ASCII)
_WANTED = (
    "Use a secret key (sk_live_… or sk_test_…) or a restricted key with read permissions (rk_live_… or rk_test_…)."
)
#: Keys with at least this many characters after the prefix are shown with their last four; shorter keys without.
_LONG = 12


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A key in one of Stripe's forms; SettingsError for anything else, without the value."""

    secret: str

    def __post_init__(self) -> None:
        if not self.secret:
            raise SettingsError("the Stripe key is empty", hint=_WANTED, code="missing_key")
        if self.secret.startswith("pk_"):
            text = "this is a publishable key (pk_…), which cannot read data"
            raise SettingsError(text, hint=_WANTED, code="publishable_key")
        if self.secret.startswith("whsec_"):
            text = "this is a webhook signing secret (whsec_…), not an API key"
            raise SettingsError(text, hint=_WANTED, code="webhook_secret")
        if not _FORM.fullmatch(self.secret):
            raise SettingsError("this is not a valid Stripe API key", hint=_WANTED, code="invalid_key")

    def __repr__(self) -> str:
        """The key as it is shown everywhere: `sk_test_…4242`."""
        match = _FORM.fullmatch(self.secret)
        prefix, body = match.groups() if match else ("", "")
        return f"{prefix}…{body[-4:] if len(body) >= _LONG else ''}"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Stripe key can't be pickled or copied; pass a reference instead: env:NAME or file:/path")

    @property
    def live(self) -> bool:
        """Whether the key reads live data. An organization key without a mode in its prefix counts as live."""
        return "_test_" not in repr(self)

    @property
    def restricted(self) -> bool:
        """Whether the key is a restricted key, with only the permissions granted to it."""
        return self.secret.startswith("rk")

    @property
    def organization(self) -> bool:
        return self.secret.startswith("sk_org_")

    @property
    def fingerprint(self) -> str:
        """Identifies the key without revealing it."""
        return hashlib.sha256(self.secret.encode()).hexdigest()[:16]


def account_header(key: Key, stripe_account: str | None) -> dict[str, str]:
    """The header that selects the account, if the key alone does not."""
    if stripe_account is None:
        if key.organization:
            text, hint = "an organization key requires an account", "Pass the account's id (acct_…)."
            raise SettingsError(text, hint=hint, code="account_required")
        return {}
    if not _ACCOUNT.fullmatch(stripe_account):
        text = "the connected account is not a Stripe account id"
        raise SettingsError(text, hint="Use an account id (acct_…).", code="invalid_account_id")
    # Stripe rejects organization keys without a context: https://docs.stripe.com/keys/organization-api-keys
    return {"Stripe-Context" if key.organization else "Stripe-Account": stripe_account}
