"""Computes the reference price of a symbol, and the change of a price. Pure.

`static/watchlist/quotes.js` has the same rules. `tests/cases/change.json` tests this module and the script.
"""


def reference_price(base_price: float, previous_close: float | None) -> float:
    """Returns the reference price: the previous close, or the base price before the first close."""
    return base_price if previous_close is None else previous_close


def change(price: float, reference: float) -> float:
    """Returns `price` minus the reference price, in the currency of the prices."""
    return price - reference


def change_percent(price: float, reference: float) -> float:
    """Returns the change of a price in percent of the reference price. `reference` must not be 0."""
    return (price / reference - 1) * 100
