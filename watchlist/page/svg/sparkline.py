"""Draws a sparkline (a small line chart without axes) as inline SVG. Pure.

`static/watchlist/sparkline.js` draws the same line. `tests/cases/sparkline.json` tests this module and the script.
"""

from collections.abc import Sequence
from functools import lru_cache

from watchlist.prices.day import SPARKLINE_POINTS

WIDTH, HEIGHT, MARGIN = 104, 26, 2
MIN_POINTS = 2
VALUE_DIGITS = 7
"""The number of significant digits of a value in `data-values`."""

SIZE = f' viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" aria-hidden="true"'
KEPT_LINES = 2048
"""The most texts in each cache: of `_write_older_values` and `_write_older_points`. A text takes about 2 KB."""

TENTHS = tuple(f"{tenths // 10}.{tenths % 10}".removesuffix(".0") for tenths in range(WIDTH * 10 + 1))
"""The texts of the coordinates from 0 to WIDTH pixels, one for each tenth of a pixel."""


def draw_line(values: Sequence[float], reference: float, side: str) -> str:
    """Returns an SVG line through the last SPARKLINE_POINTS of `values`. Returns "" for fewer than MIN_POINTS values.

    `values` are prices, oldest first. `side` is the CSS class. A dotted line marks `reference` if `reference` is
    between the lowest and the highest value.
    """
    values = values[-SPARKLINE_POINTS:]
    if len(values) < MIN_POINTS:
        return ""
    low, high = min(values), max(values)
    # An empty path is kept, so that a script can fill it later.
    level = f"M0 {_write_all_y((reference,), low, high)[0]}H{WIDTH}" if low < reference < high else ""
    older = tuple(values[:-1])
    # Scripts add live prices to these values.
    data = f"{_write_older_values(older)} {values[-1]:.{VALUE_DIGITS}g}"
    path = f"{_write_older_points(older, low, high)}L{_write_newest_point(values[-1], low, high)}"
    lines = f'<path class="level" d="{level}"/><path d="{path}"/>'
    return f'<svg class="{side}" data-values="{data}"{SIZE}>{lines}</svg>'


def write_path(values: Sequence[float]) -> str:
    """Returns the SVG path through at least two values, such as `M0 13.5L1.7 12`.

    The coordinates are rounded to tenths of a pixel.
    """
    low, high = min(values), max(values)
    return f"{_write_older_points(tuple(values[:-1]), low, high)}L{_write_newest_point(values[-1], low, high)}"


def _write_newest_point(value: float, low: float, high: float) -> str:
    return f"{WIDTH} {_write_all_y((value,), low, high)[0]}"


# Both texts of the older points are kept, because during a minute only the newest price of a line changes.
@lru_cache(maxsize=KEPT_LINES)
def _write_older_values(values: tuple[float, ...]) -> str:
    """Returns the `data-values` of all points but the newest one."""
    return " ".join([f"%.{VALUE_DIGITS}g"] * len(values)) % values  # faster than formatting each value


@lru_cache(maxsize=KEPT_LINES)
def _write_older_points(values: tuple[float, ...], low: float, high: float) -> str:
    """Returns the path of all points but the newest one.

    `low` and `high` are the lowest and the highest value of the whole line, including the newest point.
    """
    return _path_format(len(values)) % tuple(_write_all_y(values, low, high))


@lru_cache(maxsize=SPARKLINE_POINTS)
def _path_format(count: int) -> str:
    """Returns a path of `count` points, such as `M0 %sL52 %s`, with `%s` in place of each y coordinate.

    The points have equal distances. The right edge stays free for the newest point.
    """
    step = WIDTH / count
    return "M" + "L".join([f"{TENTHS[int(place * step * 10 + 0.5)]} %s" for place in range(count)])


def _write_all_y(values: Sequence[float], low: float, high: float) -> list[str]:
    """Returns the y coordinate of each value as text: pixels from the top edge, rounded to tenths.

    If all values are equal, the y coordinate is half the height.
    """
    if low == high:
        return [TENTHS[HEIGHT * 5]] * len(values)
    bottom, span, height = HEIGHT - MARGIN, high - low, HEIGHT - 2 * MARGIN
    # A half is rounded up, as by JavaScript's Math.floor(number * 10 + 0.5).
    return [TENTHS[int((bottom - (value - low) / span * height) * 10 + 0.5)] for value in values]
