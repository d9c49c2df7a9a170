"""Draws a sparkline (a small line chart without axes) as inline SVG. Pure.

`static/watchlist/sparkline.js` draws the same line. `tests/cases/sparkline.json` tests this module and the script.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from watchlist.prices.day import SPARKLINE_POINTS

WIDTH, HEIGHT, MARGIN = 104, 26, 2
MIN_POINTS = 2
VALUE_DIGITS = 7
"""The number of significant digits of a value in `data-values`."""

SIZE = f' viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" aria-hidden="true"'
KEPT_LINES = 2048
"""The maximum number of results in the cache of a function. A result takes about 2 KB."""

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
    newest, older = values[-1], _make_older_points(_Prices(values[:-1]))
    low, high = min(newest, older.low), max(newest, older.high)
    # An empty path is kept, so that a script can fill it later.
    level = f"M0 {_write_y(reference, low, high)}H{WIDTH}" if low < reference < high else ""
    path = f"{_write_older_points(older, low, high)}L{WIDTH} {_write_y(newest, low, high)}"
    # Scripts add live prices to these values.
    data = f"{older.text} {newest:.{VALUE_DIGITS}g}"
    lines = f'<path class="level" d="{level}"/><path d="{path}"/>'
    return f'<svg class="{side}" data-values="{data}"{SIZE}>{lines}</svg>'


def write_path(values: Sequence[float]) -> str:
    """Returns the SVG path through at least two values, such as `M0 13.5L1.7 12`.

    The coordinates are rounded to tenths of a pixel.
    """
    newest, older = values[-1], _make_older_points(_Prices(values[:-1]))
    low, high = min(newest, older.low), max(newest, older.high)
    return f"{_write_older_points(older, low, high)}L{WIDTH} {_write_y(newest, low, high)}"


class _Prices(tuple[float, ...]):
    """A tuple of prices. The hash is computed from two prices, because a hash of all prices takes longer."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash((self[0], self[-1]))


# Compared by identity, so that a search in the cache of `_write_older_points` does not read all values.
@dataclass(frozen=True, slots=True, eq=False)
class _OlderPoints:
    """All points of a line except the newest one. `text` is the part of `data-values` for these points.

    `low` and `high` are the lowest and the highest of `values`.
    """

    values: tuple[float, ...]
    text: str
    low: float
    high: float


# The older points are kept, because during a minute only the newest price of a line changes.
@lru_cache(maxsize=KEPT_LINES)
def _make_older_points(values: _Prices) -> _OlderPoints:
    text = " ".join([f"%.{VALUE_DIGITS}g"] * len(values)) % values  # faster than formatting each value
    return _OlderPoints(values, text, min(values), max(values))


@lru_cache(maxsize=KEPT_LINES)
def _write_older_points(older: _OlderPoints, low: float, high: float) -> str:
    """Returns the path of all points except the newest one.

    `low` and `high` are the lowest and the highest value of the whole line, including the newest point.
    """
    return _path_format(len(older.values)) % tuple(_write_all_y(older.values, low, high))


@lru_cache(maxsize=SPARKLINE_POINTS)
def _path_format(count: int) -> str:
    """Returns a path of `count` points, such as `M0 %sL52 %s`, with `%s` in place of each y coordinate.

    The points have equal distances. The right edge stays free for the newest point.
    """
    step = WIDTH / count
    return "M" + "L".join([f"{TENTHS[int(place * step * 10 + 0.5)]} %s" for place in range(count)])


def _write_y(value: float, low: float, high: float) -> str:
    return _write_all_y((value,), low, high)[0]


def _write_all_y(values: Sequence[float], low: float, high: float) -> list[str]:
    """Returns the y coordinate of each value as text: pixels from the top edge, rounded to tenths.

    If all values are equal, the y coordinate is half the height.
    """
    if low == high:
        return [TENTHS[HEIGHT * 5]] * len(values)
    bottom, span, height = HEIGHT - MARGIN, high - low, HEIGHT - 2 * MARGIN
    # A half is rounded up, as by JavaScript's Math.floor(number * 10 + 0.5).
    return [TENTHS[int((bottom - (value - low) / span * height) * 10 + 0.5)] for value in values]
