"""The optional extras of the package and the libraries that each installs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from counterfoil.errors import SettingsError

#: Modules of each extra that the core does not install. A test compares them with pyproject.toml.
EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "postgres": ("psycopg",),
        "serve": (
            "alembic",
            "argon2",
            "cronsim",
            "cryptography",
            "dbos",
            "fastapi",
            "jinja2",
            "prometheus_client",
            "python_multipart",
            "sqlalchemy",
            "tomli_w",
            "uvicorn",
            "xlsxwriter",
        ),
    }
)


def missing_extra(error: ModuleNotFoundError, what: str) -> SettingsError | None:
    """The error that names the extra to install for `what`; None if no extra contains the missing module."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return SettingsError(
                f"{what} requires {module}, which is not installed", hint=f"Run: pip install 'counterfoil[{extra}]'"
            )
    return None
