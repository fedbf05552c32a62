"""Request bodies. Fields have the names of `docs/configuration.md`; unknown fields are rejected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, create_model

from counterfoil.dataset_options import CHOICE, OPTIONS, Kind, Option

_Number = Annotated[int, Field(ge=0, le=1_000_000)]
#: Text without NUL, which Postgres can't store.
_Word = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
_Words = Annotated[list[_Word], Field(max_length=1000)]


class Body(BaseModel):
    """The base of request bodies. Types are strict: "5" is not a number."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    def said(self) -> dict[str, Any]:
        """The fields of the request, including nulls."""
        return self.model_dump(exclude_unset=True)


class AccountBody(Body):
    """A key to save."""

    key: SecretStr = Field(description="A Stripe key. It is tested first, stored encrypted, and never returned.")
    name: _Word | None = Field(
        default=None,
        description="The name of the account. Default: Stripe's name of the account; a key that is already saved is "
        "not saved again then.",
    )
    stripe_account: _Word | None = Field(default=None, description="A connected account of a platform, `acct_…`.")
    api_base: _Word | None = Field(default=None, description="A custom API URL, such as that of a sandbox.")


class AccountChanges(Body):
    """A new name of an account."""

    name: _Word


class KeyBody(Body):
    """Another key of the same Stripe account and mode."""

    key: SecretStr


#: All other kinds are text.
_TYPES: dict[Kind, Any] = {
    "number": _Number,
    "attempts": _Number | bool,
    "switch": bool,
    "names": _Words,
    "pairs": dict[_Word, _Word],
    "destinations": _Word | list[_Word],
}


def _body(options: Iterable[Option]) -> Any:
    """A body with a field for each option."""
    fields: dict[str, Any] = {}
    for option in options:
        kind: Any = Literal.__getitem__(option.choices) if option.choices else _TYPES.get(option.kind, _Word)
        fields[option.name] = (kind | None, Field(default=None, description=option.api_help or option.help))
    return create_model("Options", __base__=Body, **fields)


class ChoiceWords(_body(CHOICE), Body):  # type: ignore[misc] # the fields come from the table
    """The options that select rows and columns of a report."""


class DatasetWords(_body(OPTIONS), Body):  # type: ignore[misc]
    """The options of a dataset. Null restores the default; fields omitted from a new dataset have their defaults."""


class DatasetBody(DatasetWords):
    """A dataset to create."""

    name: _Word
    account: _Word = Field(description="An account's name or id.")
    report: _Word = Field(description="A report's key.")


class DatasetChanges(DatasetWords):
    """The fields of a dataset to change. Omitted fields stay unchanged; null restores the default."""

    name: _Word | None = None
    account: _Word | None = Field(default=None, description="Another account's name or id.")


class PreviewBody(ChoiceWords):
    """A report of an account with the options of a dataset."""

    account: _Word
    report: _Word
    rows: Annotated[int, Field(ge=1, le=100)] = 20


class ReloadBody(Body):
    """The table to rebuild, if any."""

    to: _Word | None = Field(
        default=None,
        description="A destination URL, of the dataset or a new one. Its table is rebuilt from the archive at once.",
    )


class PauseBody(Body):
    """The reason of a pause."""

    reason: _Word = "Paused through the API."


class RunBody(Body):
    """The options of a run."""

    allow_shrink: bool = Field(
        default=False,
        description="Load even if this removes more than half of the table. A run that stopped for this reason "
        "continues from its archive.",
    )


class ProveBody(Body):
    """The extent of the checks."""

    recount: Annotated[int, Field(ge=1, le=1000)] | Literal["all"] = Field(
        default=3, description="The number of random windows to read again, or all."
    )
    seed: _Number | None = Field(default=None, description="The seed of an earlier check, to select the same windows.")
    payouts: _Number = Field(default=30, description="The number of newest payouts to add up.")


_Kind = Literal["failed", "recovered", "paused", "late", "proof"]


class AlertBody(Body):
    """A recipient of notifications."""

    name: _Word
    url: SecretStr = Field(
        description="An Apprise URL (`counterfoil docs alerts`). It is stored encrypted and never returned."
    )
    on: list[_Kind] | None = Field(default=None, description="The kinds of notifications to send. Default: all.")


class AlertChanges(Body):
    """The fields of an alert to change. Omitted fields stay unchanged."""

    name: _Word | None = None
    url: SecretStr | None = None
    on: list[_Kind] | None = None


class AskBody(Body):
    """One SELECT over the tables of a destination."""

    sql: str = Field(max_length=20_000)
    destination: _Word | None = Field(
        default=None, description="An id of `/destinations`. Default: the destination of most datasets."
    )


class QuestionBody(AskBody):
    """A query to save under the name in the URL."""
