"""How a check is said: its result and reason, from what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from counterfoil.errors import AccountError, CounterfoilError, RunError, SettingsError, TransientError
from counterfoil.state.check import FAMILIES, MOST_DIFFERENCES, Check, Family, Result, StoredCheck, worst

__all__ = [
    "FAMILIES",
    "MOST_DIFFERENCES",
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

Figures = Mapping[str, Any]
Differences = Iterable[Mapping[str, Any]]


def passed(family: Family, name: str, reason: str, figures: Figures | None = None) -> Check:
    """Everything is as it should be."""
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
    """A check with some of its differences; `different` counts them when there are too many to be shown."""
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


#: Something is not as it should be.
failed = partial(_differing, "FAIL")
#: It could not be told.
inconclusive = partial(_differing, "INCONCLUSIVE")


def not_applicable(family: Family, name: str, reason: str, figures: Figures | None = None) -> Check:
    """There is nothing of that kind to compare."""
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
    """PASS with the one reason without differences, else FAIL with the other."""
    shown = tuple(differences)
    if not shown and not different:
        return passed(family, name, well, figures)
    return failed(family, name, ill, figures, shown, different=different)


def made_together(family: Family, names: Sequence[str], make: Callable[[], list[Check]]) -> list[Check]:
    """Checks of one look, or that none of them could be made, and why: that is never the run's failure."""
    try:
        return make()
    except (AccountError, TransientError, RunError, SettingsError) as error:
        return [inconclusive(family, name, f"It could not be made: {_told(error)}") for name in names]


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 row`, `1,200 rows`, `2 currencies`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def _told(error: CounterfoilError) -> str:
    text = str(error).rstrip(".")
    return f"{text}."
