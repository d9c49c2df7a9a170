"""Computes the reference price of a symbol, and the change of a price. Pure.

No other Python module computes them. `static/watchlist/quotes.js` repeats the rules for the browser, and
tests/cases/change.json tests both.
"""


def reference_price(base_price: float, previous_close: float | None) -> float:
    """Returns the price that changes are relative to.

    It is the previous close, or the base price before the first close.
    """
    return base_price if previous_close is None else previous_close


def change(price: float, reference: float) -> float:
    """Returns the change of a price from the reference price, in the currency of both."""
    return price - reference


def change_percent(price: float, reference: float) -> float:
    """Returns the change of a price from the reference price in percent. `reference` must not be 0."""
    return (price / reference - 1) * 100
