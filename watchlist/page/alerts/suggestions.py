"""Suggests levels near the last price of a symbol. Pure."""

from dataclasses import dataclass

from watchlist.formatting.numbers import write_number
from watchlist.formatting.numerals import PLAIN, Numerals

STEPS = (-5, -2, -1, 1, 2, 5)
"""The distances of the suggested levels from the last price, in percent."""


@dataclass(frozen=True, slots=True)
class SuggestedLevel:
    """A level. `percent` and `text` are texts to show, such as `+1%` and `1,201.00`.

    `choice` is the plain number with the sign of the percentage, such as `+1201.00`.
    """

    percent: str
    text: str
    choice: str


def suggest_levels(price: float, decimals: int, numerals: Numerals) -> list[SuggestedLevel]:
    """Returns the levels at STEPS from a price, with the symbol's number of decimals.

    Leaves out levels that are equal to the price or to 0 after rounding.
    """
    unequal = {write_number(value, decimals, PLAIN) for value in (0.0, price)}
    levels = [(step, price * (1 + step / 100)) for step in STEPS]
    return [
        SuggestedLevel(
            f"{step:+d}%".replace("-", numerals.minus),
            write_number(level, decimals, numerals),
            ("+" if step > 0 else "-") + write_number(level, decimals, PLAIN),
        )
        for step, level in levels
        if write_number(level, decimals, PLAIN) not in unequal
    ]
