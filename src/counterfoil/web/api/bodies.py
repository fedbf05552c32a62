"""What requests bring, with the words of `docs/configuration.md`. A word that is not here is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, create_model

from counterfoil.dataset_options import CHOICE, OPTIONS, Kind, Option

_Number = Annotated[int, Field(ge=0, le=1_000_000)]
#: Postgres, where the state may be, has no text with a zero in it.
_Word = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
_Words = Annotated[list[_Word], Field(max_length=1000)]


class Body(BaseModel):
    """Types are not guessed: "5" is no number."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    def said(self) -> dict[str, Any]:
        """What was said, a null too."""
        return self.model_dump(exclude_unset=True)


class AccountBody(Body):
    """A key to save."""

    key: SecretStr = Field(description="Stripe's key. It is tried first, kept encrypted, and never told again.")
    name: _Word | None = Field(
        default=None,
        description="How you call the account. Without one it is as Stripe calls it, and a key that is saved "
        "already is not saved again.",
    )
    stripe_account: _Word | None = Field(default=None, description="A connected account of a platform, `acct_…`.")
    api_base: _Word | None = Field(default=None, description="Where another Stripe is, such as a sandbox.")


class AccountChanges(Body):
    """Another name of an account."""

    name: _Word


class KeyBody(Body):
    """Another key of the same Stripe account and mode."""

    key: SecretStr


#: Other kinds are text.
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


class ChoiceWords(_body(CHOICE), Body):  # type: ignore[misc] # its fields are those of the table
    """What of the report."""


class DatasetWords(_body(OPTIONS), Body):  # type: ignore[misc]
    """What, where to, when. Null, or what is left out of a new dataset, is as it usually is."""


class DatasetBody(DatasetWords):
    """A dataset to make."""

    name: _Word
    account: _Word = Field(description="An account's name or id.")
    report: _Word = Field(description="A report's key.")


class DatasetChanges(DatasetWords):
    """Words of a dataset to change: those that are not given stay, null takes one back."""

    name: _Word | None = None
    account: _Word | None = Field(default=None, description="Another account's name or id.")


class PreviewBody(ChoiceWords):
    """A report of an account, as a dataset would have it."""

    account: _Word
    report: _Word
    rows: Annotated[int, Field(ge=1, le=100)] = 20


class ReloadBody(Body):
    """Which table."""

    to: _Word | None = Field(
        default=None,
        description="A destination, of the dataset or a new one: its table is made anew from what is kept, at once.",
    )


class PauseBody(Body):
    """Why."""

    reason: _Word = "Paused by another program."


class RunBody(Body):
    """How it may run."""

    allow_shrink: bool = Field(
        default=False,
        description="Load even if that removes more than half of the table. A run that stopped for that continues "
        "from its archive.",
    )


class ProveBody(Body):
    """How much is checked."""

    recount: Annotated[int, Field(ge=1, le=1000)] | Literal["all"] = Field(
        default=3, description="Windows of time, chosen by chance, that are read again."
    )
    seed: _Number | None = Field(default=None, description="Chooses the same windows as before.")
    payouts: _Number = Field(default=30, description="How many of the newest payouts are added up.")


_Kind = Literal["failed", "recovered", "paused", "late", "proof"]


class AlertBody(Body):
    """A place that is told."""

    name: _Word
    url: SecretStr = Field(description="An address of Apprise's (docs/alerts.md). It is kept encrypted, and not told.")
    on: list[_Kind] | None = Field(default=None, description="What it is told of; everything unless given.")


class AlertChanges(Body):
    """What of an alert to change."""

    name: _Word | None = None
    url: SecretStr | None = None
    on: list[_Kind] | None = None


class AskBody(Body):
    """One SELECT over the tables of a destination."""

    sql: str = Field(max_length=20_000)
    destination: _Word | None = Field(
        default=None, description="An id of `/destinations`; the one that most datasets have unless given."
    )


class QuestionBody(AskBody):
    """A question to keep under the name in the address."""
