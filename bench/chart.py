"""The figures as an SVG chart: panels of bars, each with its own scale, and marks for bar and goal."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from bench.figures import Figure

WIDTH, LEFT, RIGHT = 900, 370, 150
ROW, TITLE, GAP = 26, 30, 16
OURS, OTHER, MISSED, INK, QUIET, RAIL = "#2f6f5e", "#b9bfc6", "#c2572b", "#1d2329", "#66707a", "#eef1f4"

_LEGEND = ((126, OURS, "ours"), (180, MISSED, "ours, bar missed"), (302, OTHER, "floor"))


@dataclass(frozen=True, slots=True)
class Row:
    """One bar; `bar` and `goal` are its marks."""

    label: str
    value: float
    text: str
    colour: str
    bar: float | None = None
    goal: float | None = None


def chart(figures: Sequence[Figure], caption: str) -> str:
    """An SVG document."""
    parts: list[str] = []
    y = 44
    for title, rows in _panels({figure.key: figure for figure in figures if figure.values or figure.failed}):
        y += TITLE
        parts.append(_text(24, y - 10, title, size=14, weight=600))
        top = 1.04 * max(max(row.value, row.bar or 0, row.goal or 0) for row in rows) or 1
        for row in rows:
            parts.extend(_bar(row, y, (WIDTH - LEFT - RIGHT) / top))
            y += ROW
        y += GAP
    height = y + 46
    legend = [
        f'<line x1="24" x2="24" y1="{y + 2}" y2="{y + 18}" stroke="{INK}" stroke-width="2"/>',
        _text(32, y + 15, "bar", colour=QUIET),
        f'<line x1="70" x2="70" y1="{y + 2}" y2="{y + 18}" stroke="{INK}" stroke-width="2" stroke-dasharray="2 3"/>',
        _text(78, y + 15, "goal", colour=QUIET),
        *(_square(x, y + 4, colour) for x, colour, _ in _LEGEND),
        *(_text(x + 16, y + 15, word, colour=QUIET) for x, _, word in _LEGEND),
        _text(WIDTH - 24, y + 15, caption, colour=QUIET, anchor="end"),
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">'
    )
    ground = f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>'
    name = _text(24, 32, "Counterfoil, compared with its floors", size=17, weight=700)
    return "\n".join((head, ground, name, *parts, *legend, "</svg>")) + "\n"


def _panels(found: dict[str, Figure]) -> Iterator[tuple[str, list[Row]]]:
    """Titles and rows of the panels that have figures."""
    titles = {
        "Share of Stripe's rate limit": ("rate", "slow", "side_by_side"),
        "Rows per CPU second, from socket to committed table": ("cpu",),
        "Peak memory (lower is better)": ("memory_few", "memory_many"),
        "Rows per second, compared with a loop over Stripe's own client, start to table": ("loop_150", "loop_0"),
        "counterfoil --help (lower is better)": ("help",),
    }
    for title, keys in titles.items():
        rows = [row for key in keys if key in found for row in _rows(found[key])]
        if rows:
            yield title, rows


def _rows(figure: Figure) -> Iterator[Row]:
    if figure.failed:
        yield Row(figure.what, 0, "failed", MISSED, figure.bar, figure.goal)
        return
    colour = MISSED if figure.verdict == "missed" else OURS
    if figure.floor == "the rate":
        floor = figure.floor_values[0]
        bar, goal = (None if wanted is None else wanted / floor for wanted in (figure.bar, figure.goal))
        yield Row(figure.what, figure.value / floor, f"{figure.value / floor:.1%}", colour, bar, goal)
        return
    yield Row(figure.what, figure.value, figure.text(figure.value), colour, figure.bar, figure.goal)
    if figure.floor_values:
        value = statistics.median(figure.floor_values)
        yield Row(figure.floor, value, figure.text(value), OTHER)


def _bar(row: Row, y: int, unit: float) -> Iterator[str]:
    yield _text(LEFT - 12, y + 13, row.label, anchor="end", colour=QUIET if row.colour == OTHER else INK)
    yield f'<rect x="{LEFT}" y="{y}" width="{WIDTH - LEFT - RIGHT}" height="18" fill="{RAIL}"/>'
    yield f'<rect x="{LEFT}" y="{y}" width="{max(row.value * unit, 2):.1f}" height="18" fill="{row.colour}"/>'
    for wanted, dashes in ((row.bar, ""), (row.goal, ' stroke-dasharray="2 3"')):
        if wanted is not None:
            x = f"{LEFT + wanted * unit:.1f}"
            yield f'<line x1="{x}" x2="{x}" y1="{y - 3}" y2="{y + 21}" stroke="{INK}" stroke-width="2"{dashes}/>'
    yield _text(WIDTH - RIGHT + 12, y + 13, row.text, weight=600)


def _square(x: int, y: int, colour: str) -> str:
    return f'<rect x="{x}" y="{y}" width="11" height="11" fill="{colour}"/>'


def _text(
    x: int, y: int, text: str, *, size: int = 12, weight: int = 400, colour: str = INK, anchor: str = "start"
) -> str:
    look = f'font-size="{size}" font-weight="{weight}" fill="{colour}" text-anchor="{anchor}"'
    return f'<text x="{x}" y="{y}" {look}>{escape(text)}</text>'
