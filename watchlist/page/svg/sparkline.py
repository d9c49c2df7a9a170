"""Draws a sparkline (a small line chart without axes) as inline SVG. Pure.

`static/watchlist/sparkline.js` draws the same line by the same rules. `tests/cases/sparkline.json` tests this module
and the script.
"""

from collections.abc import Sequence
from functools import lru_cache

from django.utils.safestring import SafeString, mark_safe

from watchlist.prices.day import SPARKLINE_POINTS

WIDTH, HEIGHT, MARGIN = 104, 26, 2
MIN_POINTS = 2
VALUE_DIGITS = 7
"""The number of significant digits of a value in `data-values`. A line with HEIGHT pixels cannot show more digits."""

SIZE = f' viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" aria-hidden="true"'
KEPT_LINES = 2048
"""The maximum number of entries in the cache of `_write_older`. An entry takes about 3 KB."""

TENTHS = tuple(f"{tenths // 10}.{tenths % 10}".removesuffix(".0") for tenths in range(WIDTH * 10 + 1))
"""The texts of the coordinates from 0 to WIDTH, in tenths of a pixel."""


def draw_line(values: Sequence[float], reference: float, side: str) -> SafeString:
    """Returns an SVG line through the last SPARKLINE_POINTS of `values`.

    `values` are prices, oldest first. If there are fewer than MIN_POINTS values, the result is empty. `side` is the CSS
    class. A dotted line marks `reference` if `reference` is between the lowest and the highest value. Otherwise the
    dotted line has an empty path, which a script can fill later. The attribute `data-values` holds the values, to which
    a script adds live prices.
    """
    values = values[-SPARKLINE_POINTS:]
    if len(values) < MIN_POINTS:
        return SafeString("")
    low, high = min(values), max(values)
    level = f"M0 {_write_all_y((reference,), low, high)[0]}H{WIDTH}" if low < reference < high else ""
    older_data, older_path = _write_older(tuple(values[:-1]), low, high)
    data = f"{older_data} {values[-1]:.{VALUE_DIGITS}g}"
    path = f"{older_path}L{_write_newest_point(values[-1], low, high)}"
    lines = f'<path class="level" d="{level}"/><path d="{path}"/>'
    return mark_safe(f'<svg class="{side}" data-values="{data}"{SIZE}>{lines}</svg>')  # noqa: S308 - numbers only


def write_path(values: Sequence[float]) -> str:
    """Returns the SVG path through at least two values, such as `M0 13.5L1.7 12`.

    The coordinates are rounded to tenths of a pixel.
    """
    low, high = min(values), max(values)
    return f"{_write_older(tuple(values[:-1]), low, high)[1]}L{_write_newest_point(values[-1], low, high)}"


def _write_newest_point(value: float, low: float, high: float) -> str:
    return f"{WIDTH} {_write_all_y((value,), low, high)[0]}"


@lru_cache(maxsize=KEPT_LINES)
def _write_older(values: tuple[float, ...], low: float, high: float) -> tuple[str, str]:
    """Writes all points of a line except the newest. Returns `data-values` and the SVG path as texts.

    `values` are the values of these points. `low` and `high` are the lowest and the highest value of the whole line.
    The texts are cached, because within a minute only the newest value of a line changes.
    """
    data = " ".join([f"%.{VALUE_DIGITS}g"] * len(values)) % values  # faster than formatting each value
    points = zip(_write_all_x(len(values)), _write_all_y(values, low, high), strict=True)
    return data, "M" + "L".join([f"{x} {y}" for x, y in points])


@lru_cache(maxsize=SPARKLINE_POINTS)
def _write_all_x(count: int) -> tuple[str, ...]:
    """Returns the x coordinates of `count` points at equal distances, in pixels, as texts.

    The first point is at the left edge. One more point, the newest, has its place at the right edge.
    """
    step = WIDTH / count
    return tuple(TENTHS[int(place * step * 10 + 0.5)] for place in range(count))


def _write_all_y(values: Sequence[float], low: float, high: float) -> list[str]:
    """Returns the y coordinate of each value: the distance from the top edge in pixels, as text.

    If all values are equal, the distance is half the height. Distances are rounded to tenths of a pixel, and a half is
    rounded up, as by JavaScript's Math.floor(number * 10 + 0.5).
    """
    if low == high:
        return [TENTHS[HEIGHT * 5]] * len(values)
    bottom, span, height = HEIGHT - MARGIN, high - low, HEIGHT - 2 * MARGIN
    return [TENTHS[int((bottom - (value - low) / span * height) * 10 + 0.5)] for value in values]
