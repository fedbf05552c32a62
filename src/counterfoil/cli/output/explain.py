"""The plan of a pull as text, and its estimated and actual cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from counterfoil.cli.terminal.screen import counted

if TYPE_CHECKING:
    from counterfoil.runs.explain import Explanation, RequestCost

#: Share of the rows; a larger uncertainty is printed as a range.
_WIDE = 0.1
_NAMES = ("windows", "rows", "requests", "seconds", "monthly allowance")


def plan_lines(explanation: Explanation) -> Iterator[str]:
    """The plan and its estimated cost."""
    expected = explanation.estimated
    wide = expected.rows_to - expected.rows > _WIDE * expected.rows
    span = f" ({expected.rows_from:,} to {expected.rows_to:,})" if wide else ""
    yield f"{explanation.report}: {explanation.how}"
    yield (
        f"  about {counted(expected.rows, 'row')}{span} in {counted(expected.windows, 'window')}, "
        f"{counted(expected.requests, 'request')}, {expected.seconds:.1f} s, "
        f"{expected.share_of_month:.2%} of Stripe's minimum allowance of 10,000 a month"
    )
    if explanation.looks:
        yield f"  estimated from {counted(explanation.looks, 'page')}, requested in addition"


def outcome_lines(explanation: Explanation) -> Iterator[str]:
    """The estimated and the actual cost."""
    if explanation.actual is None:
        return
    yield f"{explanation.report:<24}{'estimated':>14}{'actual':>14}"
    for line in zip(_NAMES, _cells(explanation.estimated), _cells(explanation.actual), strict=True):
        yield "  {:<22}{:>14}{:>14}".format(*line)


def _cells(spending: RequestCost) -> tuple[str, ...]:
    counts = (f"{count:,}" for count in (spending.windows, spending.rows, spending.requests))
    return (*counts, f"{spending.seconds:.1f}", f"{spending.share_of_month:.2%}")
