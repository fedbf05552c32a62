"""Which extra installs a library that the core does without."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from counterfoil.errors import SettingsError

#: By extra, the modules that it brings and the core lacks. A test compares them with pyproject.toml.
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
    """What to install for `what`, where the module that is missing comes with an extra; None for any other module."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return SettingsError(
                f"{what} needs {module}, which is not installed", hint=f"pip install 'counterfoil[{extra}]'"
            )
    return None
