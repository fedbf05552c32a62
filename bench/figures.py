"""A figure: the values of some rounds, the floor from the same run, and the required value."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_FORMATS: Mapping[str, Callable[[float], str]] = {
    "rows/s": lambda value: f"{value:,.0f} rows/s",
    "rows/CPU s": lambda value: f"{value:,.0f} rows/CPU s",
    "share": lambda value: f"{value:.1%}",
    "times": lambda value: f"{value:.2f} x",
    "bytes": lambda value: f"{value / 1e6:,.0f} MB",
    "seconds": lambda value: f"{value:.2f} s",
    "requests": lambda value: f"{value:,.0f} requests",
    "modules": lambda value: f"{value:.0f}",
    "us/row": lambda value: f"{value:.1f} us per row",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure; without values its feature does not exist yet, or it `failed` for the given reason."""

    key: str
    what: str
    unit: str
    values: Sequence[float] = ()
    #: The name of the floor, and its values in the same rounds.
    floor: str = ""
    floor_values: Sequence[float] = ()
    bar: float | None = None
    goal: float | None = None
    #: Whether a lower value is better, as for memory.
    less_is_better: bool = False
    failed: str = ""
    notes: Sequence[str] = field(default=())

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The ratio to the floor."""
        return self.value / statistics.median(self.floor_values) if self.floor_values else None

    @property
    def verdict(self) -> str:
        """Whether the median reaches the goal or the bar."""
        if not self.values:
            return "failed" if self.failed else "not there yet"
        if self.bar is None:
            return ""
        for name, wanted in (("goal", self.goal), ("bar", self.bar)):
            if wanted is not None and (self.value <= wanted if self.less_is_better else self.value >= wanted):
                return f"{name} met"
        return "missed"

    def text(self, value: float | None) -> str:
        """A value with its unit."""
        return "" if value is None else _FORMATS[self.unit](value)

    def range(self) -> str:
        """The lowest and the highest value; empty for a single round."""
        return f"{self.text(min(self.values))} to {self.text(max(self.values))}" if len(self.values) > 1 else ""

    def wanted(self) -> str:
        """The bar, followed by the goal."""
        if self.bar is None:
            return ""
        sign = "≤" if self.less_is_better else "≥"
        return f"{sign} {self.text(self.bar)}" + (f" ({self.text(self.goal)})" if self.goal is not None else "")

    def comparison(self) -> str:
        """The median of the floor, its name, and the ratio to it."""
        if not self.floor_values or self.ratio is None:
            return ""
        ratio = f"{self.ratio:.1%}" if self.ratio < 2 else f"{self.ratio:.1f} x"
        return f"{self.text(statistics.median(self.floor_values))} ({self.floor}): {ratio}"

    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        median = self.text(self.value) if self.values else "—"
        return (self.what, median, self.range(), self.comparison(), self.wanted(), self.verdict)

    def as_dict(self) -> dict[str, Any]:
        """The figure for JSON."""
        fields = asdict(self)
        if self.values:
            fields |= {"median": self.value, "ratio": self.ratio}
        return fields | {"verdict": self.verdict}


HEADINGS = ("measure", "median", "range of rounds", "floor in the same run", "bar (goal)", "result")


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table for a terminal."""
    rows = [HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def markdown(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
