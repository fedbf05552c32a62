"""What a check is: frozen values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Family = Literal["coverage", "keys", "balance", "payouts", "references", "recount"]
Result = Literal["PASS", "FAIL", "INCONCLUSIVE", "NOT APPLICABLE"]

#: In the order in which statements show them.
FAMILIES: tuple[Family, ...] = ("coverage", "keys", "balance", "payouts", "references", "recount")
#: Differences that are kept of one check; all of them are counted.
MOST_DIFFERENCES = 100
#: From what must be looked at to what says nothing.
_WORST_FIRST: tuple[Result, ...] = ("FAIL", "INCONCLUSIVE", "PASS", "NOT APPLICABLE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One proof: what was compared, and what came of it."""

    family: Family
    name: str
    result: Result
    #: A sentence.
    reason: str
    #: What was compared, as JSON can hold it.
    figures: Mapping[str, Any] = field(default_factory=dict)
    #: The first so many of `different`, each as JSON can hold it.
    differences: tuple[Mapping[str, Any], ...] = ()
    different: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheck(Check):
    """A check of a run's rows in a table, as it was made."""

    run: str
    url: str
    table: str
    made_at: datetime


def worst(checks: Iterable[Check]) -> Result | None:
    """The result that says most; None without checks."""
    results = {check.result for check in checks}
    return next((result for result in _WORST_FIRST if result in results), None)
