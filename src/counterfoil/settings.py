"""Settings from `COUNTERFOIL_*`: where things are kept, how much of Stripe's limits to use, how to log."""

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

#: Of the variables of all settings.
PREFIX = "COUNTERFOIL_"


def parse_digits(text: str | Mapping[str, int]) -> dict[str, int]:
    """`isk=0,usdc=3` as digits by lower-case code; SettingsError names the entry that is wrong."""
    if isinstance(text, Mapping):
        entries = [f"{code}={digits}" for code, digits in text.items()]
    else:
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    parsed: dict[str, int] = {}
    for entry in entries:
        match = re.fullmatch(r"([a-z]{3,8})\s*=\s*([0-3])", entry.lower())
        if match is None or match[1] in parsed:
            raise SettingsError(
                f"COUNTERFOIL_CURRENCY_DIGITS is not valid: {entry!r}",
                hint="Give each currency once with 0 to 3 digits, such as isk=0,usdc=2.",
            )
        parsed[match[1]] = int(match[2])
    return parsed


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"there is no home to expand {path.parts[0]} to") from error


def _origin(text: str) -> str:
    parts = urlsplit(text)
    wanted = parts.scheme in ("http", "https") and parts.hostname and not (parts.username or parts.password)
    if not wanted or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("give https:// and a host, with no path, such as https://counterfoil.example.com")
    return f"{parts.scheme}://{parts.netloc}".lower()


Folder = Annotated[Path, AfterValidator(_expanded)]


class Settings(BaseModel):
    """What the operator chose; every field is a variable of the environment with the prefix `COUNTERFOIL_`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """A field that is not given is what its variable says; an empty variable says nothing."""
        variables = {name: os.environ.get(f"{PREFIX}{name.upper()}") for name in cls.model_fields}
        return {name: text for name, text in variables.items() if text} | dict(given)

    home: Folder = Field(
        default_factory=lambda: user_data_path("counterfoil"), description="Folder of archives, state and datasets."
    )
    archive_path: Folder | None = Field(default=None, description="Folder of archives, when it is not in the home.")
    state_url: SecretStr | None = Field(
        default=None, description="Where the state is kept: `sqlite:///file` (below the home) or `postgresql://…`."
    )
    state_url_file: Path | None = Field(default=None, description="File that holds the URL of the state instead.")
    secret_key: SecretStr | None = Field(
        default=None,
        description="Master keys of the vault, base64 of 32 bytes each, apart by commas or lines; the first encrypts. "
        "Without one, `secret.key` in the home is made at first use.",
    )
    secret_key_file: Path | None = Field(default=None, description="File that holds the master keys instead.")
    rate_global: float | None = Field(
        default=None, gt=0, description="Requests a second to one account; 100 with a live key and 25 with a test key."
    )
    rate_endpoint: float = Field(default=25, gt=0, description="Requests a second to one endpoint.")
    rate_share: float = Field(
        default=0.8, gt=0, le=1, description="Share of both rates to use; other integrations use the same limits."
    )
    in_flight: int = Field(default=64, ge=1, le=256, description="Most requests in flight to one account.")
    retry_seconds: float = Field(
        default=300, gt=0, le=3600, description="How long a request that fails is retried before the run fails."
    )
    response_megabytes: int = Field(
        default=64,
        ge=1,
        le=1024,
        description="Largest response from Stripe or Domo, compressed or decompressed; a larger one fails the run.",
    )
    currency_digits: Annotated[dict[str, int], BeforeValidator(parse_digits)] = Field(
        default_factory=dict, description="Digits of currencies, 0 to 3, over Stripe's lists: `isk=0,usdc=2`."
    )
    busy_seconds: float = Field(
        default=600, ge=0, description="How long a load waits for a destination that another process holds."
    )
    key_confirm_seconds: float = Field(
        default=5,
        ge=0,
        description="Seconds after which a key that Stripe rejected is tried once more; a second rejection pauses the "
        "account's datasets.",
    )
    state_wait_seconds: float = Field(
        default=60, ge=0, description="Seconds for which attempts wait for the state's database when it is unavailable."
    )
    archive_days: int = Field(
        default=30, ge=0, description="Days for which what a dataset's runs read is kept, or its last runs, if longer."
    )
    archive_runs: int = Field(default=10, ge=1, description="Last runs of a dataset that succeeded, kept if longer.")
    archive_gigabytes: float = Field(
        default=50, gt=0, description="Most that is kept of all runs; the last that succeeded of each dataset stay."
    )
    free_megabytes: int = Field(
        default=10,
        ge=0,
        description="Least free space, in MB, on the disks of the archive and of a destination that is a file or a "
        "folder. With less, a pull or a run is refused before it asks Stripe. 0 never refuses.",
    )
    duckdb_megabytes: int = Field(
        default=160,
        ge=160,
        description="Memory that DuckDB takes for a load or a question; what does not fit goes to disk meanwhile.",
    )
    reread_requests: int = Field(
        default=500,
        ge=1,
        description="Most requests that a run of a merge spends on reading again what no event told of. What takes no "
        "more in all is read again at once, when its days are over; a larger one bit by bit.",
    )
    least_minutes: int = Field(default=15, ge=1, description="Least minutes between two scheduled runs of a dataset.")
    host: str = Field(default="127.0.0.1", description="Address that the page listens on; another needs a password.")
    port: int = Field(default=8321, ge=0, le=65535, description="Port that the page listens on; 0 picks a free one.")
    url: Annotated[str, AfterValidator(_origin)] | None = Field(
        default=None,
        description="Where people reach the page, when that is a reverse proxy or a name: "
        "`https://counterfoil.example.com`. Needs a password.",
    )
    password: SecretStr | None = Field(
        default=None, description="Password of the page, 10 characters or more, instead of a link that works once."
    )
    password_file: Path | None = Field(default=None, description="File that holds the password instead.")
    log: Literal["text", "json"] = Field(default="text", description="How log lines are written.")

    @property
    def archive(self) -> Path:
        """The folder of archives."""
        return self.archive_path or self.home / "archive"

    def secret(self, name: Literal["state_url", "secret_key", "password"]) -> str | None:
        """The secret itself, from its variable or from the file that `…_FILE` names; None when neither is set.

        SettingsError when both are, or when the file can't be read. It is read anew each time.
        """
        variable = f"COUNTERFOIL_{name.upper()}"
        given: SecretStr | None = getattr(self, name)
        file: Path | None = getattr(self, f"{name}_file")
        if given is not None and file is not None:
            raise SettingsError(f"{variable} and {variable}_FILE are both set", hint="Keep one of them.")
        if file is None:
            return None if given is None else given.get_secret_value().strip()
        try:
            return file.expanduser().read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SettingsError(
                f"{variable}_FILE can't be read: {file}: {reason}", hint="Name a file that this user may read."
            ) from error


def load_settings() -> Settings:
    """The settings of the environment; SettingsError names the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        told = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name} is not valid: {told}", hint="See docs/settings.md.") from error
