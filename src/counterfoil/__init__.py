"""Stripe reports as typed, complete, current tables.

with counterfoil.connect(api_key) as stripe:
    reader = stripe.read("charges", since="2026-01-01")   # Arrow batches: reader.read_all() is a pyarrow.Table
    stripe.pull("invoices", to="duckdb:///books.duckdb")
"""

from __future__ import annotations

from counterfoil.errors import (
    AccountError,
    ClockError,
    CounterfoilError,
    DestinationBusy,
    DestinationRejected,
    KeyRejected,
    PermissionMissing,
    RateLimited,
    RunError,
    SchemaConflict,
    SettingsError,
    StripeUnavailable,
    TransientError,
)
from counterfoil.version import __version__

# Not imported from typing: that import doubles the time of this module, in which Ctrl-C prints a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from counterfoil.app.connection import Connection, connect
    from counterfoil.app.dataset_runner import run_dataset
    from counterfoil.app.description import Description, describe
    from counterfoil.runs.pull import Pulled
    from counterfoil.runs.read import Reader
    from counterfoil.values import Window

__all__ = [
    "AccountError",
    "ClockError",
    "Connection",
    "CounterfoilError",
    "Description",
    "DestinationBusy",
    "DestinationRejected",
    "KeyRejected",
    "PermissionMissing",
    "Pulled",
    "RateLimited",
    "Reader",
    "RunError",
    "SchemaConflict",
    "SettingsError",
    "StripeUnavailable",
    "TransientError",
    "Window",
    "__version__",
    "connect",
    "describe",
    "run_dataset",
]


if not TYPE_CHECKING:  # for type checkers, a module __getattr__ would make every name valid
    #: Names in modules that import pyarrow or pydantic. They load on first use to keep the start of commands fast.
    _MODULES = {
        "Connection": "app.connection",
        "Description": "app.description",
        "Pulled": "runs.pull",
        "Reader": "runs.read",
        "Window": "values",
        "connect": "app.connection",
        "describe": "app.description",
        "run_dataset": "app.dataset_runner",
    }

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module 'counterfoil' has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"counterfoil.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
