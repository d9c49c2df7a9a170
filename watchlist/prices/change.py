"""The change of a price: against what, by how much, by how many percent. Pure.

`static/watchlist/quotes.js` computes the same; tests/cases/change.json holds both to it.
"""


def reference_price(base_price: float, previous_close: float | None) -> float:
    """The price that changes are told against: the previous day's close, or the base price before the first close."""
    return base_price if previous_close is None else previous_close


def change(price: float, reference: float) -> float:
    """In the currency of both."""
    return price - reference


def change_percent(price: float, reference: float) -> float:
    """In percent; `reference` is not 0."""
    return (price / reference - 1) * 100
