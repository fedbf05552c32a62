"""`/accounts`: keys of Stripe, saved under a name."""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from counterfoil.app.accounts import account_dict
from counterfoil.app.app import App
from counterfoil.app.values import Account
from counterfoil.web.api import answers, bodies
from counterfoil.web.api.json_response import V1, json_response
from counterfoil.web.api.problems import Refused, looked_up

_Word = Annotated[str, Path(alias="account", description="The account's name or id.")]

_KNOWN: dict[int | str, dict[str, Any]] = {200: {"model": answers.Account, "description": "It was saved already."}}


def routes(app: App) -> APIRouter:
    """`/accounts`, and what is done with one."""
    router = APIRouter(prefix=V1, tags=["accounts"])
    _saved(app, router)
    _one(app, router)
    return router


def _saved(app: App, router: APIRouter) -> None:
    @router.get("/accounts", response_model=answers.Accounts)
    def list_accounts() -> Response:
        """All accounts by name."""
        return json_response({"items": [account_dict(one) for one in app.accounts.list()]})

    @router.post("/accounts", status_code=201, response_model=answers.Account, responses=_KNOWN)
    def create_account(body: bodies.AccountBody) -> Response:
        """Saves a key, after Stripe has taken it."""
        # The sandbox is found as by the command line.
        api_base = (body.api_base or os.environ.get("STRIPE_API_BASE", "")).strip() or None
        key = body.key.get_secret_value()
        if body.name is None:
            known = {one.id for one in app.accounts.list()}
            account = app.accounts.connect(key, api_base=api_base, stripe_account=body.stripe_account)
            status = 200 if account.id in known else 201
        else:
            account = app.accounts.add(body.name, key, api_base=api_base, stripe_account=body.stripe_account)
            status = 201
        return json_response(account_dict(account), status, location=f"/accounts/{account.id}")


def _one(app: App, router: APIRouter) -> None:
    @router.get("/accounts/{account}", response_model=answers.Account)
    def get_account(account: _Word) -> Response:
        """One account."""
        return json_response(account_dict(_account(app, account)))

    @router.patch("/accounts/{account}", response_model=answers.Account)
    def rename_account(account: _Word, body: bodies.AccountChanges) -> Response:
        """Gives another name."""
        return json_response(account_dict(app.accounts.rename(_account(app, account).id, body.name)))

    @router.post("/accounts/{account}/check", response_model=answers.Account)
    def check_account(account: _Word) -> Response:
        """Tries the key again, and what it may read."""
        return json_response(account_dict(app.accounts.check(_account(app, account).id)))

    @router.put("/accounts/{account}/key", response_model=answers.Account)
    def replace_key(account: _Word, body: bodies.KeyBody) -> Response:
        """Another key of the same Stripe account and mode, after Stripe has taken it."""
        found = _account(app, account)
        return json_response(account_dict(app.accounts.replace_key(found.id, body.key.get_secret_value())))

    @router.delete("/accounts/{account}", response_model=answers.AccountGone)
    def delete_account(
        account: _Word,
        with_datasets: Annotated[bool, Query(description="Remove the datasets that read it too.")] = False,
    ) -> Response:
        """Forgets the account and its key. Tables stay."""
        found = _account(app, account)
        users = app.accounts.used_by(found.id)
        if users and not with_datasets:
            raise Refused(
                "in_use", f"The account {found.name!r} is read by {', '.join(users)}", "Say with_datasets=true."
            )
        gone = app.accounts.remove(found.id, with_datasets=with_datasets)
        return json_response({"removed": found.name, "datasets": list(gone)})


def _account(app: App, word: str) -> Account:
    with looked_up():
        return app.accounts.get(word)
