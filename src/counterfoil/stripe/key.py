"""A Stripe API key: what can be told from its form, and how it is shown. Forms: https://docs.stripe.com/keys"""

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
#: Keys with at least so many characters after the prefix show their last four; shorter ones would show too much.
_LONG = 12


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A key of a form that Stripe gives out; SettingsError for anything else, without repeating it."""

    secret: str

    def __post_init__(self) -> None:
        if not self.secret:
            raise SettingsError("There is no Stripe key.", hint=_WANTED)
        if self.secret.startswith("pk_"):
            raise SettingsError("This is a publishable key (pk_…), which cannot read data.", hint=_WANTED)
        if self.secret.startswith("whsec_"):
            raise SettingsError("This is the signing secret of a webhook (whsec_…), not an API key.", hint=_WANTED)
        if not _FORM.fullmatch(self.secret):
            raise SettingsError("This does not look like a Stripe API key.", hint=_WANTED)

    def __repr__(self) -> str:
        """As shown everywhere: `sk_test_…4242`."""
        match = _FORM.fullmatch(self.secret)
        prefix, body = match.groups() if match else ("", "")
        return f"{prefix}…{body[-4:] if len(body) >= _LONG else ''}"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Stripe key can't be pickled or copied. Pass on where it is: env:NAME or file:/path.")

    @property
    def live(self) -> bool:
        """Whether it reads live data; an organization's key that does not say is taken for live."""
        return "_test_" not in repr(self)

    @property
    def restricted(self) -> bool:
        """Whether it may read only what was granted to it."""
        return self.secret.startswith("rk")

    @property
    def organization(self) -> bool:
        return self.secret.startswith("sk_org_")

    @property
    def fingerprint(self) -> str:
        """Tells keys apart and leads back to none."""
        return hashlib.sha256(self.secret.encode()).hexdigest()[:16]


def account_header(key: Key, stripe_account: str | None) -> dict[str, str]:
    """The header that picks the account, where the key alone does not."""
    if stripe_account is None:
        if key.organization:
            raise SettingsError("An organization key needs the account to read.", hint="Give its id, acct_….")
        return {}
    if not _ACCOUNT.fullmatch(stripe_account):
        raise SettingsError("The connected account is not an id of Stripe's.", hint="Give its id, acct_….")
    # Organization keys are refused without a context: https://docs.stripe.com/keys/organization-api-keys
    return {"Stripe-Context" if key.organization else "Stripe-Account": stripe_account}
