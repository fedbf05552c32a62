"""Charts as SVG: pure functions of numbers. The style sheet sets colours by class; no script runs in the browser."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from counterfoil.web.formatting import number

Point = tuple[str, float | None]
Format = Callable[[float], str]

#: Room for the labels of the axes.
_LEFT, _BOTTOM, _TOP = 56, 22, 8
_LABEL = 64


def sparkline(values: Sequence[float], *, title: str, width: int = 88, height: int = 24) -> Markup:
    """A line of a few values without axes and with a dot on the last. `title` is for screen readers and mouse hover."""
    if not values:
        return Markup("")
    low, high = min(values), max(values)
    span = (high - low) or 1
    step = (width - 8) / max(len(values) - 1, 1)
    # A constant line runs through the middle.
    level = 0.5 if high == low else 0.0
    points = [
        (4 + index * step, height - 4 - ((value - low) / span or level) * (height - 8))
        for index, value in enumerate(values)
    ]
    x, y = points[-1]
    return _svg(
        "spark",
        width,
        height,
        title,
        Markup('<path class="spark-area" d="{}"/>').format(f"{_path(points)} L{x:.1f} {height} L4 {height} Z"),
        Markup('<path class="spark-line" d="{}"/>').format(_path(points)),
        Markup('<circle class="spark-dot" cx="{}" cy="{}" r="2.25"/>').format(f"{x:.1f}", f"{y:.1f}"),
    )


def bars(
    points: Sequence[Point],
    *,
    title: str,
    width: int = 640,
    height: int = 200,
    tell: Format = number,
    tones: Sequence[str] = (),
) -> Markup:
    """A bar for each (label, value) on a scale from zero.

    `tones` are classes, one for each bar: `bar-error`, `bar-mute` or "".
    """
    return _plotted(points, title, width, height, tell, lambda plot: _bars(points, plot, tell, tones))


def line(points: Sequence[Point], *, title: str, width: int = 640, height: int = 200, tell: Format = number) -> Markup:
    """A line through (label, value) on a scale from zero, with a gap where a value is None."""
    return _plotted(points, title, width, height, tell, lambda plot: _line(points, plot, tell))


def meter(share: float, *, title: str, width: int = 96, height: int = 6) -> Markup:
    """A thin bar that shows `share`, from 0 to 1."""
    filled = max(0.0, min(share, 1.0)) * width
    return _svg(
        "meter",
        width,
        height,
        title,
        Markup('<rect class="meter-track" width="{}" height="{}" rx="3"/>').format(width, height),
        Markup('<rect class="meter-bar" width="{}" height="{}" rx="3"/>').format(f"{filled:.1f}", height),
    )


def ticks(high: float, count: int = 4, least: float = 0) -> list[float]:
    """About `count` round ticks from zero to at least `high`; no step is smaller than `least`."""
    if high <= 0:
        return [0.0, 1.0]
    rough = high / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(least, next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough))
    return [index * step for index in range(math.ceil(high / step - 1e-9) + 1)]


def short(value: float) -> str:
    """A short number for scales: `1.2M`, `340k`."""
    for unit, letter in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"


class _Plot:
    """Maps values to coordinates of the drawing."""

    def __init__(self, count: int, known: Sequence[float], width: int, height: int) -> None:
        whole = all(value == int(value) for value in known)
        self.scale = ticks(max(known, default=0), least=1 if whole else 0)
        self.right, self.base = width - 4, height - _BOTTOM
        self.slot = (self.right - _LEFT) / max(count, 1)

    def x(self, index: int) -> float:
        """The middle of a point's slot."""
        return _LEFT + (index + 0.5) * self.slot

    def y(self, value: float) -> float:
        """The height of a value."""
        return self.base - value / self.scale[-1] * (self.base - _TOP)


def _plotted(
    points: Sequence[Point], title: str, width: int, height: int, tell: Format, draw: Callable[[_Plot], list[Markup]]
) -> Markup:
    known = [value for _, value in points if value is not None]
    plot = _Plot(len(points), known, width, height)
    description = "; ".join(f"{label}: {'none' if value is None else tell(value)}" for label, value in points)
    return _svg("chart", width, height, title, *_axes(points, plot), *draw(plot), description=description)


def _axes(points: Sequence[Point], plot: _Plot) -> list[Markup]:
    grid = [
        Markup(
            '<line class="chart-grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>'
            '<text class="chart-label" x="{}" y="{y}" dx="-8" dy="0.32em" text-anchor="end">{}</text>'
        ).format(_LEFT, plot.right, _LEFT, short(tick), y=f"{plot.y(tick):.1f}")
        for tick in plot.scale
    ]
    every = max(1, math.ceil(len(points) * _LABEL / (plot.right - _LEFT)))
    labels = [_under(plot, index, label) for index, (label, _) in enumerate(points) if index % every == 0]
    return grid + labels


def _under(plot: _Plot, index: int, label: str) -> Markup:
    """The label of a point below the axis; a label that would exceed the right edge ends there."""
    x, edge = plot.x(index), plot.right + 4
    fits = x + _LABEL / 2 <= edge
    return Markup('<text class="chart-label" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        f"{x if fits else edge:.1f}", plot.base + 16, "middle" if fits else "end", label
    )


def _bars(points: Sequence[Point], plot: _Plot, tell: Format, tones: Sequence[str]) -> list[Markup]:
    thick = min(plot.slot * 0.72, 36)
    drawn = []
    for index, (label, value) in enumerate(points):
        if value is None:
            continue
        # A small value other than zero stays visible.
        tall = max(plot.base - plot.y(value), 1.5 if value else 0)
        drawn.append(
            Markup('<rect class="bar {}" x="{}" y="{}" width="{}" height="{}" rx="2"><title>{}</title></rect>').format(
                tones[index] if tones else "",
                f"{plot.x(index) - thick / 2:.1f}",
                f"{plot.base - tall:.1f}",
                f"{thick:.1f}",
                f"{tall:.1f}",
                f"{label}: {tell(value)}",
            )
        )
    return drawn


def _line(points: Sequence[Point], plot: _Plot, tell: Format) -> list[Markup]:
    pieces: list[list[tuple[float, float]]] = [[]]
    dots = []
    for index, (label, value) in enumerate(points):
        if value is None:
            pieces.append([])
            continue
        place = plot.x(index), plot.y(value)
        pieces[-1].append(place)
        dots.append(
            Markup('<circle class="chart-dot" cx="{}" cy="{}" r="3"><title>{}</title></circle>').format(
                f"{place[0]:.1f}", f"{place[1]:.1f}", f"{label}: {tell(value)}"
            )
        )
    whole = [piece for piece in pieces if piece]
    areas = [
        Markup('<path class="chart-area" d="{}"/>').format(
            f"{_path(piece)} L{piece[-1][0]:.1f} {plot.base} L{piece[0][0]:.1f} {plot.base} Z"
        )
        for piece in whole
    ]
    return [*areas, *(Markup('<path class="chart-line" d="{}"/>').format(_path(piece)) for piece in whole), *dots]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _svg(kind: str, width: int, height: int, title: str, *shapes: Markup, description: str = "") -> Markup:
    details = Markup("<desc>{}</desc>").format(description) if description else Markup("")
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}" width="{}" height="{}" role="img"><title>{}</title>{}{}</svg>'
    ).format(kind, width, height, width, height, title, details, Markup("").join(shapes))
