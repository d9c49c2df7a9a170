"""Draws past prices, the level of an alert and the moments at which the alert would have fired, as SVG. Pure."""

from collections.abc import Iterable, Sequence
from html import escape

from django.utils.safestring import SafeString, mark_safe

WIDTH, HEIGHT, MARGIN = 600, 160, 8
MAX_PIECES = 300
"""The maximum number of pieces of the line. A piece shows the lowest and the highest price of a part of the time."""

Point = tuple[float, float]
"""A time and a price."""


def draw_past(prices: Sequence[Point], levels: Sequence[Point], marks: Iterable[Point], label: str) -> SafeString:
    """Returns an SVG picture: a line for `prices`, a line for `levels` and a dot for each of `marks`.

    `prices` and `levels` must be sorted by time. `prices` must not be empty. `label` describes the picture.
    """
    shown = _thin_out(prices)
    steps = [point for place, point in enumerate(levels) if _is_corner(levels, place)]
    low = min(price for _, price in (*shown, *steps))
    high = max(price for _, price in (*shown, *steps))
    scale = _Scale(prices[0][0], prices[-1][0], low, high)
    placed = {x.partition(".")[0]: (x, y) for x, y in map(scale.place, marks)}  # at most one mark at each pixel
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="4"/>' for x, y in placed.values())
    level = f'<path class="level" d="{scale.path(steps)}"/>' if steps else ""
    head = f'<svg class="past" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
    line = f'<path d="{scale.path(shown)}"/>'
    return mark_safe(f"{head}{level}{line}{dots}</svg>")  # noqa: S308 - numbers and an escaped text


class _Scale:
    """Turns times and prices into coordinates of the picture."""

    def __init__(self, first: float, last: float, low: float, high: float) -> None:
        self._first, self._high = first, high
        self._x = (WIDTH - 2 * MARGIN) / (last - first) if last > first else 0.0
        self._y = (HEIGHT - 2 * MARGIN) / (high - low) if high > low else 0.0

    def place(self, point: Point) -> tuple[str, str]:
        x = MARGIN + (point[0] - self._first) * self._x
        y = MARGIN + (self._high - point[1]) * self._y
        return f"{x:.1f}", f"{y:.1f}"

    def path(self, points: Iterable[Point]) -> str:
        return "M" + "L".join(f"{x} {y}" for x, y in map(self.place, points))


def _is_corner(levels: Sequence[Point], place: int) -> bool:
    """Returns whether a level is the first or the last one, or differs from the one before or after it."""
    around = {level for _, level in levels[max(0, place - 1) : place + 2]}
    return place in {0, len(levels) - 1} or len(around) > 1


def _thin_out(points: Sequence[Point]) -> list[Point]:
    """Returns the lowest and the highest point of each of MAX_PIECES parts, in order of time."""
    size = -(-len(points) // MAX_PIECES)
    parts = (points[begin : begin + size] for begin in range(0, len(points), size))
    return [
        point
        for part in parts
        for point in sorted({min(part, key=lambda each: each[1]), max(part, key=lambda each: each[1])})
    ]
