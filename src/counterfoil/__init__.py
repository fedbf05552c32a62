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

# Not typing's: importing that takes as long as all else here, and Ctrl-C meanwhile prints a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from counterfoil.app import Connection, Description, connect, describe, run_dataset
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


if not TYPE_CHECKING:  # for type checkers a wrong name is an error

    def __getattr__(name: str) -> Any:
        # What imports pyarrow and pydantic waits for its first use, so that the command line starts quickly.
        if name not in __all__:
            raise AttributeError(f"module 'counterfoil' has no attribute {name!r}")
        if name == "Pulled":
            from counterfoil.runs.pull import Pulled

            return Pulled
        if name == "Reader":
            from counterfoil.runs.read import Reader

            return Reader
        if name == "Window":
            from counterfoil.values import Window

            return Window
        from counterfoil import app

        return getattr(app, name)


def __dir__() -> list[str]:
    return __all__
