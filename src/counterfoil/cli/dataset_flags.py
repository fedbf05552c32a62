"""The options of a dataset on the command line, shared by `create`, `edit` and `preview`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from counterfoil.dataset_options import CHOICE, OPTIONS, RETRY_LIMITS, Kind, Option

FLAG = Parameter(negative=(), show_default=False)
JSON = Parameter(name="--json", negative=(), show_default=False)
#: Other kinds are text. A tuple is given by repeating the option.
_TYPES: dict[Kind, Any] = {
    "number": int,
    "attempts": int,
    "switch": bool,
    "names": tuple[str, ...],
    "pairs": tuple[str, ...],
    "destinations": tuple[str, ...],
}


class _Given:
    def given(self) -> dict[str, Any]:
        """The given options, as in a configuration file."""
        found = {option.name: getattr(self, option.name, None) for option in OPTIONS}
        return {name: value for name, value in found.items() if value is not None}


def _flags(options: Iterable[Option]) -> Any:
    """A class with a field for each option; None if the option is not given."""
    found: list[tuple[str, Any, Any]] = []
    for option in options:
        kind: Any = Literal.__getitem__(option.choices) if option.choices else _TYPES.get(option.kind, str)
        name = option.flag or f"--{option.name.replace('_', '-')}"
        negative = f"--no-{name[2:]}" if option.kind == "switch" else ()
        flag = Parameter(name=name, help=option.help, negative=negative)
        found.append((option.name, Annotated[kind | None, flag], field(default=None)))
        if option.off_help:
            off = Parameter(negative=(), show_default=False, help=option.off_help)
            found.append((f"no_{option.name}", Annotated[bool, off], field(default=False)))
    return make_dataclass("Flags", found, bases=(_Given,), frozen=True, kw_only=True)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ChoiceFlags(_flags(CHOICE)):  # type: ignore[misc] # fields come from the table
    """Options that select data of the report."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Flags(_flags(OPTIONS)):  # type: ignore[misc]
    """All options of a dataset."""

    overwrite: Annotated[bool, FLAG] = False
    """Let the first run replace a table that contains more rows than this dataset selects."""
    dry_run: Annotated[bool, FLAG] = False
    """Validate the options and show the result without saving it."""

    def given(self) -> dict[str, Any]:
        """The given options, as in a configuration file; `--no-retry` is `retry = false`."""
        from counterfoil.app.datasets.input import retry_conflict

        if self.no_retry and self.retry is not None:
            raise retry_conflict()
        if self.retry == 0:  # 0 would count as false
            RETRY_LIMITS.check(self.retry)
        found: dict[str, Any] = super().given()
        return found | ({"retry": False} if self.no_retry else {})
