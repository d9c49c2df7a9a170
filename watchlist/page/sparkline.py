"""A sparkline as inline SVG. Pure. `static/watchlist/sparkline.js` draws the same line by the same rules."""

from collections.abc import Sequence

from django.utils.safestring import SafeString, mark_safe

WIDTH, HEIGHT, MARGIN = 104, 26, 2
FEWEST = 2
"""Points that make a line."""
MAX_POINTS = 60


def draw_line(values: Sequence[float], reference: float, side: str) -> SafeString:
    """`values` oldest first; a dotted line where `reference` lies, if it lies within; `side` colours it.

    `data-values` has the values in seven digits, so that the script can extend the line.
    """
    values = values[-MAX_POINTS:]
    if len(values) < FEWEST:
        return SafeString("")
    low, high = min(values), max(values)
    level = ""
    if low < reference < high:
        y = _at(reference, low, high)
        level = f'<path class="level" d="M0 {y}H{WIDTH}"/>'
    facts = f'class="{side}" data-values="{" ".join(f"{value:.7g}" for value in values)}"'
    svg = f'<svg {facts} viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" aria-hidden="true">'
    return mark_safe(f'{svg}{level}<path d="{write_path(values)}"/></svg>')  # noqa: S308 - numbers only


def write_path(values: Sequence[float]) -> str:
    """`M0 13.5L1.7 12…` with one decimal, as short as it can be."""
    low, high = min(values), max(values)
    step = WIDTH / (len(values) - 1)
    points = (f"{_short(place * step)} {_at(value, low, high)}" for place, value in enumerate(values))
    return "M" + "L".join(points)


def _at(value: float, low: float, high: float) -> str:
    """How far down a value stands; a flat line runs through the middle."""
    share = (value - low) / (high - low) if high > low else 0.5
    return _short(HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN))


def _short(number: float) -> str:
    # As JavaScript's Math.round has it: halves go up.
    tenths = int(number * 10 + 0.5)
    return f"{tenths // 10}.{tenths % 10}".removesuffix(".0")
