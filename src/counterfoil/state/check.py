"""Checks, as frozen values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Family = Literal["coverage", "keys", "balance", "payouts", "references", "recount"]
Result = Literal["PASS", "FAIL", "INCONCLUSIVE", "NOT APPLICABLE"]

#: In the order of statements.
FAMILIES: tuple[Family, ...] = ("coverage", "keys", "balance", "payouts", "references", "recount")
#: The maximum number of stored differences of one check; all of them are counted.
MOST_DIFFERENCES = 100
#: From the most to the least important result.
_WORST_FIRST: tuple[Result, ...] = ("FAIL", "INCONCLUSIVE", "PASS", "NOT APPLICABLE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison with its result."""

    family: Family
    name: str
    result: Result
    #: A sentence.
    reason: str
    #: The compared figures, as JSON values.
    figures: Mapping[str, Any] = field(default_factory=dict)
    #: The first ones of `different`, as JSON values.
    differences: tuple[Mapping[str, Any], ...] = ()
    different: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheck(Check):
    """A stored check of a run's rows in a table."""

    run: str
    url: str
    table: str
    made_at: datetime


def worst(checks: Iterable[Check]) -> Result | None:
    """The most important result; None without checks."""
    results = {check.result for check in checks}
    return next((result for result in _WORST_FIRST if result in results), None)
