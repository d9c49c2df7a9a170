"""Draws a price range as a bar with a mark at the last price. Pure.

`static/watchlist/columns.js` moves the mark by the same rules. A browser test compares this module with the script.
"""

from watchlist.formatting.numbers import NO_VALUE
from watchlist.prices.day import PriceRange

WIDTH = 100


def draw_range(price_range: PriceRange | None, price: float | None, low: str, high: str) -> str:
    """Returns HTML: an SVG line for the range with a mark at `price`, then the texts `low` and `high`.

    If the range is unknown, returns NO_VALUE. If the price is unknown, the line has no mark. `low` and `high` are
    formatted numbers, which need no escaping.
    """
    if price_range is None:
        return NO_VALUE
    mark = "" if price is None else f"M{place_mark(price_range, price)} 0V8"
    svg = f'<svg viewBox="0 0 {WIDTH} 8" preserveAspectRatio="none" aria-hidden="true">'
    paths = f'<path d="M0 4H{WIDTH}"/><path class="mark" d="{mark}"/></svg>'
    return f'{svg}{paths}<span class="ends"><span>{low}</span> <span>{high}</span></span>'


def place_mark(price_range: PriceRange, price: float) -> str:
    """Returns the distance of the mark from the left end of the line: a whole number from 0 to WIDTH, as text."""
    return str(int(price_range.share(price) * WIDTH + 0.5))
