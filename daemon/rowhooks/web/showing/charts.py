"""Small charts, as numbers of which a template draws SVG. Pure.

They are drawn on the server: no script, and no style in attributes. What a chart shows is also in a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 160
"""The size of a chart, in units of its view box."""
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 10, 22
"""What of it is left for the labels."""
_STEPS = (1, 2, 5, 10)
_LEAST, _MOST = 1e-300, 1e300
_UNITS = ((10**9, "G"), (10**6, "M"), (10**3, "k"))


@dataclass(frozen=True)
class Series:
    """Numbers of one kind.

    Args:
        name: what they are.
        kind: a word of the style sheet that gives them their colour.
        values: a number for each place; None: unknown.
    """

    name: str
    kind: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Bar:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Tick:
    """A label at a place of an axis, in units of the view box."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn.

    Args:
        name: a word that is its own on the page.
        title: what it shows.
        description: the same for those who do not see it: the largest and the last number of each series.
        series: what it shows, for the table and the legend.
        labels: the labels of the places, for the table.
        bars: rectangles, if it has any.
        lines: the points of a line for each part of a series without a gap, as SVG has them, with its kind.
        across: labels of the horizontal axis.
        up: labels of the vertical axis.
    """

    name: str
    title: str
    description: str
    series: tuple[Series, ...]
    labels: tuple[str, ...]
    bars: tuple[Bar, ...]
    lines: tuple[tuple[str, str], ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]

    width, height, left, right, top, bottom = WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """The table's rows: a label, and the number of each series there."""
        return [
            (label, [short(series.values[place]) for series in self.series]) for place, label in enumerate(self.labels)
        ]


def stacked_bars(
    name: str, title: str, unit: str, series: Sequence[Series], labels: Sequence[str], spoken: Sequence[str]
) -> Chart:
    """Return a chart of bars that stand on each other.

    Args:
        name: a word that is its own on the page.
        title: what it shows.
        unit: of what the numbers are, for its description.
        series: the lowest first.
        labels: what the horizontal axis calls each place.
        spoken: what the table calls each place.
    """
    count = len(labels)
    sums = [sum(one.values[place] or 0.0 for one in series) for place in range(count)]
    # The numbers are whole: so are the labels.
    top, ticks = _scale(max((2.0, *sums)))
    room = (WIDTH - LEFT - RIGHT) / max(count, 1)
    bars = []
    for place in range(count):
        below = 0.0
        for one in series:
            value = one.values[place] or 0.0
            if value:
                y, height = _y(below + value, top), (_y(below, top) - _y(below + value, top))
                bars.append(Bar(_round(LEFT + place * room), _round(y), _round(room * 0.85), _round(height), one.kind))
            below += value
    across = _across(labels, [LEFT + (place + 0.425) * room for place in range(count)])
    return Chart(
        name, title, _described(series, unit), tuple(series), tuple(spoken), tuple(bars), (), across, ticks
    )  # fmt: skip


def lines(
    name: str, title: str, unit: str, series: Sequence[Series], seconds: Sequence[float], labels: Sequence[str],
    spoken: Sequence[str],
) -> Chart:  # fmt: skip
    """Return a chart of lines.

    Args:
        name: a word that is its own on the page.
        title: what it shows.
        unit: of what the numbers are, for its description.
        series: numbers for each time.
        seconds: the times, in order.
        labels: what the horizontal axis calls them.
        spoken: what the table calls them.
    """
    top, ticks = _scale(max((value for one in series for value in one.values if value is not None), default=0.0))
    first, span = (seconds[0], seconds[-1] - seconds[0]) if seconds else (0.0, 0.0)
    places = [LEFT + (WIDTH - LEFT - RIGHT) * ((at - first) / span if span else 0.5) for at in seconds]
    drawn = [(points, one.kind) for one in series for points in _points(one.values, places, top)]
    return Chart(
        name, title, _described(series, unit), tuple(series), tuple(spoken), (), tuple(drawn), _across(labels, places),
        ticks,
    )  # fmt: skip


def short(value: float | None) -> str:
    """Return a number as a table has it: 1,234 or 0.25; the word for an unknown one."""
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _points(values: Sequence[float | None], places: Sequence[float], top: float) -> list[str]:
    """Return the lines of a series; a single point between gaps is a line to itself."""
    parts: list[list[str]] = [[]]
    for value, x in zip(values, places, strict=True):
        if value is None:
            parts.append([])
        else:
            parts[-1].append(f"{_round(x)},{_round(_y(value, top))}")
    return [" ".join(part if len(part) > 1 else part * 2) for part in parts if part]


def _scale(largest: float) -> tuple[float, tuple[Tick, ...]]:
    """Return the top of the vertical axis and its labels: round numbers."""
    # Beyond these a power of ten is 0 or no float; what is smaller looks like nothing in any case.
    largest = min(max(largest, _LEAST), _MOST) if largest > 0 else 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    top = next(step * power for step in _STEPS if step * power >= largest * 0.999999)
    return top, tuple(Tick(_round(_y(part * top, top)), _label(part * top)) for part in (0.0, 0.5, 1.0))


def _label(value: float) -> str:
    for size, unit in _UNITS:
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def _across(labels: Sequence[str], places: Sequence[float], most: int = 6) -> tuple[Tick, ...]:
    step = max(1, math.ceil(len(labels) / most))
    return tuple(Tick(_round(places[place]), labels[place]) for place in range(0, len(labels), step))


def _described(series: Sequence[Series], unit: str) -> str:
    said = []
    for one in series:
        known = [value for value in one.values if value is not None]
        if known:
            said.append(f"{one.name}: at most {short(max(known))}, at last {short(known[-1])} {unit}")
    return "; ".join(said) + "." if said else "There is nothing to show."


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def _round(value: float) -> float:
    return round(value, 1)
