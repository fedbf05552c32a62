"""Builds checks from their result, reason, figures and differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from counterfoil.errors import AccountError, CounterfoilError, RunError, SettingsError, TransientError
from counterfoil.state.check import FAMILIES, MOST_DIFFERENCES, Check, Family, Result, StoredCheck, worst

__all__ = [
    "FAMILIES",
    "MOST_DIFFERENCES",
    "NOT_POSSIBLE",
    "Check",
    "Family",
    "Result",
    "StoredCheck",
    "counted",
    "failed",
    "inconclusive",
    "judged",
    "made_together",
    "not_applicable",
    "passed",
    "worst",
]

#: The beginning of the reason of a check that an error prevented.
NOT_POSSIBLE = "The check was not possible"

Figures = Mapping[str, Any]
Differences = Iterable[Mapping[str, Any]]


def passed(family: Family, name: str, reason: str, figures: Figures | None = None) -> Check:
    """A check that found no difference."""
    return Check(family=family, name=name, result="PASS", reason=reason, figures=figures or {})


def _differing(
    result: Result,
    family: Family,
    name: str,
    reason: str,
    figures: Figures | None = None,
    differences: Differences = (),
    *,
    different: int | None = None,
) -> Check:
    """A check with differences. `different` is their number if there are more than shown."""
    shown = tuple(differences)
    return Check(
        family=family,
        name=name,
        result=result,
        reason=reason,
        figures=figures or {},
        differences=shown[:MOST_DIFFERENCES],
        different=len(shown) if different is None else different,
    )


#: A check that found differences.
failed = partial(_differing, "FAIL")
#: A check without a definite result.
inconclusive = partial(_differing, "INCONCLUSIVE")


def not_applicable(family: Family, name: str, reason: str, figures: Figures | None = None) -> Check:
    """A check that does not apply because there is nothing to compare."""
    return Check(family=family, name=name, result="NOT APPLICABLE", reason=reason, figures=figures or {})


def judged(
    family: Family,
    name: str,
    well: str,
    ill: str,
    figures: Figures | None = None,
    differences: Differences = (),
    *,
    different: int | None = None,
) -> Check:
    """PASS with the reason `well` if there are no differences, otherwise FAIL with the reason `ill`."""
    shown = tuple(differences)
    if not shown and not different:
        return passed(family, name, well, figures)
    return failed(family, name, ill, figures, shown, different=different)


def made_together(family: Family, names: Sequence[str], make: Callable[[], list[Check]]) -> list[Check]:
    """The checks, or, if an error prevents them, INCONCLUSIVE ones with its message. The run does not fail."""
    try:
        return make()
    except (AccountError, TransientError, RunError, SettingsError) as error:
        return [inconclusive(family, name, f"{NOT_POSSIBLE}: {_told(error)}") for name in names]


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 row`, `1,200 rows`, `2 currencies`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def _told(error: CounterfoilError) -> str:
    text = str(error).rstrip(".")
    return f"{text}."
