"""The distributions of a bench as an SVG: a hill for each stage over one logarithmic axis. Text in, text out.

It fetches nothing, and its colours follow whether the reader prefers light or dark.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from .bench_figures import Stage, figures

WIDTH: Final = 900
LEFT: Final = 236
RIGHT: Final = 196
TOP: Final = 64
ROW: Final = 62
HILL: Final = 42
FOOT: Final = 40

BINS_PER_DECADE: Final = 24
LEAST_US: Final = 1.0
"""Where the axis begins at the earliest: a microsecond is nothing here."""

SMOOTH: Final = (1, 2, 1)

STYLE: Final = """\
.ground { fill: #ffffff; stroke: #d0d7de }
.name { fill: #1f2328; font-weight: 600; font-size: 14px }
.head { fill: #1f2328; font-weight: 600; font-size: 15px }
.dim { fill: #59636e; font-size: 12px }
.figure { fill: #1f2328; font-size: 12px }
.grid { stroke: #d8dee4; stroke-width: 1 }
.base { stroke: #8c959f; stroke-width: 1 }
.hill { fill: #54aeff; fill-opacity: .55; stroke: #0969da; stroke-width: 1 }
.p50 { stroke: #0a3069; stroke-width: 2 }
.p99 { stroke: #bc4c00; stroke-width: 2 }
.max { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117; stroke: #3d444d }
.name, .head, .figure { fill: #f0f6fc }
.dim { fill: #9198a1 }
.grid { stroke: #2a313c }
.base { stroke: #656c76 }
.hill { fill: #1f6feb; fill-opacity: .5; stroke: #4493f8 }
.p50 { stroke: #cae8ff }
.p99 { stroke: #f0883e }
.max { fill: #f0883e }
}
"""


def picture(title: str, note: str, found: Mapping[Stage, Sequence[float]]) -> str:
    """found: the durations of each stage, µs; at least one stage, none of them empty."""
    height = TOP + ROW * len(found) + FOOT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
            ' font-family="ui-sans-serif, system-ui, sans-serif">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{STYLE}</style>",
            f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
            _text(20, 28, title, "head"),
            _text(20, 47, note, "dim"),
            *_legend(),
            *_Axis(found).drawn(found),
            "</svg>\n",
        ]
    )


class _Axis:
    """Whole decades that hold every value."""

    def __init__(self, found: Mapping[Stage, Sequence[float]]) -> None:
        seen = [value for values in found.values() for value in values if value >= LEAST_US] or [LEAST_US]
        least, most = min(seen), max(seen)
        self._low = math.floor(math.log10(least))
        self._high = max(math.floor(math.log10(most)) + 1, self._low + 1)

    def drawn(self, found: Mapping[Stage, Sequence[float]]) -> Iterator[str]:
        bottom = TOP + ROW * len(found)
        for decade in range(self._low, self._high + 1):
            x = self._x(10.0**decade)
            yield _line(x, TOP - 4, x, bottom, "grid")
            yield _text(x, bottom + 18, told_us(10.0**decade), "dim", anchor="middle")
        for number, (stage, values) in enumerate(found.items()):
            yield from self._row(stage, values, TOP + ROW * (number + 1) - 8)

    def _row(self, stage: Stage, values: Sequence[float], base: float) -> Iterator[str]:
        of = figures(values)
        middle, far = of.quantiles[50.0] or of.most, of.quantiles[99.0]
        yield _text(20, base - 20, stage.name, "name")
        yield _text(20, base - 4, stage.meaning, "dim")
        yield _line(LEFT, base, WIDTH - RIGHT, base, "base")
        if of.most < LEAST_US:
            yield _text(LEFT + 8, base - 6, "nothing: done in the step that began it", "dim")
            return
        yield f'<path class="hill" d="{self._hill(values, base)}"/>'
        marks = [("p50", middle)] + ([] if far is None else [("p99", far)])
        for name, value in marks:
            yield _line(self._x(value), base - HILL, self._x(value), base, name)
        yield f'<circle class="max" cx="{self._x(of.most):.1f}" cy="{base:.1f}" r="3"/>'
        told = [f"{name} {told_us(value)}" for name, value in marks]
        yield _text(WIDTH - RIGHT + 16, base - 20, " · ".join(told), "figure")
        yield _text(WIDTH - RIGHT + 16, base - 4, f"max {told_us(of.most)} of {of.number:,}", "dim")

    def _hill(self, values: Sequence[float], base: float) -> str:
        """How many values lie about each place of the axis, as a share of where most of them are."""
        counts = [0] * ((self._high - self._low) * BINS_PER_DECADE)
        for value in values:
            place = int((math.log10(max(value, LEAST_US)) - self._low) * BINS_PER_DECADE)
            counts[min(max(place, 0), len(counts) - 1)] += 1
        padded = [0, *counts, 0]
        smooth = [sum(map(int.__mul__, SMOOTH, padded[at : at + 3])) for at in range(len(counts))]
        top = max(smooth)
        step = (WIDTH - LEFT - RIGHT) / len(counts)
        points = [f"{LEFT + (at + 0.5) * step:.1f},{base - HILL * count / top:.1f}" for at, count in enumerate(smooth)]
        return f"M{LEFT},{base:.1f} L{' '.join(points)} L{WIDTH - RIGHT},{base:.1f} Z"

    def _x(self, value_us: float) -> float:
        share = (math.log10(max(value_us, LEAST_US)) - self._low) / (self._high - self._low)
        return LEFT + max(share, 0.0) * (WIDTH - LEFT - RIGHT)


def _legend() -> Iterator[str]:
    """What the two lines and the dot of a row are."""
    x = WIDTH - RIGHT + 16
    for at, name in ((x, "p50"), (x + 48, "p99")):
        yield _line(at, 34, at, 48, name)
        yield _text(at + 6, 46, name, "dim")
    yield f'<circle class="max" cx="{x + 100:.1f}" cy="42" r="3"/>'
    yield _text(x + 108, 46, "max", "dim")


def told_us(value: float) -> str:
    """A time in µs in the unit that a person would take, with three digits at most: `84 µs`, `1.24 ms`, `3 s`."""
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if value >= size * 0.9995:
            return f"{value / size:.3g} {unit}" if value < size * 999.5 else f"{value / size:.0f} {unit}"
    return f"{value:.0f} µs"


def _text(x: float, y: float, text: str, kind: str, *, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
