"""Settings from the environment variables `COUNTERFOIL_*`: storage, rate limits, service, logging."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from counterfoil.errors import SettingsError

#: Prefix of all variables.
PREFIX = "COUNTERFOIL_"


def parse_digits(text: str | Mapping[str, int]) -> dict[str, int]:
    """`isk=0,usdc=3` as digits by lower-case code; SettingsError names the invalid entry."""
    if isinstance(text, Mapping):
        entries = [f"{code}={digits}" for code, digits in text.items()]
    else:
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    parsed: dict[str, int] = {}
    for entry in entries:
        match = re.fullmatch(r"([a-z]{3,8})\s*=\s*([0-3])", entry.lower())
        if match is None or match[1] in parsed:
            raise SettingsError(
                f"invalid COUNTERFOIL_CURRENCY_DIGITS: {entry!r}",
                hint="List each currency once with 0 to 3 digits, such as isk=0,usdc=2.",
            )
        parsed[match[1]] = int(match[2])
    return parsed


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"no home directory found for {path.parts[0]}") from error


def _origin(text: str) -> str:
    parts = urlsplit(text)
    wanted = parts.scheme in ("http", "https") and parts.hostname and not (parts.username or parts.password)
    if not wanted or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("expected https:// and a host without a path, such as https://counterfoil.example.com")
    return f"{parts.scheme}://{parts.netloc}".lower()


Folder = Annotated[Path, AfterValidator(_expanded)]


class Settings(BaseModel):
    """The operator's settings; each field is an environment variable with the prefix `COUNTERFOIL_`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Takes missing fields from their variables; ignores empty variables."""
        variables = {name: os.environ.get(f"{PREFIX}{name.upper()}") for name in cls.model_fields}
        return {name: text for name, text in variables.items() if text} | dict(given)

    home: Folder = Field(
        default_factory=lambda: user_data_path("counterfoil"), description="Home directory: archives, state and tables."
    )
    archive_path: Folder | None = Field(default=None, description="Archive folder, if not in the home directory.")
    state_url: SecretStr | None = Field(
        default=None,
        description="Database of the state: `sqlite:///file` (relative to the home directory) or `postgresql://…`.",
    )
    state_url_file: Path | None = Field(default=None, description="File that contains the URL of the state.")
    secret_key: SecretStr | None = Field(
        default=None,
        description="Master keys of the vault: 32 bytes each in base64, separated by commas or newlines. The first key "
        "encrypts. By default, `secret.key` in the home directory is created at first use.",
    )
    secret_key_file: Path | None = Field(default=None, description="File that contains the master keys.")
    rate_global: float | None = Field(
        default=None,
        gt=0,
        description="Requests per second and account; by default 100 with a live key, 25 with a test key.",
    )
    rate_endpoint: float = Field(default=25, gt=0, description="Requests per second and endpoint.")
    rate_share: float = Field(
        default=0.8, gt=0, le=1, description="Share of both rates to use; other integrations share the same limits."
    )
    in_flight: int = Field(default=64, ge=1, le=256, description="Maximum concurrent requests per account.")
    retry_seconds: float = Field(
        default=300, gt=0, le=3600, description="How long to retry a failed request before the run fails."
    )
    response_megabytes: int = Field(
        default=64,
        ge=1,
        le=1024,
        description="Maximum size of a response from Stripe or Domo, compressed or decompressed. A larger response "
        "fails the run.",
    )
    currency_digits: Annotated[dict[str, int], BeforeValidator(parse_digits)] = Field(
        default_factory=dict,
        description="Decimal digits of currencies, 0 to 3; overrides Stripe's lists: `isk=0,usdc=2`.",
    )
    busy_seconds: float = Field(
        default=600, ge=0, description="How long a load waits for a destination that another process has locked."
    )
    key_confirm_seconds: float = Field(
        default=5,
        ge=0,
        description="Seconds before a rejected key is tried once more. A second rejection pauses the account's "
        "datasets.",
    )
    state_wait_seconds: float = Field(
        default=60, ge=0, description="How long attempts wait for the state's database while it is unavailable."
    )
    archive_days: int = Field(
        default=30, ge=0, description="Retention of archives, in days; the last successful runs are kept longer."
    )
    archive_runs: int = Field(
        default=10, ge=1, description="Successful runs of each dataset that are kept even after `archive_days`."
    )
    archive_gigabytes: float = Field(
        default=50,
        gt=0,
        description="Maximum size of all archives; the last successful run of each dataset is always kept.",
    )
    free_megabytes: int = Field(
        default=10,
        ge=0,
        description="Minimum free disk space, in MB, for the archive and for destinations that are files or folders. "
        "With less, a pull or a run fails before it sends requests to Stripe. 0 disables the check.",
    )
    duckdb_megabytes: int = Field(
        default=160,
        ge=160,
        description="Memory limit of DuckDB for a load or a query; more data is spilled to disk.",
    )
    reread_requests: int = Field(
        default=500,
        ge=1,
        description="Maximum API requests per incremental run for rereading data that no event reports. A dataset that "
        "needs no more gets a full refresh when it is due; a larger one is reread in steps.",
    )
    least_minutes: int = Field(default=15, ge=1, description="Minimum minutes between two scheduled runs of a dataset.")
    host: str = Field(
        default="127.0.0.1", description="Address that the service listens on; any other requires a password."
    )
    port: int = Field(
        default=8321, ge=0, le=65535, description="Port that the service listens on; 0 picks a free port."
    )
    url: Annotated[str, AfterValidator(_origin)] | None = Field(
        default=None,
        description="Public URL of the UI behind a reverse proxy or under a host name: "
        "`https://counterfoil.example.com`. Requires a password.",
    )
    password: SecretStr | None = Field(
        default=None, description="Password of the UI, 10 characters or more; replaces the one-time link."
    )
    password_file: Path | None = Field(default=None, description="File that contains the password.")
    log: Literal["text", "json"] = Field(default="text", description="Format of log lines.")

    @property
    def archive(self) -> Path:
        """The folder of archives."""
        return self.archive_path or self.home / "archive"

    def secret(self, name: Literal["state_url", "secret_key", "password"]) -> str | None:
        """The secret from its variable or from the file that `…_FILE` names; None if neither is set.

        SettingsError if both are set, or if the file cannot be read. Reads the file on each call.
        """
        variable = f"COUNTERFOIL_{name.upper()}"
        given: SecretStr | None = getattr(self, name)
        file: Path | None = getattr(self, f"{name}_file")
        if given is not None and file is not None:
            raise SettingsError(f"{variable} and {variable}_FILE are both set", hint="Unset one of them.")
        if file is None:
            return None if given is None else given.get_secret_value().strip()
        try:
            return file.expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise SettingsError(
                f"cannot read {variable}_FILE {file}: {reason}", hint="Use a file that this user can read."
            ) from error


def load_settings() -> Settings:
    """The settings from the environment; SettingsError names the invalid variable."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"invalid {name}: {reason}", hint="See: counterfoil docs settings") from error
