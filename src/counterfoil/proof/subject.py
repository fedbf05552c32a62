"""The subject of checks: the rows of a run in a table, and the expectations for them."""

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

#: The SQL condition for rows that still exist at Stripe.
LIVE = "_deleted IS NOT TRUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A run, its archive and its table."""

    run: str
    #: With the columns of the dataset.
    report: Report
    #: The range of the creation time of the dataset's rows, and the parameters of its options.
    window: Window
    params: Mapping[str, str]
    #: Whether the table should contain all rows since the beginning that match the options.
    full: bool
    method: Method
    #: Whether the run was a full refresh.
    whole: bool
    #: By Stripe's clock, in Unix seconds: everything that existed at this time was read.
    as_of: int
    api_version: str
    #: The archive of the run; the ledger is None if the archive was deleted.
    folder: Path
    ledger: Ledger | None
    expected: Expected
    warnings: Sequence[str] = ()
    #: Number of rows that the load counted, and the expected number of rows after it.
    loaded: int | None
    expectation: Expectation | None
    destination: Destination
    table: str
    #: Tables of the same account in the same destination, by report.
    others: Mapping[str, ReferencedTable] = field(default_factory=dict)
    #: Applied to objects from Stripe before they are compared; None for no redaction.
    redact: Redact | None = None
    digits: Mapping[str, int] = field(default_factory=dict)
    #: Snapshots of the balance from earlier checks of the dataset.
    snapshots: Sequence[Mapping[str, Any]] = ()
    #: The folder for temporary files of comparisons, and their memory limit.
    scratch: Path
    megabytes: int
    #: Called with the name of each check before it is made.
    watch: Callable[[str], None] | None = None

    def made(self, family: Family, name: str, make: Callable[[], Check]) -> Check:
        """The check, or an INCONCLUSIVE one if an error prevents it. The run never fails because of it."""
        (check,) = self.made_together(family, (name,), lambda: [make()])
        return check

    def made_together(self, family: Family, names: Sequence[str], make: Callable[[], list[Check]]) -> list[Check]:
        """Several checks from one query, or INCONCLUSIVE ones if an error prevents them."""
        if self.watch is not None:
            self.watch(f"{family}: {', '.join(names)}")
        return made_together(family, names, make)

    @property
    def key(self) -> tuple[str, ...]:
        return self.report.primary_key

    @property
    def condition(self) -> str:
        """The SQL condition for rows to compare with Stripe: not deleted, and with `append`, from this run."""
        return f"{LIVE} AND _run = {literal(self.run)}" if self.method == "append" else LIVE

    @property
    def source(self) -> str:
        """The same rows as an SQL expression for FROM."""
        return f"(SELECT * FROM {quoted(self.table)} WHERE {self.condition})"  # noqa: S608 - quoted
