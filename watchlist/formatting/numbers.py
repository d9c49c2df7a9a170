"""Writes prices, changes and percentages as text. Pure.

`static/watchlist/format.js` applies the same rules. The cases in `tests/cases/numbers.json` test both.
"""

from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from math import isfinite

from watchlist.formatting.numerals import ENGLISH, NO_BREAK_SPACE, Numerals

NO_VALUE = "–"
"""The text for a value that is unknown or not a number."""

ARROWS = {"up": "▲", "down": "▼", "flat": ""}

VOLUME_UNITS = 100_000_000
"""The number of units in a volume of 1 share or coin. VOLUME_UNIT in `feeds.bar_layout` is the size of a unit."""

VOLUME_SIZES = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
"""The abbreviations of large volumes, as pairs of size and letter. The largest size is the first."""

KEPT_NUMBERS = 8192
"""The maximum number of texts in the cache. Pages write most prices again and again, such as the low of a day."""

_ROUNDING = Context(prec=400, rounding=ROUND_HALF_UP)
"""A decimal context with enough digits for every float."""

_DIGITS_ABOVE_ZERO = frozenset("123456789")


def write_number(value: float, decimals: int, numerals: Numerals = ENGLISH) -> str:
    """Returns a number as text with a fixed number of decimals, such as `98,234.50`.

    The exact value is rounded, and a half is rounded away from zero. A negative value has an ASCII minus sign. If the
    value is not finite, the result is NO_VALUE.
    """
    if not isfinite(value):
        return NO_VALUE
    size = abs(value)
    # `format` writes English numbers in half the time that `punctuate` needs.
    digits = _write_english(size, decimals) if numerals is ENGLISH else numerals.punctuate(_round(size, decimals))
    return "-" + digits if value < 0 else digits


@lru_cache(maxsize=KEPT_NUMBERS)
def _write_english(size: float, decimals: int) -> str:
    return _round(size, decimals, ",")


def _round(value: float, decimals: int, group: str = "") -> str:
    """Returns a rounded number as text, such as `98234.50`. A half is rounded up.

    `value` is at least 0. `group` is a comma or empty.
    """
    # `format` is much faster than Decimal, but rounds a half to the even digit. So only a half is rounded with Decimal.
    if value * 2.0 ** (decimals + 1) % 2.0 != 1.0:
        return f"{value:{group}.{decimals}f}"
    return f"{Decimal(value).quantize(Decimal(1).scaleb(-decimals), context=_ROUNDING):{group}f}"


def write_signed(value: float, decimals: int, numerals: Numerals = ENGLISH) -> str:
    """Returns a number as text with a plus or minus sign, such as `+2.50`.

    The minus sign is `numerals.minus`. A value that rounds to zero has no sign.
    """
    digits = write_number(abs(value), decimals, numerals)
    if _DIGITS_ABOVE_ZERO.isdisjoint(digits):
        return digits
    return ("+" if value > 0 else numerals.minus) + digits


def write_percent(value: float, numerals: Numerals = ENGLISH) -> str:
    """Returns a percentage with its sign, such as `+2.50%`. If the value is not finite, the result is NO_VALUE."""
    written = write_signed(value, 2, numerals)
    return written if written == NO_VALUE else written + "%"


def write_volume(units: int, numerals: Numerals = ENGLISH) -> str:
    """Returns a volume as a short text, such as `0.0512`, `12,345` or `1.23 M`.

    `units` is the volume in units of 1e-8. If the volume is 0, the result is NO_VALUE.
    """
    volume = units / VOLUME_UNITS
    if volume <= 0:  # no size of a trade is known
        return NO_VALUE
    for size, letter in VOLUME_SIZES:
        if volume >= size:
            return f"{write_number(volume / size, 2, numerals)}{NO_BREAK_SPACE}{letter}"
    return write_number(volume, 4 if volume < 1 else 2 if volume < 1000 else 0, numerals)


def side_of(signed: str, numerals: Numerals = ENGLISH) -> str:
    """Returns `up`, `down` or `flat` for a text from `write_signed`, such as `up` for `+2.50`."""
    if signed.startswith("+"):
        return "up"
    return "down" if signed.startswith(numerals.minus) else "flat"
