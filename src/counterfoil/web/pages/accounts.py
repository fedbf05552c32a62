"""The page of an account: key, available reports, datasets; rename, replace the key, check, move datasets, remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from counterfoil.app.accounts import mode, readable
from counterfoil.app.app import App
from counterfoil.app.datasets.usage_forecast import account_forecast
from counterfoil.app.values import Account, DatasetSummary
from counterfoil.errors import AccountError, CounterfoilError, SettingsError
from counterfoil.web.access.login import within
from counterfoil.web.formatting import counted
from counterfoil.web.forms.dataset import Problems
from counterfoil.web.forms.form_data import redirect
from counterfoil.web.pages.actions import each, failures_page
from counterfoil.web.pages.connect import KEY_PAGES, check_given, say_key_problem
from counterfoil.web.rendering import render


def routes(app: App) -> APIRouter:
    """`/accounts/{account}` and the routes below it; `pages/home.py` has the list."""
    router, pages, place = APIRouter(), _Pages(app), "/accounts/{account}"
    router.add_api_route(place, pages.show, methods=["GET"])
    router.add_api_route(f"{place}/name", pages.rename, methods=["POST"])
    router.add_api_route(f"{place}/key", pages.replace_key, methods=["POST"])
    router.add_api_route(f"{place}/check", pages.check, methods=["POST"])
    router.add_api_route(f"{place}/move", pages.move, methods=["POST"])
    router.add_api_route(f"{place}/remove", pages.ask_removal, methods=["GET"])
    router.add_api_route(f"{place}/remove", pages.remove, methods=["POST"])
    return router


class _Pages:
    """The page of an account and its actions."""

    def __init__(self, app: App) -> None:
        self._app = app

    def show(self, request: Request, account: str, new: str = "") -> Response:
        return self._page(request, self._app.accounts.get(account), new=bool(new))

    def rename(self, request: Request, account: str, name: Annotated[str, Form()] = "") -> Response:
        found = self._app.accounts.get(account)
        try:
            self._app.accounts.rename(found.id, name)
        except SettingsError as error:
            return self._page(request, found, problems={"name": error}, typed=name)
        return _back(found)

    def replace_key(self, request: Request, account: str, key: Annotated[str, Form()] = "") -> Response:
        found = self._app.accounts.get(account)
        try:
            check_given(key)
            self._app.accounts.replace_key(found.id, key)
        except CounterfoilError as error:
            return say_key_problem(request, error) or self._page(request, found, problems={"key": error})
        return redirect(request, f"/accounts/{found.id}")

    def check(self, account: str, next: Annotated[str, Form()] = "") -> Response:  # noqa: A002 - in forms
        found = self._app.accounts.get(account)
        try:
            self._app.accounts.check(found.id)
        except (AccountError, SettingsError):
            if self._app.accounts.get(found.id).status == "ok":
                raise
            # The account stores the problem, and its page shows it.
        return RedirectResponse(within(next) if next else f"/accounts/{found.id}", status_code=303)

    def move(
        self,
        request: Request,
        account: str,
        to: Annotated[str, Form()] = "",
        dataset: Annotated[Sequence[str], Form()] = (),
    ) -> Response:
        found = self._app.accounts.get(account)
        if not dataset:
            error = SettingsError("no dataset selected", hint="Select the datasets to move.")
            return self._page(request, found, problems={"move": error})
        other = self._app.accounts.get(to)
        done, failed = each(self._app, dataset, lambda one: self._app.datasets.edit(one, account=other.id))
        if failed:
            return failures_page(request, f"Move to {other.name}", done, failed, f"/accounts/{found.id}")
        return _back(found)

    def ask_removal(self, request: Request, account: str) -> Response:
        return self._removal(request, self._app.accounts.get(account))

    def remove(self, request: Request, account: str, datasets: Annotated[str, Form()] = "") -> Response:
        """`datasets` confirms that the datasets of the account are removed too."""
        found = self._app.accounts.get(account)
        users = self._users(found)
        if users and not datasets:
            in_use = f"account {found.name!r} is used by {counted(len(users), 'dataset')}"
            hint = "Select that they are removed too, or move them to another account first."
            return self._removal(request, found, SettingsError(in_use, hint=hint))
        try:
            self._app.accounts.remove(found.id, with_datasets=bool(datasets))
        except CounterfoilError as error:
            return self._removal(request, found, error)
        return RedirectResponse("/accounts", status_code=303)

    def _page(
        self,
        request: Request,
        found: Account,
        *,
        problems: Problems | None = None,
        typed: str | None = None,
        new: bool = False,
    ) -> Response:
        users = self._users(found)
        outlooks = self._app.datasets.outlooks(found.id)
        return render(
            request,
            "account.html",
            status_code=400 if problems else 200,
            account=found,
            mode=mode(found),
            new=new,
            typed=found.name if typed is None else typed,
            errors=problems or {},
            reports=readable(found),
            users=users,
            outlooks=outlooks,
            together=account_forecast(outlooks.values()),
            paused=[one for one in users if one.dataset.pause is not None],
            others=[one for one in self._app.accounts.list() if one.id != found.id],
            mode_of=mode,
            key_pages=KEY_PAGES,
            now=self._app.state.now(),
        )

    def _removal(self, request: Request, found: Account, problem: CounterfoilError | None = None) -> Response:
        status = 400 if problem else 200
        users = self._users(found)
        return render(request, "remove_account.html", status_code=status, problem=problem, account=found, users=users)

    def _users(self, account: Account) -> list[DatasetSummary]:
        return [one for one in self._app.datasets.list() if one.account.id == account.id]


def _back(account: Account) -> Response:
    return RedirectResponse(f"/accounts/{account.id}", status_code=303)
