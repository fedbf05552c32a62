"""Stripe clients for saved accounts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing

from counterfoil.errors import CounterfoilError, KeyRejected, StripeUnavailable
from counterfoil.http.async_bridge import stream
from counterfoil.runs.cancellation import Cancellation
from counterfoil.runs.run_context import RunContext
from counterfoil.stripe.client import Client
from counterfoil.stripe.retries import Backoff


def client_of(records: RunContext, credential: str, *, backoff: Backoff | None = None) -> Client:
    """A client with the key of an account, given by its id; the caller closes it."""
    account = records.accounts.get(credential)
    return Client(
        records.accounts.key(account.id),
        api_base=account.api_base,
        stripe_account=account.stripe_account,
        settings=records.settings,
        backoff=backoff,
    )


def confirm_rejected(client: Client, rejected: KeyRejected, seconds: float, cancellation: Cancellation) -> None:
    """Returns if Stripe rejects the key a second time, after `seconds`.

    Raises StripeUnavailable if Stripe then accepts the key or is unavailable, and the errors of `cancellation`.
    """

    async def ask() -> AsyncIterator[bool]:
        await asyncio.sleep(seconds)
        try:
            await client.get("/v1/account")
        except KeyRejected:
            yield True
        except CounterfoilError:
            yield False  # other errors do not show that the key is invalid
        else:
            yield False

    with closing(stream(ask, check=cancellation.check)) as answers:
        confirmed = next(answers)
    if not confirmed:
        raise StripeUnavailable(
            f"Stripe rejected the key once, but not {seconds:g} s later",
            hint="Retry, and send the request id to Stripe support if it happens again.",
            request_id=rejected.request_id,
            path=rejected.path,
            code=rejected.code,
            status=rejected.status,
        ) from rejected
