"""Draws a sparkline (a small line chart without axes) as inline SVG. Pure.

`static/watchlist/sparkline.js` draws the same line by the same rules. `tests/cases/sparkline.json` tests this module
and the script.
"""

from collections.abc import Sequence

from django.utils.safestring import SafeString, mark_safe

from watchlist.prices.day import SPARKLINE_POINTS

WIDTH, HEIGHT, MARGIN = 104, 26, 2
MIN_POINTS = 2
VALUE_DIGITS = 7
"""The number of significant digits in `data-values`.

A line with a height of 26 pixels cannot show more digits.
"""


def draw_line(values: Sequence[float], reference: float, side: str) -> SafeString:
    """Returns an SVG line through the last SPARKLINE_POINTS of `values`.

    `values` are prices, oldest first. If there are fewer than MIN_POINTS values, the result is empty. A dotted line
    marks `reference` if `reference` is between the lowest and the highest value. Otherwise the path of the dotted line
    is empty, and a script can draw the line later. `side` is the CSS class. The attribute `data-values` holds the
    values with VALUE_DIGITS digits. A script reads `data-values` and adds live prices to the line.
    """
    values = values[-SPARKLINE_POINTS:]
    if len(values) < MIN_POINTS:
        return SafeString("")
    low, high = min(values), max(values)
    level = f"M0 {_write_y(reference, low, high)}H{WIDTH}" if low < reference < high else ""
    data = " ".join(f"{value:.{VALUE_DIGITS}g}" for value in values)
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    lines = f'<path class="level" d="{level}"/><path d="{write_path(values)}"/>'
    return mark_safe(f'<svg class="{side}" data-values="{data}" {size} aria-hidden="true">{lines}</svg>')  # noqa: S308 - numbers only


def write_path(values: Sequence[float]) -> str:
    """Returns the SVG path through at least two values, such as `M0 13.5L1.7 12`.

    The coordinates are rounded to tenths of a pixel.
    """
    low, high = min(values), max(values)
    step = WIDTH / (len(values) - 1)
    points = (f"{_write_tenths(place * step)} {_write_y(value, low, high)}" for place, value in enumerate(values))
    return "M" + "L".join(points)


def _write_y(value: float, low: float, high: float) -> str:
    """Returns the distance of a value from the top edge in pixels.

    If all values are equal, the distance is half the height.
    """
    share = (value - low) / (high - low) if high > low else 0.5
    return _write_tenths(HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN))


def _write_tenths(number: float) -> str:
    # Rounds halves up, as JavaScript's Math.floor(number * 10 + 0.5) does.
    tenths = int(number * 10 + 0.5)
    return f"{tenths // 10}.{tenths % 10}".removesuffix(".0")
