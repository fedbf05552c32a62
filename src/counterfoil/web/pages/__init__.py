"""The pages, one module each, and the list of their routes: each takes the app and gives a router."""

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

#: What `make_app` serves, in the menu's order: each module's `routes`.
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
    # What is below a dataset's address comes last: it would else take `/datasets/new` for a dataset.
    data.routes,
    history.routes,
    proof.routes,
    dataset.routes,
)
