"""The pages, one module each, and the list of their routes."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from counterfoil.app.app import App
from counterfoil.web.pages import (
    accounts,
    actions,
    alerts,
    ask,
    connect,
    data,
    dataset,
    history,
    home,
    new_dataset,
    proof,
    runs,
    tokens,
)

#: The `routes` of each module, for `make_app`. Each takes the app and returns a router.
PAGES: tuple[Callable[[App], APIRouter], ...] = (
    home.routes,
    connect.routes,
    accounts.routes,
    new_dataset.routes,
    actions.routes,
    runs.routes,
    ask.routes,
    alerts.routes,
    tokens.routes,
    # Routes below `/datasets/{dataset}` come last, since they would match `/datasets/new`.
    data.routes,
    history.routes,
    proof.routes,
    dataset.routes,
)
