"""`/accounts`: saved Stripe keys."""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from counterfoil.app.accounts import account_dict
from counterfoil.app.app import App
from counterfoil.app.values import Account
from counterfoil.web.api import answers, bodies
from counterfoil.web.api.problems import Refused, looked_up
from counterfoil.web.api.resource import address_of, router_of

_Word = Annotated[str, Path(alias="account", description="The account's name or id.")]

_KNOWN: dict[int | str, dict[str, Any]] = {200: {"model": answers.Account, "description": "The key was already saved."}}


def routes(app: App) -> APIRouter:
    """`/accounts` and the routes below it."""
    router = router_of("accounts")
    _saved(app, router)
    _one(app, router)
    return router


def _saved(app: App, router: APIRouter) -> None:
    @router.get("/accounts")
    def list_accounts() -> answers.Accounts:
        """Lists all accounts by name."""
        return answers.Accounts(items=[_answer(one) for one in app.accounts.list()])

    @router.post("/accounts", status_code=201, responses=_KNOWN)
    def create_account(response: Response, body: bodies.AccountBody) -> answers.Account:
        """Tests a key at Stripe and saves it."""
        # STRIPE_API_BASE applies here as on the command line.
        api_base = (body.api_base or os.environ.get("STRIPE_API_BASE", "")).strip() or None
        key = body.key.get_secret_value()
        if body.name is None:
            known = {one.id for one in app.accounts.list()}
            account = app.accounts.connect(key, api_base=api_base, stripe_account=body.stripe_account)
            response.status_code = 200 if account.id in known else 201
        else:
            account = app.accounts.add(body.name, key, api_base=api_base, stripe_account=body.stripe_account)
        response.headers["Location"] = address_of(f"/accounts/{account.id}")
        return _answer(account)


def _one(app: App, router: APIRouter) -> None:
    @router.get("/accounts/{account}")
    def get_account(account: _Word) -> answers.Account:
        """Returns an account."""
        return _answer(_account(app, account))

    @router.patch("/accounts/{account}")
    def rename_account(account: _Word, body: bodies.AccountChanges) -> answers.Account:
        """Renames an account."""
        return _answer(app.accounts.rename(_account(app, account).id, body.name))

    @router.post("/accounts/{account}/check")
    def check_account(account: _Word) -> answers.Account:
        """Tests the key again and updates the list of available reports."""
        return _answer(app.accounts.check(_account(app, account).id))

    @router.put("/accounts/{account}/key")
    def replace_key(account: _Word, body: bodies.KeyBody) -> answers.Account:
        """Replaces the key with another one of the same Stripe account and mode. Stripe must accept the new key."""
        found = _account(app, account)
        return _answer(app.accounts.replace_key(found.id, body.key.get_secret_value()))

    @router.delete("/accounts/{account}")
    def delete_account(
        account: _Word,
        with_datasets: Annotated[bool, Query(description="Remove the datasets of the account too.")] = False,
    ) -> answers.AccountGone:
        """Removes the account and its key. Tables stay unchanged."""
        found = _account(app, account)
        users = app.accounts.used_by(found.id)
        if users and not with_datasets:
            raise Refused(
                "in_use",
                f"account {found.name!r} is used by {', '.join(users)}",
                "Pass with_datasets=true to remove them too.",
            )
        gone = app.accounts.remove(found.id, with_datasets=with_datasets)
        return answers.AccountGone(removed=found.name, datasets=list(gone))


def _account(app: App, word: str) -> Account:
    with looked_up():
        return app.accounts.get(word)


def _answer(account: Account) -> answers.Account:
    return answers.Account.model_validate(account_dict(account))
