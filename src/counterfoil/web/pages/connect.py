"""Connecting an account: one field for a key, which is tried at once and saved under the name of whose it is."""

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
from counterfoil.web.forms.dataset import field_messages
from counterfoil.web.forms.form_data import redirect
from counterfoil.web.problems import is_htmx, problem
from counterfoil.web.rendering import render

#: What stands for an account that is yet to be connected.
NEW = "new"


@dataclass(frozen=True, slots=True)
class KeyPages:
    """Stripe's pages about keys."""

    all: str
    test: str
    #: Makes a restricted key, with the permissions ticked.
    create: str


def _create_page() -> str:
    # Stripe does not document these parameters; others rely on them, and the names are listed beside the link.
    asked = [("name", "Counterfoil"), *(("permissions[]", name) for name in permissions())]
    return f"https://dashboard.stripe.com/apikeys/create?{urlencode(asked)}"


KEY_PAGES = KeyPages(
    all="https://dashboard.stripe.com/apikeys", test="https://dashboard.stripe.com/test/apikeys", create=_create_page()
)


class Where(Protocol):
    """Which Stripe, and whose account there."""

    stripe_account: str
    api_base: str


@dataclass(slots=True)
class ConnectForm:
    """What was typed beside the key, which is never sent back."""

    stripe_account: str = ""
    api_base: str = ""


def routes(app: App) -> APIRouter:
    """`/accounts/new` and `/accounts/sandbox`."""
    router = APIRouter()

    def show(request: Request, typed: ConnectForm, problem: CounterfoilError | None = None) -> Response:
        errors = {} if problem is None else field_messages({"key": problem})
        return render(
            request,
            "connect.html",
            form=typed,
            errors=errors,
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
        """An account of a simulated Stripe, and on to its first dataset."""
        if request.app.state.sandbox is None:
            return problem(request, 404)
        address, key = request.app.state.sandbox()
        known = next((one for one in app.accounts.list() if one.api_base == address), None)
        account = known or app.accounts.add(_free_name(app), key, api_base=address)
        return redirect(request, f"/datasets/new?account={account.id}")

    return router


def _free_name(app: App) -> str:
    """`Sandbox`, or that with a number."""
    taken = {one.name for one in app.accounts.list()}
    return next(name for n in range(1, len(taken) + 2) if (name := f"Sandbox {n}" if n > 1 else "Sandbox") not in taken)


def connect(app: App, key: str, where: Where) -> Account:
    """The account of a key that was typed; raises what Stripe says to it."""
    check_given(key)
    # The sandbox is found as by the command line.
    api_base = where.api_base.strip() or os.environ.get("STRIPE_API_BASE", "").strip()
    return app.accounts.connect(key, api_base=api_base or None, stripe_account=where.stripe_account.strip() or None)


def check_given(key: str) -> None:
    """Nothing is not worth asking Stripe about."""
    if not key.strip():
        raise SettingsError("No key is given", hint="Paste a key that begins with rk_ or sk_.")


def say_key_problem(request: Request, error: CounterfoilError) -> Response | None:
    """For htmx only the line below the field: what was typed stays in the browser, and a key never travels back."""
    if not is_htmx(request):
        return None
    answer = render(request, "parts/key_problem.html", error=field_messages({"key": error})["key"])
    answer.headers["HX-Retarget"] = "#key-told"
    answer.headers["HX-Reswap"] = "innerHTML"
    answer.headers["HX-Reselect"] = "#key-problem"
    return answer


def _focus(name: str) -> dict[str, str]:
    return {"autofocus": "autofocus"} if name == "key" else {}
