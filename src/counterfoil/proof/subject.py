"""What a proof is about: the rows of a run in a table, and what they are to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from counterfoil.archive import Ledger
from counterfoil.columns.redact import Redact
from counterfoil.destinations import Destination
from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.proof.check import Check, Family, made_together
from counterfoil.proof.coverage import Expectation
from counterfoil.proof.references import ReferencedTable
from counterfoil.proof.windows import Expected
from counterfoil.reports.report import Report
from counterfoil.values import Method, Window

#: Of a row that Stripe still has.
LIVE = "_deleted IS NOT TRUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A run, what it read and its table."""

    run: str
    #: With the columns that the dataset has.
    report: Report
    #: What the dataset holds: a range of the time of creation, and what its options send.
    window: Window
    params: Mapping[str, str]
    #: Whether the table is to hold all that there ever was of what the options let through.
    full: bool
    method: Method
    #: Whether the run read all that the dataset is to hold.
    whole: bool
    #: By Stripe's clock, in Unix seconds: all that was there by then was read.
    as_of: int
    api_version: str
    #: What the run read; None when it is kept no longer.
    folder: Path
    ledger: Ledger | None
    expected: Expected
    warnings: Sequence[str] = ()
    #: Rows that the load counted, and what the table should have after it.
    loaded: int | None
    expectation: Expectation | None
    destination: Destination
    table: str
    #: Tables of the same account in the same destination, by report.
    others: Mapping[str, ReferencedTable] = field(default_factory=dict)
    #: Done to what Stripe sends before it is compared; None for nothing.
    redact: Redact | None = None
    digits: Mapping[str, int] = field(default_factory=dict)
    #: Snapshots of the balance that earlier checks of the dataset kept.
    snapshots: Sequence[Mapping[str, Any]] = ()
    #: Where comparisons put what they need for a while, and how much memory they take.
    scratch: Path
    megabytes: int
    #: Called with the name of each check before it is made.
    watch: Callable[[str], None] | None = None

    def made(self, family: Family, name: str, make: Callable[[], Check]) -> Check:
        """The check, or that it could not be made, and why: that is never the run's failure."""
        (check,) = self.made_together(family, (name,), lambda: [make()])
        return check

    def made_together(self, family: Family, names: Sequence[str], make: Callable[[], list[Check]]) -> list[Check]:
        """Checks of one look, or that none of them could be made."""
        if self.watch is not None:
            self.watch(f"{family}: {', '.join(names)}")
        return made_together(family, names, make)

    @property
    def key(self) -> tuple[str, ...]:
        return self.report.primary_key

    @property
    def condition(self) -> str:
        """Of the rows that should be as Stripe has them: those that are not deleted, of snapshots the run's own."""
        return f"{LIVE} AND _run = {literal(self.run)}" if self.method == "append" else LIVE

    @property
    def source(self) -> str:
        """The same rows, as stands between FROM and AS."""
        return f"(SELECT * FROM {quoted(self.table)} WHERE {self.condition})"  # noqa: S608 - quoted
