"""Clients with the keys of saved accounts."""

from __future__ import annotations

from counterfoil.runs.records import Records
from counterfoil.stripe.client import Client
from counterfoil.stripe.retries import Backoff


def client_of(records: Records, credential: str, *, backoff: Backoff | None = None) -> Client:
    """A client with the key of one of our accounts, by its id; whoever gets it closes it."""
    account = records.accounts.get(credential)
    return Client(
        records.accounts.key(account.id),
        api_base=account.api_base,
        stripe_account=account.stripe_account,
        settings=records.settings,
        backoff=backoff,
    )
