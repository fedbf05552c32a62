"""Connecting an account: the key is tested at once and saved under the name of its Stripe account."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Protocol
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.app.datasets.drafts import all_report_options, permissions
from counterfoil.app.values import Account
from counterfoil.errors import CounterfoilError, SettingsError
from counterfoil.web.forms.form_data import redirect
from counterfoil.web.problems import is_htmx, problem
from counterfoil.web.rendering import render

#: The value of the field `account` for an account that is not connected yet.
NEW = "new"


@dataclass(frozen=True, slots=True)
class KeyPages:
    """URLs of Stripe's pages for API keys."""

    all: str
    test: str
    #: Creates a restricted key with preselected permissions.
    create: str


def _create_page() -> str:
    # Stripe does not document these parameters, but other products use them. The page also lists the permissions.
    parameters = [("name", "Counterfoil"), *(("permissions[]", name) for name in permissions())]
    return f"https://dashboard.stripe.com/apikeys/create?{urlencode(parameters)}"


KEY_PAGES = KeyPages(
    all="https://dashboard.stripe.com/apikeys", test="https://dashboard.stripe.com/test/apikeys", create=_create_page()
)


class Where(Protocol):
    """The API base URL, and the connected account if any."""

    stripe_account: str
    api_base: str


@dataclass(slots=True)
class ConnectForm:
    """The fields in addition to the key, which is never sent back."""

    stripe_account: str = ""
    api_base: str = ""


def routes(app: App) -> APIRouter:
    """`/accounts/new` and `/accounts/sandbox`."""
    router = APIRouter()

    def show(request: Request, typed: ConnectForm, problem: CounterfoilError | None = None) -> Response:
        return render(
            request,
            "connect.html",
            form=typed,
            errors={} if problem is None else {"key": problem},
            focus=_focus,
            key_pages=KEY_PAGES,
            permissions=permissions(),
            offers=all_report_options(),
        )

    @router.get("/accounts/new")
    def begin(request: Request) -> Response:
        return show(request, ConnectForm())

    @router.post("/accounts/new")
    def add(
        request: Request,
        key: Annotated[str, Form()] = "",
        stripe_account: Annotated[str, Form()] = "",
        api_base: Annotated[str, Form()] = "",
    ) -> Response:
        typed = ConnectForm(stripe_account, api_base)
        try:
            account = connect(app, key, typed)
        except CounterfoilError as error:
            return say_key_problem(request, error) or show(request, typed, error)
        return redirect(request, f"/accounts/{account.id}?new=1")

    @router.post("/accounts/sandbox")
    def try_sandbox(request: Request) -> Response:
        """Connects an account of the simulated Stripe and redirects to the form of its first dataset."""
        if request.app.state.sandbox is None:
            return problem(request, 404)
        address, key = request.app.state.sandbox()
        known = next((one for one in app.accounts.list() if one.api_base == address), None)
        account = known or app.accounts.add(_free_name(app), key, api_base=address)
        return redirect(request, f"/datasets/new?account={account.id}")

    return router


def _free_name(app: App) -> str:
    """An unused name: `Sandbox`, `Sandbox 2`, …"""
    taken = {one.name for one in app.accounts.list()}
    return next(name for n in range(1, len(taken) + 2) if (name := f"Sandbox {n}" if n > 1 else "Sandbox") not in taken)


def connect(app: App, key: str, where: Where) -> Account:
    """Saves the account of a key; raises the errors of `AccountService.connect`."""
    check_given(key)
    # STRIPE_API_BASE applies here as on the command line.
    api_base = where.api_base.strip() or os.environ.get("STRIPE_API_BASE", "").strip()
    return app.accounts.connect(key, api_base=api_base or None, stripe_account=where.stripe_account.strip() or None)


def check_given(key: str) -> None:
    """SettingsError for an empty key."""
    if not key.strip():
        raise SettingsError("no key given", hint="Paste a key that starts with rk_ or sk_.", code="missing_key")


def say_key_problem(request: Request, error: CounterfoilError) -> Response | None:
    """For htmx the error below the key field; None for other requests. The browser keeps the form and the key."""
    if not is_htmx(request):
        return None
    answer = render(request, "parts/key_problem.html", error=error)
    answer.headers["HX-Retarget"] = "#key-message"
    answer.headers["HX-Reswap"] = "innerHTML"
    answer.headers["HX-Reselect"] = "#key-problem"
    return answer


def _focus(name: str) -> dict[str, str]:
    return {"autofocus": "autofocus"} if name == "key" else {}
