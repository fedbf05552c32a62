"""The options of a dataset as flags: the same for creating, changing and previewing one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from counterfoil.dataset_options import CHOICE, OPTIONS, RETRY_LIMITS, Kind, Option

FLAG = Parameter(negative=(), show_default=False)
JSON = Parameter(name="--json", negative=(), show_default=False)
#: Other kinds are text. Several texts are given by one flag each.
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
        """The options that are given, as a configuration file has them."""
        found = {option.name: getattr(self, option.name, None) for option in OPTIONS}
        return {name: value for name, value in found.items() if value is not None}


def _flags(options: Iterable[Option]) -> Any:
    """A class with a field for the flag of each option; one that is not given is None."""
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
class ChoiceFlags(_flags(CHOICE)):  # type: ignore[misc] # its fields are those of the table
    """What of the report."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Flags(_flags(OPTIONS)):  # type: ignore[misc]
    """What, where to, when."""

    overwrite: Annotated[bool, FLAG] = False
    """Let the first run replace a table that an earlier load filled with more than this dataset holds."""
    dry_run: Annotated[bool, FLAG] = False
    """Check everything and show what would be, without saving it."""

    def given(self) -> dict[str, Any]:
        """The same. `--no-retry` is `retry = false` in a file."""
        from counterfoil.app.datasets.input import retry_conflict

        if self.no_retry and self.retry is not None:
            raise retry_conflict()
        if self.retry == 0:  # which is false in a file
            RETRY_LIMITS.check(self.retry)
        found: dict[str, Any] = super().given()
        return found | ({"retry": False} if self.no_retry else {})
