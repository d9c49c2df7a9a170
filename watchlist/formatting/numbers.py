"""Writes prices, changes and percentages as text. Pure.

`static/watchlist/format.js` writes the same numbers by the same rules.
"""

from decimal import ROUND_HALF_UP, Context, Decimal
from math import isfinite

from watchlist.formatting.numerals import ENGLISH, Numerals

NOTHING = "–"


MINUS = "\N{MINUS SIGN}"


DIGITS = Context(prec=400, rounding=ROUND_HALF_UP)
"""Enough for every float: a price that a foreign program wrote may be absurd, and the page stays up."""


ARROWS = {"up": "▲", "down": "▼", "flat": ""}


def write_number(value: float, decimals: int, numerals: Numerals = ENGLISH) -> str:
    """`98,234.50`: fixed decimals, a half away from zero (as JavaScript's toFixed has it), the numerals' marks."""
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-decimals), context=DIGITS)
    return numerals.dress(f"{rounded:f}")


def write_signed(value: float, decimals: int, numerals: Numerals = ENGLISH) -> str:
    """With `+` or a minus sign, and with neither where it rounds to zero."""
    if not isfinite(value):
        return NOTHING
    digits = write_number(abs(value), decimals, numerals)
    if not any(digit in "123456789" for digit in digits):
        return digits
    return ("+" if value > 0 else MINUS) + digits


def write_percent(value: float, numerals: Numerals = ENGLISH) -> str:
    written = write_signed(value, 2, numerals)
    return written if written == NOTHING else written + "%"


def side_of(signed: str) -> str:
    return {"+": "up", MINUS: "down"}.get(signed[0], "flat")
