"""Writes prices, changes and percentages as text. Pure.

`static/watchlist/format.js` applies the same rules; `tests/cases/numbers.json` tests both.
"""

from decimal import ROUND_HALF_UP, Context, Decimal
from math import isfinite

from watchlist.formatting.numerals import ENGLISH, Numerals

NO_VALUE = "–"
"""Stands for a value that is unknown or not a number."""

ARROWS = {"up": "▲", "down": "▼", "flat": ""}

_ROUNDING = Context(prec=400, rounding=ROUND_HALF_UP)
"""Precise enough for every float, so that an absurd price from another program does not raise."""


def write_number(value: float, decimals: int, numerals: Numerals = ENGLISH) -> str:
    """Returns `98,234.50`: fixed decimals, halves of the exact value rounded away from zero.

    A negative value has an ASCII minus sign. A value that is not finite gives NO_VALUE.
    """
    if not isfinite(value):
        return NO_VALUE
    rounded = Decimal(abs(value)).quantize(Decimal(1).scaleb(-decimals), context=_ROUNDING)
    digits = numerals.punctuate(f"{rounded:f}")
    return "-" + digits if value < 0 else digits


def write_signed(value: float, decimals: int, numerals: Numerals = ENGLISH) -> str:
    """Returns `+2.50` with `+` or the numerals' minus sign, and with neither if the value rounds to zero."""
    digits = write_number(abs(value), decimals, numerals)
    if not any(digit in "123456789" for digit in digits):
        return digits
    return ("+" if value > 0 else numerals.minus) + digits


def write_percent(value: float, numerals: Numerals = ENGLISH) -> str:
    """Returns `+2.50%`, or NO_VALUE."""
    written = write_signed(value, 2, numerals)
    return written if written == NO_VALUE else written + "%"


def side_of(signed: str, numerals: Numerals = ENGLISH) -> str:
    """Returns up, down or flat for what `write_signed` returned."""
    if signed.startswith("+"):
        return "up"
    return "down" if signed.startswith(numerals.minus) else "flat"
