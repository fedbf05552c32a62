"""A pull's plan in words, and at the end beside it what the pull took."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from counterfoil.cli.terminal.screen import counted

if TYPE_CHECKING:
    from counterfoil.runs.explain import Explanation, RequestCost

#: Of the rows; an estimate that may be off by more is told as a range.
_WIDE = 0.1
_NAMES = ("windows", "rows", "requests", "seconds", "of a month's reads")


def plan_lines(told: Explanation) -> Iterator[str]:
    """How it is read, and what that will probably take."""
    expected = told.estimated
    wide = expected.rows_to - expected.rows > _WIDE * expected.rows
    span = f" ({expected.rows_from:,} to {expected.rows_to:,})" if wide else ""
    yield f"{told.report}: {told.how}"
    yield (
        f"  about {counted(expected.rows, 'row')}{span} in {counted(expected.windows, 'window')}, "
        f"{counted(expected.requests, 'request')}, {expected.seconds:.1f} s, "
        f"{expected.share_of_month:.2%} of the 10,000 reads that every account has in a month"
    )
    if told.looks:
        yield f"  judged from {counted(told.looks, 'page')}, looked at beside these requests"


def outcome_lines(told: Explanation) -> Iterator[str]:
    """Estimated and actual, side by side."""
    if told.actual is None:
        return
    yield f"{told.report:<24}{'estimated':>14}{'actual':>14}"
    for line in zip(_NAMES, _cells(told.estimated), _cells(told.actual), strict=True):
        yield "  {:<22}{:>14}{:>14}".format(*line)


def _cells(spending: RequestCost) -> tuple[str, ...]:
    counts = (f"{count:,}" for count in (spending.windows, spending.rows, spending.requests))
    return (*counts, f"{spending.seconds:.1f}", f"{spending.share_of_month:.2%}")
